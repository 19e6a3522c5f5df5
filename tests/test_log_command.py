"""`whatshooked log`: what the event log has, as people ask for it."""

import asyncio
import json
import os
import pty
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import meta
from tests.commands import Said, run
from tests.conftest import REPO, Gateway, hook
from tests.receiver import Receiver
from tests.watching import watching
from whatshooked.cli.eventlog.lines import Lines
from whatshooked.cli.eventlog.marks import FAILED
from whatshooked.cli.eventlog.pieces import UNICODE, Piece, fitted, harmless, rendered
from whatshooked.cli.eventlog.seen import BEHIND_MS, Seen
from whatshooked.cli.log_options import moment
from whatshooked.eventlog.compose import moment as told
from whatshooked.eventlog.row import Place, Row, id_of
from whatshooked.eventlog.target import Target
from whatshooked.eventlog.targets import open_target

MakeGateway = Callable[..., Gateway]
_START = 1790000000000


def row(ms: int, type_: str = "message.received", *, seq: int = 0, shard: str = "0", **more: Any) -> Row:
    """A row at a place, counted in ms from the first."""
    known = {"id": id_of(Place(_START + ms, seq, shard)), "at": told(_START + ms), "account_id": "business"}
    return msgspec.convert(known | {"type": type_} | more, Row)


ROWS = [
    row(0, conversation=meta.CUSTOMER, event_id="1-0", message_type="text", state="received", text="Hello"),
    row(5, "hook.triggered", conversation=meta.CUSTOMER, event_id="1-0", hook_id="crm", state="in_flight", attempt=1),
    row(17, "hook.failed", conversation=meta.CUSTOMER, event_id="1-0", hook_id="crm", state="retrying", attempt=1,
        status=503, duration_ms=12.4, error="Service Unavailable"),
    row(2000, "hook.success", conversation=meta.CUSTOMER, event_id="1-0", hook_id="crm", state="accepted", attempt=2,
        status=200, duration_ms=9.0),
    row(3000, "outbox.failed", shard="out/business", conversation="4930222", message_id="m1", message_type="text",
        state="failed", status=131026, error="Message undeliverable"),
    row(4000, "config.reloaded", account_id="", state="loaded", actor="web:1@host"),
]  # fmt: skip


@pytest.fixture
def target(make_gateway: MakeGateway, tmp_path: Path) -> Iterator[Target]:
    """A target of the config in the test's folder, which has the rows above."""
    gateway = make_gateway(event_logger=section(tmp_path))
    gateway.write()
    found = open_target("file", gateway.config)
    found.write(ROWS)
    yield found
    found.close()


def section(folder: Path, **more: Any) -> dict[str, Any]:
    """The section of a log in two targets."""
    places = {"file_dir": str(folder / "events"), "sqlite_path": str(folder / "events.sqlite")}
    return {"enabled": True, "targets": ["file"]} | places | more


async def asked(folder: Path, *words: str) -> Said:
    """Run `log` on the config of a folder."""
    return await run("log", *words, "-c", str(folder / "config.json"))


async def ids(folder: Path, *words: str) -> list[int]:
    """Return which of the rows above are shown."""
    said = await asked(folder, "--json", *words)
    assert (said.code, said.err == "" or "no such row" in said.err) == (0, True), said
    known = [one.id for one in ROWS]
    return [known.index(json.loads(line)["id"]) for line in said.out.splitlines()]


@pytest.mark.usefixtures("target")
async def test_rows_are_lines_newest_last(tmp_path: Path) -> None:
    """A line a row, in columns: time, type, account, conversation, hook, what became of it, error, text, event."""
    said = await asked(tmp_path)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert len(lines) == len(ROWS)
    assert lines[0] == (
        '2026-09-21T14:13:20.000Z  message.received  business  4915112345678       received              "Hello"  1-0'
    )
    assert lines[2] == (
        "2026-09-21T14:13:20.017Z  hook.failed       business  4915112345678  crm  retrying #1 503 12ms"
        "  Service Unavailable  1-0"
    )
    assert lines[5].split() == [told(_START + 4000), "config.reloaded", "loaded", "by", "web:1@host"]
    assert (await asked(tmp_path, "--reverse")).out.splitlines() == lines[::-1]


