"""What happens, as it happens, for those who listen: one look at Redis serves all listeners of this process.

A line is a Server-Sent Event: `id:` the row's, `event:` its type, `data:` the row.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.errors import StreamUnavailable
from whatshooked.eventlog.compose import Composer
from whatshooked.eventlog.export import shown
from whatshooked.eventlog.row import Place, Row, Wanted, is_wanted, place
from whatshooked.keys import Keys
from whatshooked.stream.activity import WATCH_SECONDS, watch
from whatshooked.stream.follow import Record
from whatshooked.stream.link import Link
from whatshooked.web.faults import Fault
from whatshooked.web.flow import Flow, Streams

log = logs.get("web")

#: Who may listen to one process at a time.
MOST_LISTENERS = 100
#: Lines and bytes that wait for a listener who is slow; what comes beyond is counted and dropped.
MOST_LINES = 500
MOST_BYTES = 2_097_152
#: Seconds without a line after which a comment says that the connection lives.
HEARTBEAT_EVERY = 15.0
#: Seconds between two looks for what happened, and the pause while Redis is away.
_LOOK_EVERY = 0.2
_PAUSE = 1.0
_WATCH_EVERY = WATCH_SECONDS / 4
#: Seconds that the clocks of this machine and of Redis may be apart.
_SKEW = 3_600
#: Rows that are made in one go: webhooks wait so long.
_AT_ONCE = 50
HEARTBEAT = b":\n\n"
#: How a stream begins: a client that lost it comes back after two seconds.
BEGINS = b"retry: 2000\n: listening\n\n"


class Listener:
    """One who listens: lines wait here until they are sent."""

    def __init__(self, wanted: Wanted, *, hears: bool) -> None:
        self.wanted = wanted
        #: Whether lines are kept already; who comes back reads first what was missed.
        self.hears = hears
        #: Unix ms before which nothing is told.
        self.since = 0
        self._lines: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._dropped = 0
        self._ended = False
        self._woken = asyncio.Event()

    def put(self, ms: int, line: bytes) -> None:
        """Keep a line of a row of this time (unix ms), or count it when too much waits."""
        if len(self._lines) >= MOST_LINES or self._bytes + len(line) > MOST_BYTES:
            self._dropped += 1
            return
        if self._dropped:
            self._add(ms, self._taken_dropped())
        self._add(ms, line)

    def end(self) -> None:
        """Have the listener leave once it has what waits."""
        self._ended = True
        self._woken.set()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """Yield lines as they come, and a comment where none does for a while; ends when this process stops."""
        while True:
            while self._lines:
                ms, line = self._lines.popleft()
                self._bytes -= len(line)
                if ms >= self.since:
                    yield line
            if self._dropped:
                yield self._taken_dropped()
                continue
            if self._ended:
                return
            self._woken.clear()
            try:
                async with asyncio.timeout(HEARTBEAT_EVERY):
                    await self._woken.wait()
            except TimeoutError:
                yield HEARTBEAT

    def _add(self, ms: int, line: bytes) -> None:
        self._lines.append((ms, line))
        self._bytes += len(line)
        self._woken.set()

    def _taken_dropped(self) -> bytes:
        dropped, self._dropped = self._dropped, 0
        return b'event: dropped\ndata: {"dropped":%d}\n\n' % dropped


class Live:
    """All who listen to this process; Redis is read while there are any."""

    def __init__(self, link: Link, keys: Keys, config: Callable[[], Config], streams: Callable[[], Streams]) -> None:
        self._link = link
        self._keys = keys
        self._config = config
        self._streams = streams
        self._listeners: set[Listener] = set()
        self._reading: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._stopping = False

    async def listen(self, wanted: Wanted, after: Place | None) -> AsyncGenerator[bytes, None]:
        """Yield the stream of one who listens, from behind a place on as far as Redis still has it.

        Raises Fault before the first line when too many listen.
        """
        if after is not None and after.ms > (time.time() + _SKEW) * 1000:
            after = None  # nobody can have heard that yet
        with self._seat(Listener(wanted, hears=after is None)) as listener:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):  # else Redis is away, and is waited for
                    await self._begun.wait()
            yield BEGINS
            if after is not None:
                flow = Flow(self._link, self._streams(), after.ms)
                async for line in self._missed(flow, wanted, after):
                    yield line
                listener.hears = True
                # What happened until this very moment, with what one look takes: from then on the listener has it.
                async for line in self._missed(flow, wanted, after):
                    yield line
                listener.since = flow.until or 0
            async for line in listener.lines():
                yield line

    def stop(self) -> None:
        """Have all leave, and nobody come."""
        self._stopping = True
        for listener in self._listeners:
            listener.end()

    async def close(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            self._reading.cancel()
        await self._link.close()

    @contextlib.contextmanager
    def _seat(self, listener: Listener) -> Iterator[Listener]:
        if self._stopping or len(self._listeners) >= MOST_LISTENERS:
            message = f"{MOST_LISTENERS} listen to this process already, or it stops"
            raise Fault(503, "too_many_listeners", message, "come again later", {"Retry-After": "10"})
        self._listeners.add(listener)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._reading is not None:
                self._reading.cancel()
                self._reading = None
                self._begun.clear()

    async def _missed(self, flow: Flow, wanted: Wanted, after: Place) -> AsyncGenerator[bytes, None]:
        """Yield what a flow has until it has come up with the present; while Redis is away, that we live."""
        composer, records = self._composer(), list[Record]()
        caught_up = False
        while not caught_up and not self._stopping:
            try:
                records = records or await flow.look()
                caught_up = not flow.behind
                while records:
                    for row in await composer.rows(records[:_AT_ONCE]):
                        if place(row) > after and is_wanted(row, wanted):
                            yield _line(row)
                    del records[:_AT_ONCE]
            except StreamUnavailable:
                caught_up = False
                yield HEARTBEAT
                await asyncio.sleep(_PAUSE)

    async def _read(self) -> None:
        """Tell listeners what happens; an error of ours ends their streams, and they come back."""
        try:
            await self._follow()
        except Exception as error:
            log.bug("Nobody can listen to what happens for the moment", error)
            self._reading = None
            self._begun.clear()
            for listener in self._listeners:
                listener.end()

    async def _follow(self) -> None:
        watched = 0.0
        config, streams, composer = self._config(), self._streams(), self._composer()
        flow = Flow(self._link, streams)
        records: list[Record] = []
        while True:
            try:
                if time.monotonic() - watched > _WATCH_EVERY:
                    await watch(self._link, self._keys)
                    watched = time.monotonic()
                if config is not self._config():
                    config, composer = self._config(), self._composer()
                if not records and streams != self._streams():
                    streams = self._streams()
                    flow = Flow(self._link, streams, flow.until)
                records = records or await flow.look()
                self._begun.set()
                await self._tell(composer, records)
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("live").inc()
                log.debug("What happens could not be read, trying again", error=str(error))
                await asyncio.sleep(_PAUSE)
            await asyncio.sleep(0.0 if flow.behind else _LOOK_EVERY)

    async def _tell(self, composer: Composer, records: list[Record]) -> None:
        """Give rows to who wants them, and take them from the list once they are given; raises StreamUnavailable."""
        while records:
            for row in await composer.rows(records[:_AT_ONCE]):
                hearing = [one for one in self._listeners if one.hears and is_wanted(row, one.wanted)]
                if hearing:
                    ms, line = place(row).ms, _line(row)
                    for listener in hearing:
                        listener.put(ms, line)
            del records[:_AT_ONCE]
            await asyncio.sleep(0)

    def _composer(self) -> Composer:
        return Composer(self._link, self._keys, self._config().event_logger)


def _line(row: Row) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (row.id.encode(), row.type.encode(), shown(row))
