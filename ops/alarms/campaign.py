"""Faults made on a stage: one after the other, or all together, with the seconds until each alarm came and went."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.alarms.peers import BYSTANDER, WITNESS, text
from ops.alarms.stage import Plan, Stage, staged
from ops.alarms.watch import Watch, matches

Act = Callable[[Stage], Awaitable[None]]

#: Seconds that an alarm may take to come, or to go: the longest window has 70.
_PATIENCE = 120.0
#: Seconds after which all hooks have long taken what came before the first fault.
_DELIVERED = 2.0


@dataclass(frozen=True)
class Alarm:
    """An alarm by its name, and the labels that tell it from others of that name."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as the table has it."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.labels.items())])


@dataclass(frozen=True)
class Whom:
    """In which state the dashboard has to name the customers whom a fault concerns, and what makes one of them.

    `labels` are the hook or account that a reader chooses there; `customer` is who has to be named.
    """

    state: str
    touch: Act
    labels: Mapping[str, str] = field(default_factory=dict)
    customer: str = WITNESS

    @property
    def query(self) -> str:
        """What the dashboard asks."""
        labels = {**self.labels, "state": self.state}
        matchers = ", ".join(f'{name}="{value}"' for name, value in labels.items())
        return f"whatshooked_customer_count{{{matchers}}}"


@dataclass(frozen=True)
class Fault:
    """What is done to the stage, the alarms that have to come of it, and what mends it once all of them stand.

    `whom` it concerns is None where nobody can be named, or nobody is concerned.
    """

    told: str
    alarms: Sequence[Alarm]
    make: Act
    mend: Act
    whom: Whom | None = None


@dataclass(frozen=True)
class Row:
    """What came of a fault: the seconds until an alarm of it stood, and until it was gone; None when it never was."""

    told: str
    alarm: Alarm
    fired: float | None = None
    cleared: float | None = None
    #: In which state its customers were named, "" of a fault without.
    named: str = ""
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
        await writes(stage, BYSTANDER)
        await asyncio.sleep(_DELIVERED)
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
    named, doubt = await _named(stage, fault.whom) if fault.whom else ("", "")
    since = time.monotonic()
    await fault.mend(stage)
    went = await asyncio.gather(*(_seconds(stage.seen, row.alarm, _PATIENCE, since, stands=False) for row in rows))
    return [
        dataclasses.replace(row, fired=fired, cleared=cleared, named=named, wrong=_wrong(fired, cleared) or doubt)
        for row, fired, cleared in zip(rows, came, went, strict=True)
    ]


async def writes(stage: Stage, customer: str = WITNESS) -> None:
    """Let a customer write to the account that has the hooks."""
    await stage.post(stage.plan.accounts[0], text(f"wamid.of{time.time_ns()}", sender=customer))


async def event_of(stage: Stage, customer: str) -> bytes:
    """Return the id of the last event that a customer sent."""
    rows = await stage.link.call("XREVRANGE", stage.keys.events, "+", "-", "COUNT", 1_000)
    return bytes(next(event_id for event_id, fields in rows if customer.encode() in fields[1]))


async def nothing_more(_: Stage) -> None:
    """Leave it at that: the fault itself concerns somebody."""


async def _named(stage: Stage, whom: Whom) -> tuple[str, str]:
    """Return the state in which the witness was named, and what is wrong with whom the dashboard named."""
    await whom.touch(stage)
    try:
        async with asyncio.timeout(_PATIENCE):
            while whom.customer not in (named := await stage.named(whom.query)):
                await asyncio.sleep(0.2)
    except TimeoutError:
        return "", f"{whom.query} did not name who was concerned"
    return whom.state, f"{whom.query} named somebody who was not concerned" if BYSTANDER in named else ""


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
