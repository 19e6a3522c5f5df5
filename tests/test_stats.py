"""`whatshooked stats`: counts of the last hour and day, by account and hook."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import meta
from tests.commands import Said, run
from tests.conftest import Gateway, hook
from tests.receiver import Receiver
from tests.watching import watching
from whatshooked.cli.eventlog.charts import chart, tables
from whatshooked.cli.eventlog.figures import Account, Figures, Hook, Period, day, figures, hour
from whatshooked.cli.eventlog.pieces import ASCII, UNICODE, rendered
from whatshooked.eventlog.compose import moment
from whatshooked.eventlog.row import Place, Row, Tally, id_of
from whatshooked.eventlog.targets import open_target

MakeGateway = Callable[..., Gateway]
PERIOD = Period("last test", until=4000, bar_ms=1000, bars=4)


def tally(type_: str, count: int, ms: int = 0, hook_id: str = "", state: str = "", took: float = 0.0) -> Tally:
    """So many rows of one kind."""
    return Tally(ms, type_, "business", hook_id, state, count, took)


def section(folder: Path, **more: Any) -> dict[str, Any]:
    """The section of a log that is on."""
    places = {"file_dir": str(folder / "events"), "sqlite_path": str(folder / "events.sqlite")}
    return {"enabled": True, "targets": ["file"]} | places | more


async def stats(folder: Path, *words: str) -> Said:
    """Run `stats` on the config of a folder."""
    return await run("stats", *words, "-c", str(folder / "config.json"))


def test_accounts_and_hooks_are_counted() -> None:
    """Attempts over all states; a message of ours counts once, though outbox and statuses both tell of it."""
    found = figures(
        [
            tally("message.received", 99, -500),
            tally("message.received", 1),
            tally("message.received", 2, 500),
            tally("message.received", 4, 3000),
            tally("outbox.sent", 5),
            tally("message.sent", 4),
            tally("message.delivered", 2),
            tally("message.read", 1),
            tally("outbox.failed", 2),
            tally("message.failed", 1),
            tally("outbox.new", 6, hook_id="crm"),
            tally("outbox.new", 9),
            tally("hook.triggered", 9, hook_id="crm", state="in_flight"),
            tally("hook.success", 3, 1000, "crm", "accepted", 30.0),
            tally("hook.failed", 2, 1000, "crm", "retrying", 20.0),
            tally("hook.failed", 1, 2000, "crm", "dead", 10.0),
            tally("config.reloaded", 1),
        ],
        PERIOD,
    )
    assert found.accounts == {"business": Account(7, 5, 2, 1, 2, 6, [3, 0, 0, 4])}
    assert found.hooks == {"crm": Hook(3, 3, 1, 10.0, [0, 3, 0, 0])}
    assert figures([tally("config.reloaded", 1)], PERIOD) == Figures({}, {})


def test_periods_end_now() -> None:
    """Twelve times five minutes, and a day of hours."""
    now = 1790000000000
    assert (hour(now).since, day(now).since) == (now - 3_600_000, now - 86_400_000)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([], ""), ([0, 0], "  "), ([1, 1], "██"), ([0, 1, 50, 100], " ▁▄█"), ([1, 1_000_000], "▁█")],
)
def test_the_highest_bar_is_full_and_none_is_lost(counts: list[int], expected: str) -> None:
    """What is not nothing shows, also with ASCII."""
    assert chart(counts, UNICODE.bars) == expected
    assert len(chart(counts, ASCII.bars)) == len(expected)


def test_tables_are_aligned() -> None:
    """Numbers stand below their titles, with the chart behind."""
    found = Figures(
        {"business": Account(1234, 5, 2, 1, 0, 6, [3, 0, 0, 4]), "b\x1b": Account(received_bars=[0, 0, 0, 0])},
        {"crm": Hook(3, 3, 1, 10.0, [0, 3, 0, 0]), "new": Hook(accepted_bars=[0, 0, 0, 0])},
    )
    assert [rendered(line, colours=False) for line in tables(found, ASCII.bars)] == [
        "account   received  sent  delivered  read  failed  replies",
        "business     1,234     5          2     1       0        6  *  @",
        "b\\x1b            0     0          0     0       0        0",
        "",
        "hook  accepted  failed  dead  mean ms",
        "crm          3       3     1     10.0   @",
        "new          0       0     0        -",
    ]


async def test_a_gateway_s_last_hour(make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path) -> None:
    """What just passed through is in both periods, or in the one asked for."""
    gateway = make_gateway(hook("crm", receiver.url()), event_logger=section(tmp_path, targets=["sqlite"]))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("one"), meta.text("two"))))
    async with asyncio.timeout(15):
        while (await stats(tmp_path, "--hour", "--json")).out.count('"accepted":2') < 1:
            await asyncio.sleep(0.2)
    said = await stats(tmp_path, "--json")
    found = json.loads(said.out)
    assert (said.code, said.err, list(found)) == (0, "", ["hour", "day"])
    assert (found["hour"]["bar_seconds"], found["day"]["bar_seconds"]) == (300, 3600)
    for period, bars in (("hour", 12), ("day", 24)):
        account = found[period]["accounts"]["business"]
        assert (account["received"], sum(account["received_bars"]), len(account["received_bars"])) == (2, 2, bars)
        crm = found[period]["hooks"]["crm"]
        assert (crm["accepted"], crm["failed"], crm["mean_ms"] > 0) == (2, 0, True)
    lines = (await stats(tmp_path)).out.splitlines()
    assert lines[0].startswith("last hour, per 5 minutes, from 20")
    assert lines[1].split() == ["account", "received", "sent", "delivered", "read", "failed", "replies"]
    assert lines[2].split() == ["business", "2", "0", "0", "0", "0", "0", "█"]
    assert lines[6:7] == [""] and lines[7].startswith("last day, per hour, from 20")
    assert (await stats(tmp_path, "--day")).out.splitlines()[1:] == lines[8:]
    async with watching(gateway, "stats", "--hour", PYTHONIOENCODING="ascii") as process:
        await process.until(r"^business +2 .* @$")
        assert (await process.process.wait(), process.errors) == (0, [])


async def test_an_empty_log_says_so(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """Nothing was logged, or nothing lately."""
    gateway = make_gateway(event_logger=section(tmp_path))
    gateway.write()
    said = await stats(tmp_path)
    assert (said.code, said.err) == (0, "")
    assert said.out == "last hour, per 5 minutes: nothing was logged\n\nlast day, per hour: nothing was logged\n"
    ms = round(time.time() * 1000) - 7_200_000
    target = open_target("file", gateway.config)
    known = {"id": id_of(Place(ms, 0)), "at": moment(ms), "type": "message.received", "account_id": "business"}
    target.write([msgspec.convert(known, Row)])
    target.close()
    lines = (await stats(tmp_path)).out.splitlines()
    assert lines[0] == "last hour, per 5 minutes: nothing was logged"
    assert lines[4].split()[:2] == ["business", "1"]


async def test_a_log_that_is_off_is_one_clear_line(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """Code 1, and what to do."""
    make_gateway(event_logger=section(tmp_path, enabled=False)).write()
    said = await stats(tmp_path)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.startswith("the event log is off: set event_logger.enabled to true in ")
