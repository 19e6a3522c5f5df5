"""What happened goes to one target, in batches, at its own pace.

What is read and not written stays with the target's group until it is: a target that is down delays nobody but itself.
"""

import asyncio
import contextlib
import functools
import time

from whatshooked import logs, metrics
from whatshooked.config.model import Target as Name
from whatshooked.errors import LogUnavailable, StreamUnavailable
from whatshooked.eventlog.compose import Composer
from whatshooked.eventlog.row import Row
from whatshooked.eventlog.targets import open_target
from whatshooked.keys import Keys
from whatshooked.stream.follow import Group, Record, shards
from whatshooked.stream.link import Link
from whatshooked.stream.registry import known_accounts
from workers.eventlog.process import Task

log = logs.get("eventlog")

#: Seconds between two looks for records when there were none, which is how late a row is at most.
TICK = 0.25
#: Entries of one read at most; each may hold the records of a whole batch of events.
_ENTRIES = 512
#: Records of one read above which the next one asks for fewer entries, and below which for more.
_MANY, _FEW = 8_000, 2_000
#: Rows that are made in one go: the other targets wait so long.
_AT_ONCE = 500
#: Seconds between two tries of a target that is down.
_PAUSE = (0.5, 15.0)
#: Seconds between two looks for rows that are too old or too many.
_RETAIN_EVERY = 60.0


class Writer:
    """Writes one target until told to stop."""

    def __init__(self, task: Task, target: Name) -> None:
        self._name = target
        self._link = Link(task.url)
        self._keys = Keys(task.prefix)
        self._account_ids = frozenset(task.account_ids)
        self._target = open_target(target, task)
        self._group = Group(self._link, target)
        self._composer = Composer(self._link, self._keys, task.event_logger)
        self._count = _ENTRIES // 8
        self._is_down = False
        #: Whether records may have been read and not written: by a process that died, or before an error.
        self._looks_back = True
        self._retain_at = time.monotonic() + 5.0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Write; a target or a Redis that is away is waited for. Told to stop, write what is there and end."""
        pause = _PAUSE[0]
        while True:
            is_last = self.stopping.is_set()
            try:
                rest = 0.0 if await self._step() else TICK
                if self._is_down:
                    log.info("The event log is written again", target=self._name)
                pause, self._is_down = _PAUSE[0], False
            except LogUnavailable as error:
                metrics.LOG_ERRORS.labels(self._name).inc()
                log.seldom("error", f"The event log waits: {self._name}", error=str(error))
                self._is_down = True
                rest, pause = pause, min(pause * 2, _PAUSE[1])
                self._looks_back = True
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("eventlog").inc()
                log.seldom("warn", "Records could not be read, trying again", target=self._name, error=str(error))
                rest, self._looks_back = 1.0, True
            if is_last and rest:
                return
            if rest:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(rest):
                        await self.stopping.wait()

    async def close(self) -> None:
        """Let go of the target and of Redis."""
        await asyncio.to_thread(self._target.close)
        await self._link.close()

    async def _step(self) -> bool:
        """Write what is there, a batch of it; returns whether there is more than that.

        What comes in meanwhile waits for the next look: few large batches cost less than many small ones.
        """
        await asyncio.to_thread(self._target.begin)
        streams = shards(self._keys, await self._accounts())
        looking_back = self._looks_back
        records = await self._group.read(streams, self._count, own=looking_back)
        if records:
            rows = await self._rows(records)
            await asyncio.to_thread(self._target.write, rows)
            metrics.LOG_ROWS.labels(self._name).inc(len(rows))
            await self._group.written(streams, records)
        elif looking_back:
            self._looks_back = False
        await self._retain()
        is_full = len({record.entry for record in records}) >= self._count
        if len(records) > _MANY:
            self._count = max(self._count // 4, 1)
        elif len(records) < _FEW:
            self._count = min(self._count * 2, _ENTRIES)
        return is_full or looking_back

    async def _rows(self, records: list[Record]) -> list[Row]:
        rows: list[Row] = []
        for start in range(0, len(records), _AT_ONCE):
            rows += await self._composer.rows(records[start : start + _AT_ONCE])
            await asyncio.sleep(0)
        return rows

    async def _accounts(self) -> frozenset[str]:
        """Return every account that may have outgoing messages, also one that left the config."""
        return self._account_ids.union(await known_accounts(self._link, self._keys))

    async def _retain(self) -> None:
        if time.monotonic() < self._retain_at:
            return
        self._retain_at = time.monotonic() + _RETAIN_EVERY
        removed = await asyncio.to_thread(functools.partial(self._target.retain, round(time.time() * 1000)))
        for reason, count in removed._asdict().items():
            if count:
                metrics.LOG_REMOVED.labels(self._name, reason).inc(count)
                log.info("Rows of the event log removed", target=self._name, reason=reason, rows=count)
