"""Faults made on a stage: one after the other, or all together, with the seconds until each alarm came and went."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.alarms.stage import Plan, Stage, staged
from ops.alarms.watch import Watch, matches

Act = Callable[[Stage], Awaitable[None]]

#: Seconds that an alarm may take to come, or to go: the longest window has 70.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Alarm:
    """An alarm by its name, and the labels that tell it from others of that name."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as the table has it."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.labels.items())])


@dataclass(frozen=True)
class Fault:
    """What is done to the stage, the alarms that have to come of it, and what mends it once all of them stand."""

    told: str
    alarms: Sequence[Alarm]
    make: Act
    mend: Act


@dataclass(frozen=True)
class Row:
    """What came of a fault: the seconds until an alarm of it stood, and until it was gone; None when it never was."""

    told: str
    alarm: Alarm
    fired: float | None = None
    cleared: float | None = None
    #: What is wrong, "" when it came and went.
    wrong: str = ""


@dataclass(frozen=True)
class Group:
    """Faults of one stage; `together` at the same time, each with its own hook, account or target."""

    name: str
    plan: Plan
    faults: Sequence[Fault]
    together: bool = False
    prepare: Act | None = None


async def run(group: Group, folder: Path | None = None) -> list[Row]:
    """Make every fault of a group on a stage of its own, and return what came of them."""
    async with staged(group.plan, folder) as stage:
        if group.prepare is not None:
            await group.prepare(stage)
        await quiet(stage.seen)
        if group.together:
            found = await asyncio.gather(*(one(stage, fault) for fault in group.faults))
        else:
            found = [await one(stage, fault) for fault in group.faults]
        return [checked(row, stage.seen) for rows in found for row in rows]


async def one(stage: Stage, fault: Fault) -> list[Row]:
    """Make one fault, wait for its alarms, mend it, and wait until they are gone."""
    rows = [Row(fault.told, alarm) for alarm in fault.alarms]
    if not await _gone(stage.seen, fault.alarms, 30.0):
        return [dataclasses.replace(row, wrong="it stood before the fault was made") for row in rows]
    since = time.monotonic()
    await fault.make(stage)
    came = await asyncio.gather(*(_seconds(stage.seen, row.alarm, _PATIENCE, since, stands=True) for row in rows))
    since = time.monotonic()
    await fault.mend(stage)
    went = await asyncio.gather(*(_seconds(stage.seen, row.alarm, _PATIENCE, since, stands=False) for row in rows))
    return [
        dataclasses.replace(row, fired=fired, cleared=cleared, wrong=_wrong(fired, cleared))
        for row, fired, cleared in zip(rows, came, went, strict=True)
    ]


async def quiet(watch: Watch, seconds: float = 3.0, patience: float = 30.0) -> None:
    """Wait until no alarm has stood for some seconds; raises TimeoutError."""
    async with asyncio.timeout(patience):
        since = time.monotonic()
        while time.monotonic() < since + seconds:
            if await watch.active():
                since = time.monotonic()
            await asyncio.sleep(0.2)


def checked(row: Row, watch: Watch) -> Row:
    """Return a row with what is wrong about the alarm's text, if anything is."""
    wanted = {"alertname": row.alarm.name, **row.alarm.labels}
    texts = [
        text for ring in watch.rings if wanted.items() <= ring.labels.items() for text in ring.annotations.values()
    ]
    broken = any("error expanding template" in text for text in texts)
    return dataclasses.replace(row, wrong="its text could not be made") if broken and not row.wrong else row


async def _gone(watch: Watch, alarms: Sequence[Alarm], patience: float) -> bool:
    """Return whether they are gone in time, also the wait of one that has yet to come: another fault began that."""
    try:
        async with asyncio.timeout(patience):
            for alarm in alarms:
                while matches(alarm.name, alarm.labels, await watch.begun()):
                    await asyncio.sleep(0.1)
                await watch.until(alarm.name, alarm.labels, stands=False, patience=patience)
    except TimeoutError:
        return False
    return True


async def _seconds(watch: Watch, alarm: Alarm, patience: float, since: float, *, stands: bool) -> float | None:
    try:
        await watch.until(alarm.name, alarm.labels, stands=stands, patience=patience)
    except TimeoutError:
        return None
    return time.monotonic() - since


def _wrong(fired: float | None, cleared: float | None) -> str:
    return "it did not come" if fired is None else "it did not go" if cleared is None else ""
