"""The targets of the event log as this process has them open to ask them, each with the one thread that uses it.

A page goes to one that is idle; an export has one of its own, which is closed with it.
"""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from whatshooked.config import Config
from whatshooked.config.model import Target as Name
from whatshooked.eventlog.row import Row, Wanted
from whatshooked.eventlog.targets import open_target
from whatshooked.web.faults import Fault

_Result = TypeVar("_Result")
#: Pages that are asked for at the same time, others wait; exports at the same time, others are refused.
MOST_PAGES = 4
MOST_EXPORTS = 4


class Reader:
    """An open target of a config; its calls raise LogUnavailable."""

    def __init__(self, name: Name, config: Config) -> None:
        self.config = config
        self._target = open_target(name, config)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ask {name}")

    async def page(self, wanted: Wanted, count: int) -> list[Row]:
        """Return the first rows asked for, at most so many."""
        return await self._run(lambda: _first(self._target.rows(wanted), count))

    async def pieces(
        self, wanted: Wanted, make: Callable[[Iterator[Row]], Iterator[bytes]]
    ) -> AsyncGenerator[bytes, None]:
        """Yield what is made of the rows asked for, read in the thread as far as somebody takes it."""
        left = threading.Event()
        found = make(_until(left, self._target.rows(wanted)))
        try:
            while (piece := await self._run(lambda: next(found, None))) is not None:
                yield piece
        finally:
            left.set()
            self._thread.submit(_close, found)

    def close(self) -> None:
        """Close the target once its thread has done what it is at; returns at once."""
        self._thread.submit(self._target.close)
        self._thread.shutdown(wait=False)

    async def _run(self, act: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)


class Readers:
    """All readers of this process, as the config has the targets at each moment."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._idle: dict[Name, list[Reader]] = defaultdict(list)
        self._turns = asyncio.Semaphore(MOST_PAGES)
        self._exports = 0

    async def page(self, name: Name, wanted: Wanted, count: int) -> list[Row]:
        """Return the first rows that a target has of those asked for; raises LogUnavailable."""
        async with self._turns:
            self.follow()
            idle = self._idle[name]
            reader = idle.pop() if idle else Reader(name, self._config())
            try:
                return await reader.page(wanted, count)
            finally:
                self._idle[name].append(reader)
                self.follow()

    @contextlib.asynccontextmanager
    async def alone(self, name: Name) -> AsyncIterator[Reader]:
        """Give a reader that nobody else uses; raises Fault when there are too many."""
        if self._exports >= MOST_EXPORTS:
            message = f"{MOST_EXPORTS} exports are under way already"
            raise Fault(503, "too_many_exports", message, "come again later", {"Retry-After": "30"})
        self._exports += 1
        reader = Reader(name, self._config())
        try:
            yield reader
        finally:
            reader.close()
            self._exports -= 1

    def follow(self) -> None:
        """Close what is open and idle of another config than that of this moment."""
        for readers in self._idle.values():
            for reader in [one for one in readers if one.config is not self._config()]:
                readers.remove(reader)
                reader.close()

    def close(self) -> None:
        """Close all that is idle; an export closes its own."""
        for readers in self._idle.values():
            while readers:
                readers.pop().close()


def _first(rows: Iterator[Row], count: int) -> list[Row]:
    try:
        return list(islice(rows, count))
    finally:
        _close(rows)


def _until(left: threading.Event, rows: Iterator[Row]) -> Iterator[Row]:
    """Yield rows while somebody wants them: what is made of all of them at once would go on for nobody."""
    try:
        for row in rows:
            if left.is_set():
                return
            yield row
    finally:
        _close(rows)


def _close(generator: Iterator[object]) -> None:
    close = getattr(generator, "close", None)
    if close is not None:
        close()
