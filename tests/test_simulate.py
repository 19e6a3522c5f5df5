"""`whatshooked simulate`: messages, statuses, notices and bursts, from the stand-in or straight to a gateway."""

import asyncio
import base64
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver
from tests.simulated import Meta
from whatshooked.cli.main import main
from whatshooked.cli.simulate import burst
from whatshooked.cli.simulate.command import row
from whatshooked.meta.signature import Signer, Verdict
from whatshooked.simulator.people import inbound
from whatshooked.simulator.world.model import MediaFault


async def simulate(*arguments: str) -> int:
    """Run the command beside this loop, in which the simulator runs; return its exit code."""
    try:
        return await asyncio.to_thread(main, ["simulate", *arguments])
    except SystemExit as error:  # argparse's own
        return int(error.code or 0)


def direct(gateway: Gateway, *arguments: str, secret: str = meta.SECRET) -> list[str]:
    """Arguments that aim a command at a gateway's first account."""
    url = f"{gateway.base}/webhooks/whatsapp/business"
    ids = ["--number-id", meta.number_id(), "--waba", "200000000000001", "--phone", meta.PHONE]
    return [*arguments, "--gateway", url, "--app-secret", secret, *ids]


async def test_send_lets_somebody_write(sim: Meta, capsys: pytest.CaptureFixture[str]) -> None:
    """A message of any type and variant goes out as a signed webhook; its id is printed."""
    code = await simulate(
        *("send", "image", "--sim", sim.url, "--variant", "forwarded+user_id_only", "--text", "Look"),
        *("--from", sim.users[1].phone),
    )
    (message,) = await sim.items("messages")
    assert (code, capsys.readouterr().out.strip()) == (0, message["id"])
    assert (message["image"]["caption"], message["context"]) == ("Look", {"forwarded": True})
    assert message["from_user_id"] == sim.users[1].id
    post = sim.posts()[0]
    assert Signer([sim.secret]).check(post.body, post.headers["x-hub-signature-256"]) is Verdict.OK


async def test_send_finds_the_stand_in_by_the_environment(sim: Meta, monkeypatch: pytest.MonkeyPatch) -> None:
    """WHATSHOOKED_SIM names the stand-in; --count repeats the message under new ids."""
    monkeypatch.setenv("WHATSHOOKED_SIM", sim.url)
    assert await simulate("send", "text", "--count", "3", "--number-id", sim.number.id) == 0
    assert len({message["id"] for message in await sim.items("messages", 3)}) == 3


async def test_send_brings_its_file(sim: Meta, tmp_path: Path) -> None:
    """The bytes of --file can be fetched from Graph, under the hash that the webhook tells."""
    path = tmp_path / "plan.pdf"
    path.write_bytes(b"%PDF-1.4 a plan")
    assert await simulate("send", "document", "--sim", sim.url, "--file", str(path)) == 0
    (message,) = await sim.items("messages")
    document = message["document"]
    assert (document["filename"], document["mime_type"]) == ("plan.pdf", "application/pdf")
    assert base64.b64decode(document["sha256"]) == hashlib.sha256(path.read_bytes()).digest()
    assert (await sim.ask("GET", document["id"])).json()["file_size"] == 15


