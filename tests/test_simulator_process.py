"""The simulator as a process: its options, its one ready line, its state file and its end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.conftest import REPO
from whatshooked.simulator.__main__ import build, main
from whatshooked.simulator.fields import fields
from whatshooked.simulator.world import statefile
from whatshooked.simulator.world.model import Media, Message, State, demo_state
from whatshooked.simulator.world.statefile import StateError
from whatshooked.simulator.world.world import World

Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start simulators as real processes on free ports; what still runs ends with the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **environment: str) -> tuple["subprocess.Popen[str]", str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "whatshooked.simulator", "--port", "0", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPO)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Simulated Meta is ready at (http://\S+)\n", line)
        assert found, line + process.communicate()[1]
        return process, found[1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: "subprocess.Popen[str]", signal_: int = signal.SIGTERM) -> tuple[int, str]:
    """End a simulator; return its exit code and what it said on the way."""
    process.send_signal(signal_)
    out, errors = process.communicate(timeout=15)
    return process.returncode, out + errors


def world() -> dict[str, Any]:
    """A state as a file has it."""
    state = demo_state(callback_url="http://127.0.0.1:9/", verify_token="verify", app_secret="secret", token="token")
    found: dict[str, Any] = msgspec.to_builtins(state)
    return found


def fault(document: Any) -> str:
    """What is wrong with a state, by the line that says so."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(StateError) as caught:
        statefile.decode(data, "world.json")
    line = str(caught.value)
    assert line.startswith("world.json") and "\n" not in line
    return line.removeprefix("world.json").removeprefix(": ")


