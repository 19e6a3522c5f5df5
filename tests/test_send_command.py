"""`whatshooked send` and `whatshooked messages`, run as people run them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.asking import ANA, settled
from tests.commands import Said, run, set_up, simulated_account
from tests.conftest import Gateway, account
from tests.sends import arrive
from tests.simulated import Meta
from whatshooked.keys import Keys
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Again, Failed, Outbox, Sent, Unknown

MakeGateway = Callable[..., Gateway]


@pytest.fixture
def config(make_gateway: MakeGateway) -> Gateway:
    """The config of one account; nothing runs, the command speaks to Redis by itself."""
    found = make_gateway()
    found.write()
    return found


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """The outbox that the command writes to."""
    return Outbox(link, keys)


async def command(config: Gateway, *words: str, stdin: str = "") -> Said:
    """Run a command on this config."""
    return await run(*words, "-c", str(config.path), stdin=stdin)


async def taken(config: Gateway, *words: str, stdin: str = "") -> str:
    """Send something that is taken; returns its id."""
    said = await command(config, "send", *words, stdin=stdin)
    assert (said.code, said.err) == (0, "")
    message_id, state = said.out.split()
    assert state == "new"
    return message_id


async def body(outbox: Outbox, message_id: str, account_id: str = "business") -> dict[str, Any]:
    """What stands in the outbox for Meta."""
    record = await outbox.get(account_id, message_id)
    assert record is not None
    found: dict[str, Any] = json.loads(record.body)
    return found


async def test_a_text_a_template_and_meta_s_body(config: Gateway, outbox: Outbox) -> None:
    """Each way puts one message in; a recipient given beside a file goes before the file's."""
    text = await taken(config, "+49 151 12345678", "Hello you")
    assert (await body(outbox, text))["text"] == {"body": "Hello you"}
    template = await taken(config, ANA, "--template", "hello_world", "--language", "de")
    assert (await body(outbox, template))["template"] == {"name": "hello_world", "language": {"code": "de"}}
    file = config.folder / "body.json"
    file.write_text(json.dumps({"to": "+15550100002", "type": "location", "location": {"latitude": 1, "longitude": 2}}))
    assert (await body(outbox, await taken(config, "--file", str(file))))["to"] == "+15550100002"
    again = await taken(config, ANA, "--file", "-", stdin=file.read_text())
    assert (await body(outbox, again))["to"] == f"+{ANA}"
    assert (await outbox.counts("business"))["new"] == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what to send"),
        ([ANA], "say what to send"),
        ([ANA, "Hello", "--template", "x"], "say what to send"),
        (["--template", "x"], "say what to send"),
        ([ANA, "--file", "missing.json"], "missing.json: No such file"),
        (["--file", "-"], "-: no JSON"),
        (["12", ""], "to: expected\ntext: expected"),
        ([ANA, "Hello", "--wait", "soon"], "expected seconds from 0 to 3600"),
    ],
)
async def test_what_cannot_be_sent_is_wrong_usage(config: Gateway, words: list[str], said: str) -> None:
    """Exit code 2, and each fault stands on a line of its own."""
    found = await command(config, "send", *words, stdin="{")
    assert (found.code, found.out) == (2, "")
    for line in said.split("\n"):
        assert any(line in one for one in found.err.splitlines()), found.err


async def test_which_account_sends(make_gateway: MakeGateway, outbox: Outbox) -> None:
    """With several one must be named, on the line or in the body; one that is not there is refused."""
    config = make_gateway(accounts=[account(1, "one"), account(2, "two")])
    config.write()
    refused = await command(config, "send", ANA, "Hello")
    assert (refused.code, refused.err) == (1, "say which account with --account ID; there is: one, two\n")
    assert (await command(config, "send", ANA, "Hello", "--account", "three")).code == 1
    await taken(config, ANA, "Hello", "--account", "two")
    await taken(config, "--file", "-", stdin=json.dumps({"account_id": "two", "to": ANA, "text": "Hello"}))
    assert ((await outbox.counts("one"))["new"], (await outbox.counts("two"))["new"]) == (0, 2)