async def test_send_spoils_its_file(sim: Meta, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--fault makes all downloads of the file go wrong, a sample's too; it is refused where it can do nothing."""
    path = tmp_path / "plan.pdf"
    path.write_bytes(b"%PDF-1.4 a plan")
    assert await simulate("send", "image", "--sim", sim.url, "--fault", "slow") == 0
    assert await simulate("send", "document", "--sim", sim.url, "--fault", "short", "--file", str(path)) == 0
    assert [(one.fault, one.faults_left) for one in sim.state.media.values()] == [("slow", 0), ("short", 0)]
    capsys.readouterr()
    for arguments, said in (
        (["text", "--fault", "slow"], "brings no file"),
        (["image", "--fault", "odd"], "fault: Invalid enum value 'odd'"),
    ):
        assert await simulate("send", *arguments, "--sim", sim.url) == 1
        assert said in capsys.readouterr().err
    at_gateway = ("--gateway", "http://127.0.0.1:9/", "--app-secret", "s", "--number-id", "1")
    assert await simulate("send", "image", "--fault", "slow", *at_gateway) == 1
    assert "use --sim" in capsys.readouterr().err


def test_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Which the help knows without loading the simulator."""
    with pytest.raises(SystemExit):
        main(["simulate", "send", "--help"])
    said = capsys.readouterr().out
    assert [name for name in get_args(MediaFault) if name not in said] == []


async def test_status_and_notify(sim: Meta, capsys: pytest.CaptureFixture[str]) -> None:
    """One status of a message that was sent, with a code when it failed; one value of any other field."""
    assert await simulate("send", "text", "--sim", sim.url) == 0
    body = {"messaging_product": "whatsapp", "to": sim.users[0].phone, "type": "text", "text": {"body": "Hi"}}
    sent = (await sim.ask("POST", f"{sim.number.id}/messages", json=body)).json()["messages"][0]["id"]
    assert await simulate("status", sent, "failed", "--code", "131026", "--sim", sim.url) == 0
    assert await simulate("notify", "security", "--event", "PIN_CHANGED", "--sim", sim.url) == 0
    assert await simulate("notify", "flows", "--value", '{"event": "MINE"}', "--sim", sim.url) == 0
    (security,) = await sim.changes(field="security")
    (flow,) = await sim.changes(field="flows")
    assert (security["value"]["event"], flow["value"]) == ("PIN_CHANGED", {"event": "MINE"})
    async with asyncio.timeout(5):
        while "failed" not in [row["status"] for row in await sim.items("statuses")]:
            await asyncio.sleep(0.01)
    failed = next(row for row in await sim.items("statuses") if row["status"] == "failed")
    assert (failed["id"], failed["errors"][0]["code"]) == (sent, 131026)


async def test_what_reaches_nobody_is_said(sim: Meta, capsys: pytest.CaptureFixture[str]) -> None:
    """When no app is subscribed nothing goes out, and the command says so instead of printing success."""
    sim.waba.subscribed.clear()
    assert await simulate("send", "text", "--sim", sim.url) == 1
    assert "no app wants it" in capsys.readouterr().err
    assert await simulate("notify", "flows", "--sim", sim.url) == 1


async def test_refusals_are_one_line(sim: Meta, capsys: pytest.CaptureFixture[str]) -> None:
    """What the stand-in does not know it refuses, naming what it knows: exit code 1."""
    for arguments in (("send", "pigeon"), ("notify", "weather"), ("status", "wamid.x", "read")):
        assert await simulate(*arguments, "--sim", sim.url) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("the stand-in refused: ")


async def test_nobody_there_is_said_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """An address where nobody answers is exit code 69 and one line that says what to start."""
    assert await simulate("send", "text", "--sim", "http://127.0.0.1:9") == 69
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("no answer from http://127.0.0.1:9")
    assert "whatshooked simulate serve" in line


async def test_a_gateway_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The remedy is about the gateway, and not about a stand-in that nobody asked for."""
    gateway = ("--gateway", "http://127.0.0.1:9/webhooks/whatsapp/a", "--app-secret", "s")
    assert await simulate("send", "text", *gateway, "--number-id", "1") == 69
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("no answer from http://127.0.0.1:9/webhooks/whatsapp/a")
    assert line.endswith("start the gateway, or correct --gateway")


async def test_a_gateway_s_number_is_to_be_named(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --number-id the sender says whose events they are, and that replies to them fail."""
    url = f"{gateway.base}/webhooks/whatsapp/business"
    assert await simulate("send", "text", "--gateway", url, "--app-secret", meta.SECRET) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: without --number-id all is for the number 100000000000001")
    assert await simulate(*direct(gateway, "send", "text")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gateway", "http://127.0.0.1:9"), "--gateway needs --app-secret"),
        (("--gateway", "http://127.0.0.1:9", "--sim", "http://127.0.0.1:9"), "--sim and --gateway are two places"),
        (("--app-secret", "s"), "--app-secret signs for a gateway"),
        (("--sim", "localhost:8081"), "--sim wants a URL"),
        (("--gateway", "http://127.0.0.1:9", "--app-secret", "env:NOT_SET_HERE"), "NOT_SET_HERE"),
        (("--sim", "http://127.0.0.1:9", "--file", "/nowhere/x.png"), "/nowhere/x.png cannot be read"),
        (("--count", "0"), "expected a number from 1"),
    ],
)
async def test_wrong_usage_is_exit_code_2(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options that do not fit together are refused by name."""
    assert await simulate("send", "image", *arguments) == 2
    assert said in capsys.readouterr().err


async def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """`send list` and `notify list` show all there is, with nothing running."""
    assert await simulate("send", "list") == 0
    told = capsys.readouterr().out
    assert all(f"\n{kind} " in f"\n{told} ".replace("\n", " \n") for kind in inbound.KINDS)
    assert await simulate("notify", "list") == 0
    assert "account_update" in capsys.readouterr().out


def test_a_long_list_is_wrapped() -> None:
    """Variants stay in their column, whole, and as a shell takes them; a name without any stands alone."""
    assert row("flows", ["FLOW_STATUS_CHANGE", "Needs Testing", "X"], 60).splitlines() == [
        f"{'flows':<35}FLOW_STATUS_CHANGE",
        f"{'':<35}'Needs Testing' X",
    ]
    assert row("edit", [], 60) == "edit"


async def test_a_gateway_takes_what_is_made_without_a_stand_in(
    gateway: Gateway, receiver: Receiver, tmp_path: Path
) -> None:
    """With the app secret alone a gateway gets signed messages, which its hook sees; the secret may lie in a file."""
    path = tmp_path / "secret"
    path.write_text(meta.SECRET + "\n")
    text = direct(gateway, "send", "text", "--text", "ä @ 😀", "--from", "+49 30 555", secret=f"file:{path}")
    assert await simulate(*text) == 0
    assert await simulate(*direct(gateway, "status", "wamid.OUT", "delivered")) == 0
    (said,) = await receiver.wait(1, event="message.received")
    assert (said.json["text"], said.json["from"], said.json["to"]) == ("ä @ 😀", "4930555", meta.PHONE)
    (told,) = await receiver.wait(1, event="message.delivered")
    assert told.json["data"]["message_id"] == "wamid.OUT"


async def test_a_gateway_gets_fields_too(
    make_gateway: Callable[..., Gateway], receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field goes to whoever wants it; one that does not exist is refused before anything is sent."""
    gateway = make_gateway(hook("h1", receiver.url(), events=["meta.*"]))
    await gateway.start()
    assert await simulate(*direct(gateway, "notify", "account_alerts")) == 0
    (told,) = await receiver.wait(1)
    assert told.json["data"]["field"] == "account_alerts"
    assert await simulate(*direct(gateway, "notify", "weather")) == 1
    assert "there is no field 'weather'" in capsys.readouterr().err


async def test_a_gateway_that_refuses_is_explained(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong app secret is named as the likely reason; so is a file, which a gateway would fetch from its Graph."""
    assert await simulate(*direct(gateway, "send", "text", secret="another")) == 1
    assert "is --app-secret the one of its config?" in capsys.readouterr().err
    assert await simulate(*direct(gateway, "send", "image", "--file", __file__)) == 1
    assert "a gateway fetches files from its own Graph" in capsys.readouterr().err


async def test_a_burst_keeps_its_rate(sim: Meta, capsys: pytest.CaptureFixture[str]) -> None:
    """Each message goes at its time by the clock; the report has counts, p50 and p99, and what the gateway took."""
    arguments = ["burst", "--rate", "100", "--count", "30", "--duplicates", "1", "--disorder"]
    assert await simulate(*arguments, "--sim", sim.url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("sent 30 in 0.")
    assert lines[1] == "ok   30"
    assert [line[:4] for line in lines[2:4]] == ["p50 ", "p99 "]
    assert lines[-2:] == ["sent twice: 30 of 30 messages", "webhooks taken by the gateway: 30 of 30"]
    messages = await sim.items("messages", 60)
    assert len({message["id"] for message in messages}) == 30
    assert (sim.world.knobs.duplicates, sim.world.knobs.disorder) == (0.0, False)


async def test_a_burst_at_a_gateway_is_stored_once_each(
    gateway: Gateway, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Duplicates are the same bytes again: the gateway answers 200 to all, and its hook sees each once."""
    wanted = direct(gateway, "burst", "--rate", "200", "--count", "20", "--duplicates", "0.5", "--disorder")
    assert await simulate(*wanted) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[1], lines[-1]) == ("ok   30", "sent twice: 10 of 20 messages")
    await receiver.wait(20, event="message.received")
    await asyncio.sleep(0.1)
    assert len(receiver.of("message.received")) == 20


async def test_a_burst_that_is_refused_is_counted(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers other than 200 are counted by status: exit code 1."""
    assert await simulate(*direct(gateway, "burst", "--rate", "500", "--count", "5", secret="another")) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "ok   0"
    assert lines[-1] in ("HTTP 401: 5", "HTTP 403: 5")


def test_the_plan_of_a_burst() -> None:
    """Every message once, a share of them twice and never before the first; in order unless disorder is wanted."""
    assert burst.plan(5, 0, random.Random(1), disorder=False) == [0, 1, 2, 3, 4]
    twice = burst.plan(100, 0.3, random.Random(1), disorder=False)
    assert len(twice) == 130
    assert [*dict.fromkeys(twice)] == [*range(100)]
    mixed = burst.plan(100, 0, random.Random(1), disorder=True)
    assert sorted(mixed) == [*range(100)] != mixed
    assert max(abs(place - index) for index, place in enumerate(mixed)) <= 2 * 20


def test_the_report_of_a_burst() -> None:
    """Quantiles are of values that occurred; failures and a rate that could not be kept are said."""
    answers = [burst.Answer(200, b"", ms / 1000, 0.0) for ms in range(1, 101)]
    assert burst.report(answers, 0.99, 100)[:4] == [
        "sent 100 in 0.99 s (100.0/s, asked for 100/s)",
        "ok   100",
        "p50  50.0 ms",
        "p99  99.0 ms",
    ]
    late = burst.report([burst.Answer(0, b"", 0.1, 2.5)], 0.0, 10)
    assert late[-2:] == ["no answer: 1", "this machine could not keep the rate: up to 2.5 s late"]


async def test_serve_starts_the_stand_in(spawn: Callable[..., Any]) -> None:
    """`simulate serve` takes the stand-in's own options and says where it is."""
    process = spawn("simulate", "serve", "--port", "0", "--seed", "1", "--callback", "http://127.0.0.1:9/")
    line = await asyncio.to_thread(process.stdout.readline)
    url = line.split()[-1]
    assert "ready at http://127.0.0.1:" in line
    assert await simulate("send", "unknown", "--sim", url) == 0