def test_row_23_help_states_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` says what the stand-in does not do, and that it proves nothing about Meta."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for word in ("priced", "templates are not reviewed", "no policy", "not transcoded", "no proof against Meta"):
        assert word in told
    for option in ("--port", "--host", "--state", "--seed", "--speed", "--allow-host", "--callback", "--verify-token"):
        assert option in told


def test_a_code_is_printed(start: Start) -> None:
    """The code that a number is sent can be read where the stand-in runs; every field is subscribed, each once."""
    process, url = start()
    headers = {"authorization": "Bearer sim-token"}
    form = {"country_code": "49", "phone_number": "30 200-0001", "verified_name": "Second"}
    added = httpx.post(f"{url}/v25.0/200000000000001/phone_numbers", json=form, headers=headers).json()["id"]
    how = {"code_method": "SMS", "language": "en_US"}
    httpx.post(f"{url}/v25.0/{added}/request_code", json=how, headers=headers).raise_for_status()
    assert process.stdout is not None
    found = re.fullmatch(r"SMS to \+49 302000001: the code is (\d{6})\n", process.stdout.readline())
    assert found
    verified = httpx.post(f"{url}/v25.0/{added}/verify_code", json={"code": found[1]}, headers=headers)
    assert verified.json() == {"success": True}
    (app,) = httpx.get(f"{url}/_sim/state").json()["apps"].values()
    assert sorted(app["subscription"]["fields"]) == sorted(fields.FIELDS)
    assert end(process) == (0, "")


def test_a_process_serves_and_keeps_its_world(start: Start, tmp_path: Path) -> None:
    """One line says where it is; what happens is in the file within seconds, whole at the end, and there again.

    Its time goes on where it ended: windows and tokens that were over do not come to life again.
    """
    path = tmp_path / "world.json"
    process, url = start(
        "--state", str(path), "--callback", "http://127.0.0.1:9/hook", "--app-secret", "env:PLANTED", PLANTED="s3cret"
    )
    headers = {"authorization": "Bearer sim-token"}
    assert httpx.get(f"{url}/v25.0/100000000000001", headers=headers).json()["id"] == "100000000000001"
    httpx.post(f"{url}/_sim/inbound", json={"text": "first"}).raise_for_status()
    deadline = time.monotonic() + 10
    while b"first" not in (path.read_bytes() if path.exists() else b""):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    httpx.post(f"{url}/_sim/inbound", json={"text": "second"}).raise_for_status()
    now = httpx.post(f"{url}/_sim/clock", json={"advance": 86_400 * 30}).json()["now"]
    assert end(process) == (0, "")
    saved = json.loads(path.read_bytes())
    assert [one["body"]["text"]["body"] for one in saved["messages"].values()] == ["first", "second"]
    assert next(iter(saved["apps"].values()))["secret"] == "s3cret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    _, url = start("--state", str(path))
    assert len(httpx.get(f"{url}/_sim/messages").json()["messages"]) == 2
    assert httpx.get(f"{url}/_sim/clock").json()["now"] >= now


def test_a_process_ends_while_somebody_listens_and_waits(start: Start) -> None:
    """SIGINT ends it at once and quietly, though a listener reads the news and a call hangs by a rule."""
    process, url = start()
    httpx.post(f"{url}/_sim/rules", json={"fault": "hang_after"}).raise_for_status()
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as waits, httpx.stream("GET", f"{url}/_sim/news") as news:
        waits.sendall(b"GET /v25.0/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        assert end(process, signal.SIGINT) == (0, "")
        assert news.read() == b""
        with pytest.raises(ConnectionResetError):
            waits.recv(1)


def test_another_host_is_said(start: Start) -> None:
    """Listening beyond this machine opens control, and the log says so at the start."""
    process, url = start("--host", "0.0.0.0", "--address", "http://meta.test:8081/")
    assert url == "http://meta.test:8081"
    code, told = end(process)
    assert code == 0
    assert "WARN  Whoever reaches this address can use and control the simulator address=http://127.0.0.1:" in told


def test_what_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken, a broken file, a folder that is not there, a variable that is not set: each by its name."""
    path = tmp_path / "world.json"
    path.write_text('{"numbers": {"1": {"phone": 5}}}')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        calls = {
            ("--port", port): f"cannot listen on 127.0.0.1:{port} (Address already in use): stop what listens there",
            ("--state", str(path)): f"{path}: numbers.1",
            ("--state", str(tmp_path)): f"{tmp_path} cannot be read (Is a directory)",
            ("--state", str(tmp_path / "no/world.json")): f"there is no folder {tmp_path / 'no'}",
            ("--host", "no.such.host.invalid"): "cannot listen on no.such.host.invalid:0 (",
            ("--token", "env:NOT_SET_ANYWHERE"): "environment variable 'NOT_SET_ANYWHERE' is not set",
        }
        for arguments, expected in calls.items():
            assert main(["--port", "0", *arguments]) == 69
            told = capsys.readouterr().err
            assert expected in told and told.count("\n") == 1


@pytest.mark.parametrize("wrong", [("--port", "x"), ("--port", "70000"), ("--speed", "-1"), ("--speed", "inf")])
def test_wrong_usage(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A port or a speed that is none is wrong usage."""
    with pytest.raises(SystemExit) as ended:
        build().parse_args(wrong)
    assert ended.value.code == 2
    assert "expected a" in capsys.readouterr().err


def test_what_is_said_holds_over_the_file(start: Start, tmp_path: Path) -> None:
    """The command line's callback, secrets and token stand in the place of the file's."""
    path = tmp_path / "world.json"
    path.write_text(json.dumps(world()))
    callback, secrets = (
        "http://127.0.0.1:9/other",
        ("--app-secret", "other", "--verify-token", "else", "--token", "new"),
    )
    process, url = start("--state", str(path), "--callback", callback, *secrets)
    assert httpx.get(f"{url}/_sim/").json()["apps"][0]["callback_url"] == callback
    for token in ("token", "new"):
        assert httpx.get(f"{url}/100000000000001?access_token={token}").status_code == 200
    end(process)
    app = next(iter(json.loads(path.read_bytes())["apps"].values()))
    assert (app["secret"], app["subscription"]["verify_token"]) == ("other", "else")


def test_a_state_comes_back_as_it_was() -> None:
    """What is written is read again, bytes of media included; ids may be left out of the entries."""
    state = demo_state(callback_url="http://127.0.0.1:9/", verify_token="v", app_secret="s")
    number = next(iter(state.numbers))
    state.media["1"] = Media(id="1", number_id=number, mime_type="a/b", content=bytes(range(256)), dies_at=1.5)
    state.messages["wamid.1"] = Message(
        id="wamid.1", number_id=number, user_id="", outgoing=True, at=1.0, type="text", body={"a": ["ä"]}
    )
    assert statefile.decode(statefile.encode(state), "x") == state
    short = world()
    for table, key in (("numbers", "id"), ("tokens", "value"), ("users", "id")):
        for row in short[table].values():
            del row[key]
    assert statefile.decode(json.dumps(short).encode(), "x") == statefile.decode(json.dumps(world()).encode(), "x")
    assert statefile.decode(b"{}", "x") == State()


def test_every_fault_of_a_state_is_named_by_its_place() -> None:
    """Broken JSON, unknown keys, wrong types, ids that lead nowhere: the line says where."""
    assert fault(b"{").startswith(" is no JSON")
    assert fault([]).startswith("expected an object")
    assert fault(world() | {"nmbers": {}}).startswith("nmbers: unknown; there are apps")
    assert fault(world() | {"count": "x"}) == "count: Expected `int`, got `str`"
    assert fault(world() | {"users": []}) == "users: Expected `object`, got `array`"

    def broken(place: str, value: Any) -> str:
        document: Any = world()
        *parents, last = place.split("/")
        here = document
        for name in parents:
            here = here[name]
        here[last] = value
        return fault(document)

    number, waba, app = "numbers/100000000000001", "wabas/200000000000001", "apps/300000000000001"
    assert broken(f"{number}/throughput", "LOTS") == "numbers.100000000000001.throughput: Invalid enum value 'LOTS'"
    assert broken(f"{number}/nme", "x").startswith("numbers.100000000000001: Object contains unknown field `nme`")
    assert broken(number, 5) == "numbers.100000000000001: Expected `object`, got `int`"
    assert broken(f"{app}/subscription", {}).startswith("apps.300000000000001.subscription: Object missing")
    assert broken(f"{number}/waba_id", "7") == "numbers.100000000000001.waba_id: no such entry in wabas"
    assert broken(f"{number}/id", "7") == "numbers.100000000000001: its id is another"
    assert broken(f"{waba}/subscribed", {"8": None}) == "wabas.200000000000001.subscribed: no app 8"
    assert broken("businesses/shop", {"name": "x"}) == "businesses.shop: Meta's ids are digits"


def test_a_file_is_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk does not take a save, the file is as it was and nothing is left behind."""
    path = tmp_path / "world.json"
    statefile.save(path, b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        statefile.save(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


async def test_a_save_that_failed_is_said_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that is away is an error in the log; the state is saved once it is back."""
    folder = tmp_path / "away"
    subject = World(demo_state(callback_url="", verify_token="", app_secret=""))
    keeper = statefile.Keeper(subject, folder / "world.json")
    await keeper._save()
    assert "was not saved" in caplog.text
    assert subject.changed.is_set()
    folder.mkdir()
    keeper.end()
    await keeper.run()
    assert statefile.load(folder / "world.json") is not None
    await subject.close()


async def test_a_seed_makes_the_same_world_but_not_the_same_ids_twice() -> None:
    """Two worlds of one seed are alike; the next run on the state of the last one makes other ids."""
    made = [World(demo_state(callback_url="", verify_token="", app_secret=""), seed=7) for _ in range(2)]
    assert made[0].token_hex(8) == made[1].token_hex(8)
    assert made[0].new_id("media") == made[1].new_id("media")
    later = World(made[0].state, seed=7)
    assert later.token_hex(8) != World(State(), seed=7).token_hex(8)
    for one in (*made, later):
        await one.close()
