"""The event log's writers: each target of the config gets what happened, in batches, at its own pace.

One worker writes a target at a time, by turn. What is read and not written stays with the target's group until it is: a
target that is down delays nobody but itself.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.config.model import Target as Name
from whatshooked.errors import LogUnavailable, StreamUnavailable
from whatshooked.eventlog.compose import Composer
from whatshooked.eventlog.row import Row
from whatshooked.eventlog.target import Target
from whatshooked.eventlog.targets import open_target
from whatshooked.keys import Keys
from whatshooked.stream import turn
from whatshooked.stream.follow import Group, Record, shards
from whatshooked.stream.link import Link

log = logs.get("eventlog")

#: Seconds between two looks for records when there were none, which is how late a row is at most.
TICK = 0.25
#: Entries of one read; each may hold the records of a whole batch of events.
_ENTRIES = 32
#: Rows that are made in one go: what else this process does waits so long.
_AT_ONCE = 200
#: Seconds of a turn, after which it has to be renewed.
TURN = 10
#: Seconds between two tries of a target that is down.
_PAUSE = (0.5, 15.0)
#: Seconds between two looks for rows that are too old or too many.
_RETAIN_EVERY = 60.0


class Writer:
    """Writes one target until told to stop; `name` is this worker's."""

    def __init__(self, link: Link, keys: Keys, name: str, target_name: Name, config: Config) -> None:
        self._link = link
        self._keys = keys
        self._name = name
        self.target_name: Name = target_name
        self._config = config
        self._target: Target = open_target(target_name, config)
        self._group = Group(link, target_name)
        self._composer = Composer(link, keys, config.event_logger)
        #: Whether records may be ours that were read and not written: by a process that died, or before an error.
        self._looks_back = True
        self._turn_until = 0.0
        self._retain_at = time.monotonic() + 5.0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Write; a target or a Redis that is away is waited for."""
        pause = _PAUSE[0]
        while not self.stopping.is_set():
            rest = TICK
            try:
                if await self._has_turn() and await self._step():
                    rest = 0.0
                pause = _PAUSE[0]
            except LogUnavailable as error:
                metrics.LOG_ERRORS.labels(self.target_name).inc()
                log.seldom("error", "The event log waits", target=self.target_name, error=str(error))
                rest, pause = pause, min(pause * 2, _PAUSE[1])
                self._looks_back = True
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("eventlog").inc()
                log.debug("Records could not be read, trying again", target=self.target_name, error=str(error))
                rest, self._looks_back = 1.0, True
            await self._rest(rest)

    async def close(self) -> None:
        """Give the turn away and let go of the target."""
        with contextlib.suppress(StreamUnavailable):
            if time.monotonic() < self._turn_until:
                await self._link.call("DEL", self._keys.log_writer(self.target_name))
        await asyncio.to_thread(self._target.close)

    async def _rest(self, seconds: float) -> None:
        if seconds:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()

    async def _has_turn(self) -> bool:
        if time.monotonic() < self._turn_until - TURN / 2:
            return True
        key = self._keys.log_writer(self.target_name)
        asked = time.monotonic()
        found = await turn.take(self._link, self._keys, key, self._name, TURN)
        if found == "other":
            self._turn_until = 0.0
            return False
        if found == "held":
            await self._link.call("EXPIRE", key, TURN)
        else:
            self._looks_back = True
        self._turn_until = asked + TURN
        return True

    async def _step(self) -> bool:
        """Write what is there, a batch of it; returns whether there may be more."""
        streams = shards(self._keys, await self._accounts())
        looking_back = self._looks_back
        records = await self._group.read(streams, _ENTRIES, own=looking_back)
        if records:
            rows = await self._rows(records)
            await asyncio.to_thread(self._target.write, rows)
            metrics.LOG_ROWS.labels(self.target_name).inc(len(rows))
            await self._group.written(streams, records)
        elif looking_back:
            self._looks_back = False
        await self._retain()
        return bool(records) or looking_back

    async def _rows(self, records: list[Record]) -> list[Row]:
        rows: list[Row] = []
        for start in range(0, len(records), _AT_ONCE):
            rows += await self._composer.rows(records[start : start + _AT_ONCE])
            await asyncio.sleep(0)
        return rows

    async def _accounts(self) -> set[str]:
        """Return every account that may have outgoing messages, also one that left the config."""
        known = {name.decode() for name in await self._link.call("SMEMBERS", self._keys.accounts)}
        return known | {account.id for account in self._config.whatsapp if account.business_api is not None}

    async def _retain(self) -> None:
        if time.monotonic() < self._retain_at:
            return
        self._retain_at = time.monotonic() + _RETAIN_EVERY
        removed = await asyncio.to_thread(functools.partial(self._target.retain, round(time.time() * 1000)))
        for reason, count in removed._asdict().items():
            if count:
                metrics.LOG_REMOVED.labels(self.target_name, reason).inc(count)
                log.info("Rows of the event log removed", target=self.target_name, reason=reason, rows=count)


class EventLog:
    """All targets' writers in this worker, as the config has them at each moment."""

    def __init__(self, link: Callable[[], Link], keys: Keys, name: str, config: Callable[[], Config]) -> None:
        self._new_link = link
        self._keys = keys
        self._name = name
        self._config = config
        self._writers: dict[asyncio.Task[None], tuple[Writer, Link]] = {}
        self._of: Config | None = None
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Follow the config until told to stop."""
        while not self.stopping.is_set():
            if self._of is not self._config():
                await self._end()
                self._begin()
            for task in [task for task in self._writers if task.done()]:
                task.result()  # an error of ours ends this loop, and with it the process
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self.stopping.wait()
        await self._end()

    def _begin(self) -> None:
        self._of = config = self._config()
        logger = config.event_logger
        for target in dict.fromkeys(logger.targets) if logger.enabled else ():
            link = self._new_link()
            writer = Writer(link, self._keys, self._name, target, config)
            self._writers[asyncio.create_task(writer.run(), name=f"eventlog {target}")] = writer, link

    async def _end(self) -> None:
        for writer, _ in self._writers.values():
            writer.stopping.set()
        if self._writers:
            await asyncio.wait(self._writers, timeout=10.0)
        for task, (writer, link) in self._writers.items():
            if task.done():
                await writer.close()
            else:
                task.cancel()  # its target hangs: what it has not written stays with its group
            await link.close()
        self._writers.clear()