FILTERS: dict[str, tuple[list[str], list[int]]] = {
    "all": (["--all"], [0, 1, 2, 3, 4, 5]),
    "all, newest first": (["--all", "--reverse"], [5, 4, 3, 2, 1, 0]),
    "account": (["--account", "business"], [0, 1, 2, 3, 4]),
    "number as people write it": (["--conversation", "+49 (151) 123-45678"], [0, 1, 2, 3]),
    "number with its plus": (["--conversation", "+49 30 222"], [4]),
    "nobody": (["--conversation", "forgotten"], []),
    "type": (["--type", "hook.success"], [3]),
    "types": (["--type", "hook.*", "--type", "config.reloaded"], [1, 2, 3, 5]),
    "hook and state": (["--hook", "crm", "--state", "retrying", "--state", "accepted"], [2, 3]),
    "event": (["--event", "1-0"], [0, 1, 2, 3]),
    "error": (["--error", "UNDELIVERABLE"], [4]),
    "failed": (["--failed"], [2, 4]),
    "failed of a type": (["--failed", "--type", "hook.*"], [2]),
    "since and until": (["--since", "2026-09-21T14:13:21Z", "--until", told(_START + 3000)], [3]),
    "day": (["--since", "2026-09-21", "--until", "2026-09-22"], [0, 1, 2, 3, 4, 5]),
    "long ago": (["--until", "2020-01-01"], []),
}


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("name", FILTERS)
async def test_only_what_is_asked_for_is_shown(name: str, tmp_path: Path) -> None:
    """Each filter, alone and together; with --json the rows are as they are kept."""
    words, expected = FILTERS[name]
    assert await ids(tmp_path, *words) == expected


@pytest.mark.usefixtures("target")
async def test_the_newest_are_shown_and_more_is_told(tmp_path: Path) -> None:
    """`-n 2` shows the newest two, and says on standard error that there are more; nothing found is said too."""
    said = await asked(tmp_path, "-n", "2")
    assert [line.split()[1] for line in said.out.splitlines()] == ["outbox.failed", "config.reloaded"]
    assert said.err == "the newest 2 of more rows: -n N shows N of them, --all all\n"
    assert (await asked(tmp_path, "-n", "6")).err == ""
    said = await asked(tmp_path, "--hook", "nope")
    assert (said.code, said.out) == (0, "")
    assert said.err == f"the event log (file: {tmp_path / 'events'}) has no such row\n"