async def test_a_wait_tells_meta_s_answer(make_gateway: MakeGateway, sim: Meta) -> None:
    """What Meta took has its id; what Meta refused is exit code 1, with the reason and what to do."""
    gateway = make_gateway(accounts=[simulated_account(sim)])
    await set_up(gateway, sim)
    await gateway.add_worker()
    arrive(sim, sim.users[0])
    said = await command(gateway, "send", f"+{sim.users[0].phone}", "Hello", "--wait", "10")
    (message,) = [one for one in sim.state.messages.values() if one.outgoing]
    assert (said.code, said.out.split()[1:], said.err) == (0, ["sent", message.id], "")
    said = await command(gateway, "send", f"+{sim.users[1].phone}", "Hello", "--wait", "10")
    assert (said.code, said.out.split()[1:]) == (1, ["failed"])
    assert "131047" in said.err and "send a template" in said.err


async def test_a_wait_may_end_before_the_answer(config: Gateway, outbox: Outbox) -> None:
    """The message stays in the outbox; why its account sends nothing at the moment is said."""
    await taken(config, ANA, "first")
    await settled(outbox, Again(0, "no credit", 4, hold_ms=60_000))
    said = await command(config, "send", ANA, "Hello", "--wait", "0.1")
    assert (said.code, said.out.split()[1:]) == (0, ["new"])
    assert "the account sends nothing now" in said.err and "no credit" in said.err


async def test_the_list_shows_what_became_of_each(config: Gateway, outbox: Outbox) -> None:
    """Newest first, a line each; by state, recipient and number, and as JSON with the bodies."""
    first = await taken(config, ANA, "one")
    await settled(outbox, Sent("wamid.1"))
    second = await taken(config, "+15550100002", "two")
    await settled(outbox, Failed(131047, "window closed"))
    third = await taken(config, ANA, "three")
    lines = (await command(config, "messages", "list")).out.splitlines()
    assert [line.split()[1:3] for line in lines] == [[third, "new"], [second, "failed"], [first, "sent"]]
    assert lines[1].endswith("131047 window closed")
    for words, ids in (
        (["--state", "failed"], [second]),
        (["--to", f"+{ANA}"], [third, first]),
        (["--limit", "2"], [third, second]),
        (["--since", "2099-01-01"], []),
        (["--until", "2020-01-01T00:00:00Z", "--account", "business"], []),
    ):
        said = await command(config, "messages", "list", "--json", *words)
        assert [json.loads(line)["id"] for line in said.out.splitlines()] == ids
    assert (await command(config, "messages", "list", "--account", "nobody")).code == 1
    for wrong in (["--limit", "0"], ["--state", "gone"], ["--since", "soon"]):
        assert (await command(config, "messages", "list", *wrong)).code == 2


async def test_one_is_shown_sent_once_more_and_given_up(config: Gateway, outbox: Outbox) -> None:
    """By its id; what is settled or not there is refused with exit code 1."""
    message_id = await taken(config, ANA, "Hello")
    assert "the message is new" in (await command(config, "messages", "drop", message_id)).err
    await settled(outbox, Unknown("no answer"))
    shown = json.loads((await command(config, "messages", "show", message_id)).out)
    assert (shown["state"], shown["error"], shown["body"]["text"]) == ("unknown", "no answer", {"body": "Hello"})
    assert (await command(config, "messages", "resend", message_id)).out == f"{message_id} new\n"
    await settled(outbox, Unknown("no answer"))
    assert (await command(config, "messages", "drop", message_id)).out == f"{message_id} failed\n"
    assert (await command(config, "messages", "drop", message_id)).code == 1
    for action in ("show", "resend", "drop"):
        said = await command(config, "messages", action, "m1-00")
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("no message m1-00")


async def test_a_list_longer_than_a_page(config: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as were asked for, however many pages that takes."""
    ids = [await taken(config, ANA, f"{n}") for n in range(5)]
    monkeypatch.setattr("whatshooked.stream.messages.MOST", 2)
    lines = (await command(config, "messages", "list")).out.splitlines()
    assert [line.split()[1] for line in lines] == ids[::-1]
