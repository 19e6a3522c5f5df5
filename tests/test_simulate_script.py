"""`whatshooked simulate script`: conversations as data, and the first step that does not hold."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.echo import Echo
from tests.simulated import Meta
from whatshooked.cli.main import main
from whatshooked.cli.simulate import script
from whatshooked.cli.simulate.script import Expected, matcher
from whatshooked.cli.simulate.target import Misused


def write(path: Path, text: str) -> None:
    """Write a script."""
    path.write_text(text)


async def play(sim: Meta, path: Path, *steps: Any, lines: bool = False) -> int:
    """Write a script and carry it out against the simulator."""
    write(path, "\n".join(map(json.dumps, steps)) if lines else json.dumps({"steps": steps}))
    return await asyncio.to_thread(main, ["simulate", "script", str(path), "--sim", sim.url])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the script lies."""
    return tmp_path / "talk.json"


async def test_a_conversation_that_holds(sim: Meta, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Saying, expecting, statuses, notices and time: each step that held is a line, the exit code is 0."""
    Echo(sim)
    steps: list[dict[str, Any]] = [
        {"say": "Hi", "note": "greets"},
        {"expect": "echo: Hi"},
        {"expect": {"status": "read"}},
        {"say": {"kind": "audio", "variant": "voice", "from": sim.users[1].phone}},
        {"expect": {"matches": "^echo", "type": "text", "to": sim.users[1].id}},
        {"status": {"status": "failed", "code": 131026}},
        {"expect": {"status": "failed", "code": 131026}},
        {"notify": "account_update"},
        {"notify": {"field": "security", "event": "PIN_CHANGED"}},
        {"expect": {"status": 200}},
        {"advance": 90000},
        {"wait": 0.01},
        {"say": "silence"},
        {"expect": {"none": True, "within": 0.2}},
    ]
    before = sim.world.clock.now()
    assert await play(sim, path, *steps) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(steps)
    assert lines[0] == 'ok 1  say "Hi"  # greets'
    assert sim.world.clock.now() - before > 90000
    assert [row["field"] for row in await sim.changes(2) if row["field"] != "messages"]


async def test_a_step_that_does_not_hold_is_named(sim: Meta, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first such step ends the script with exit code 1: its number, what it wanted and what came instead."""
    Echo(sim)
    code = await play(sim, path, {"say": "Hi"}, {"expect": {"text": "Bye", "within": 0.5}}, {"say": "x"}, lines=True)
    out, err = capsys.readouterr()
    assert (code, len(out.splitlines())) == (1, 1)
    assert err.startswith('talk.json: step 2 (expect {"text":"Bye","within":0.5}): nothing like it within 0.5 s')
    assert "sent text echo: Hi" in err


async def test_what_should_not_come_fails_the_script(sim: Meta, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A message where none was expected is shown."""
    Echo(sim)
    assert await play(sim, path, {"say": "Hi"}, {"expect": {"none": True}}) == 1
    assert "step 2" in (err := capsys.readouterr().err)
    assert "this came: sent text echo: Hi" in err


async def test_a_refused_step_is_named(sim: Meta, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the stand-in refuses fails the step that wanted it, as does a last message where none was."""
    assert await play(sim, path, {"say": {"kind": "pigeon"}}) == 1
    assert "step 1 (say" in capsys.readouterr().err
    assert await play(sim, path, {"status": {"status": "read"}}) == 1
    assert "no message was expected before" in capsys.readouterr().err


async def test_a_gateway_cannot_be_watched(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a gateway sends is not seen without the stand-in: expecting it fails at once, and says why."""
    write(path, '[{"expect": "x"}]')
    where = ["--gateway", "http://127.0.0.1:9", "--app-secret", "s"]
    assert await asyncio.to_thread(main, ["simulate", "script", str(path), *where]) == 1
    assert "use --sim" in capsys.readouterr().err
    write(path, '[{"advance": 1}]')
    assert await asyncio.to_thread(main, ["simulate", "script", str(path), *where]) == 1
    assert "use --sim" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"sya": "Hi"}]', "talk.json: step 1: Object contains unknown field `sya`"),
        ('[{"say": "Hi", "wait": 1}]', "talk.json: step 1: a step has exactly one of say, expect, wait"),
        ('[{"note": "nothing"}, {"wait": "long"}]', "talk.json: step 2: Expected `float`"),
        ('{"say": "Hi"}\n{"say": ', "talk.json: line 2 is no JSON"),
        ("", "talk.json: no step in it"),
        ("[]", "talk.json: no step in it"),
        ("[7]", "talk.json: step 1: Expected `object`"),
    ],
)
def test_a_file_that_is_no_script_is_refused_by_place(text: str, said: str) -> None:
    """Every fault names its step or line."""
    with pytest.raises(Misused) as caught:
        script.parse(text, "talk.json")
    assert said in str(caught.value)


async def test_a_wrong_file_is_wrong_usage(sim: Meta, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read, or is no script, is exit code 2 before anything is sent."""
    assert await asyncio.to_thread(main, ["simulate", "script", str(path), "--sim", sim.url]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert await play(sim, path, {"say": "Hi"}, {"say": 7}) == 2
    assert sim.posts() == []


def test_one_step_alone_is_a_script() -> None:
    """A single object is a script of one step."""
    assert [step.say for step in script.parse('{"say": "Hi"}', "talk.json")] == ["Hi"]


def test_what_is_expected_says_of_what_kind() -> None:
    """A status as text is a status of the last message, as a number a webhook's answer; anything else was sent."""
    sent = {"kind": "sent", "message_id": "A", "type": "text", "text": "echo: Hi"}
    read = {"kind": "status", "message_id": "A", "status": "read", "codes": []}
    webhook = {"kind": "webhook", "status": 401, "messages": ["B"]}
    assert matcher(Expected(matches="Hi$"), "")(sent)
    assert not matcher(Expected(matches="^Hi"), "")(sent)
    assert matcher(Expected(status="read"), "A")(read)
    assert not matcher(Expected(status="read"), "B")(read)
    assert matcher(Expected(status=401), "A")(webhook)
    assert matcher(Expected(kind="webhook"), "A")(webhook)