REFUSED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "off": ({"enabled": False}, [], "the event log is off: set event_logger.enabled to true in "),
    "no such target": ({}, ["--target", "sqlite"], "has no sqlite, it has file: add it, or ask another"),
    "nothing can fit": ({}, ["--failed", "--type", "hook.success"], "no row of --type is one of --failed"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_asked_is_one_clear_line(name: str, make_gateway: MakeGateway, tmp_path: Path) -> None:
    """The log is off, has no such target, or the filters contradict each other: code 1, and what to do."""
    more, words, expected = REFUSED[name]
    make_gateway(event_logger=section(tmp_path, **more)).write()
    said = await asked(tmp_path, *words)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert expected in said.err


async def test_a_target_that_does_not_answer_is_code_69(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """What the target says of place and remedy is printed."""
    (tmp_path / "events").write_text("no folder")
    make_gateway(event_logger=section(tmp_path)).write()
    said = await asked(tmp_path)
    assert (said.code, said.out) == (69, "")
    assert str(tmp_path / "events") in said.err


@pytest.mark.parametrize(
    "words", [["--since", "soon"], ["-n", "0"], ["-f", "--reverse"], ["--all", "-n", "3"], ["-n", "x"]]
)
async def test_wrong_usage_is_code_2(words: list[str], tmp_path: Path) -> None:
    """Told before anything is read."""
    assert (await asked(tmp_path, *words)).code == 2


async def test_a_masked_number_is_found_by_the_number(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """Where the log hides numbers, the one asked for is hidden alike."""
    gateway = make_gateway(event_logger=section(tmp_path, mask=["numbers"], targets=["sqlite"]))
    gateway.write()
    target = open_target("sqlite", gateway.config)
    target.write([row(0, conversation="***********78"), row(1, conversation="***********79")])
    target.close()
    said = await asked(tmp_path, "--conversation", meta.CUSTOMER)
    assert "***********78" in said.out and "***********79" not in said.out


HARMLESS = {
    "plain ~": "plain ~",
    "Zoë 日本 👩\u200d👧": "Zoë 日本 👩\u200d👧",
    "\x1b]0;owned\x07": "\\x1b]0;owned\\x07",
    "\x9b2J": "\\x9b2J",
    "a\r\nb\tc\x7f": "a\\r\\nb\\tc\\x7f",
    "\u202egnp.exe": "\\u202egnp.exe",
    "a\u2028b\ud83dc": "a\\u2028b\\ud83dc",
}


@pytest.mark.parametrize("text", HARMLESS)
def test_no_text_steers_the_terminal(text: str) -> None:
    """Control characters, line breaks, marks that turn the direction, and halves of characters are spelled out."""
    assert harmless(text) == HARMLESS[text]
    hostile = row(0, conversation=text, text=text, error=text, hook_id=text, state=text, actor=text, message_type=text)
    line = rendered(Lines().line(hostile), colours=False)
    assert HARMLESS[text] in line
    assert text == HARMLESS[text] or text not in line


FITTING = {
    40: "14:13 say hello wide 日本語 here  end",
    30: "14:13 say hello wide 日…  end",
    23: "14:13 say hello w…  end",
    20: "14:13 say hello …  …",
    3: "14…",
}


@pytest.mark.parametrize("width", FITTING)
def test_a_line_fits_its_terminal(width: int) -> None:
    """What is elastic is shortened first, then the end is cut; wide characters take two columns."""
    pieces = [Piece("14:13", "dim"), Piece(" say hello wide 日本語 here", elastic=True), Piece("  end")]
    assert rendered(fitted(pieces, width, UNICODE), colours=False) == FITTING[width]


def test_what_is_new_is_shown_once() -> None:
    """Rows of another shard that come late are new, those that were left out at the start are not."""
    seen = Seen(Place(1000, 0))
    assert not seen.take(row(900 - _START))
    assert seen.take(row(5000 - _START))
    assert seen.from_where() == Place(1000, 0)
    late = row(4000 - _START, shard="out/a")
    assert [seen.take(late), seen.take(late), seen.take(row(5000 - _START))] == [True, False, False]
    assert seen.take(row(60_000 - _START))
    assert seen.from_where() == Place(4000, 0, "out/a")
    for _ in range(30):
        seen.from_where()
    assert seen.from_where() == Place(60_000 - BEHIND_MS, 0)


def test_times_as_people_say_them() -> None:
    """So long ago, a day, or a moment; without a zone it is UTC."""
    now = time.time() * 1000
    assert abs(moment("90m") - (now - 5_400_000)) < 5000
    assert abs(moment("2d") - (now - 172_800_000)) < 5000
    assert moment("2026-01-30") == moment("2026-01-30T00:00:00Z") == 1769731200000
    assert moment("2026-01-30T01:00:00.250+01:00") == 1769731200250
    assert moment("9999999w") == 0


@pytest.mark.parametrize("target", ["file", "sqlite"])
async def test_a_running_gateway_s_rows_are_followed(
    target: str, make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path
) -> None:
    """`-f` shows what is there and goes on with what comes, until Ctrl-C; nothing twice, nothing half printed."""
    gateway = make_gateway(hook("crm", receiver.url()), event_logger=section(tmp_path, targets=["sqlite", "file"]))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("first"))))
    async with watching(
        gateway, "log", "-f", "--target", target, "--type", "message.*", "--type", "hook.*"
    ) as following:
        await following.until("message.received .*first")
        await gateway.post(meta.webhook(meta.value(meta.text("second"))))
        await following.until("message.received .*second")
        async with asyncio.timeout(15):
            while len(following.lines) < 6:
                await asyncio.sleep(0.05)
        assert await following.interrupt() == 130
        kinds = [line.split()[1] for line in following.lines]
        assert kinds == ["message.received", "hook.triggered", "hook.success"] * 2
        assert following.errors == []


@pytest.mark.parametrize("no_colour", ["", "1"])
@pytest.mark.usefixtures("target")
async def test_a_terminal_gets_colours_and_lines_of_its_width(no_colour: str, tmp_path: Path) -> None:
    """In a terminal failures are red and lines are cut, a customer's text is harmless, and NO_COLOR is respected."""
    screen, theirs = pty.openpty()
    environment = {"PYTHONPATH": str(REPO), "COLUMNS": "90", "NO_COLOR": no_colour, "PYTHONUTF8": "1", "TERM": "xterm"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "whatshooked", "log", "-c", str(tmp_path / "config.json")),
        stdout=theirs,
        env=os.environ | environment,
    )
    os.close(theirs)
    shown = (await asyncio.to_thread(_read, screen)).decode()
    assert await process.wait() == 0
    failed = next(line for line in shown.splitlines() if "hook.failed" in line)
    assert ("\x1b[31m" in failed, "\x1b" in shown) == (not no_colour, not no_colour)
    plain = failed.replace("\x1b[0m", "")
    for code in ("2", "1", "31", "36"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain.startswith("2026-09-21T14:13:20.017Z  hook.failed ") and len(plain) <= 90 and plain.endswith("…")


def _read(screen: int) -> bytes:
    blocks: list[bytes] = []
    while True:
        try:
            block = os.read(screen, 65536)
        except OSError:  # the other end is closed
            block = b""
        if not block:
            os.close(screen)
            return b"".join(blocks)
        blocks.append(block)


def test_failed_types_are_types_that_there_are() -> None:
    """What `--failed` shows is named as the log names it."""
    assert all(one.partition(".")[0] in ("hook", "message", "outbox", "media", "whatsapp", "event") for one in FAILED)
