"""The heartbeat of this process, and taking over what dead processes had read and not routed."""

import asyncio
import time
from collections.abc import Callable

from whatshooked import logs, metrics
from whatshooked.errors import StreamUnavailable
from whatshooked.hooks.hook import Hooks
from whatshooked.stream.consume import ALIVE_SECONDS, Consumer
from workers.consumer import Reader
from workers.rounds import came_round

log = logs.get("workers")

#: Seconds between heartbeats, and between looks for the dead.
BEAT = 2.0


class Recovery:
    """Beats and recovers until told to stop."""

    def __init__(self, consumer: Consumer, reader: Reader, hooks: Callable[[], Hooks]) -> None:
        self._consumer = consumer
        self._reader = reader
        self._hooks = hooks
        self.stopping = asyncio.Event()
        self._beating_since: float | None = None

    @property
    def steady_seconds(self) -> float:
        """How long this process's heartbeat has not missed a beat: the others had the chance to show theirs as well."""
        return time.monotonic() - self._beating_since if self._beating_since is not None else 0.0

    async def beat(self) -> None:
        """Beat once; raises StreamUnavailable."""
        try:
            await self._consumer.beat(self._hooks().by_id)
        except StreamUnavailable:
            self._beating_since = None
            raise
        if self._beating_since is None:
            self._beating_since = time.monotonic()

    async def run(self) -> None:
        """Beat, and look for the dead once others must have had time to show that they live."""
        while not self.stopping.is_set():
            came_round()
            try:
                await self.beat()
                if self.steady_seconds > ALIVE_SECONDS / 2:
                    await self._take_over()
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("recover").inc()
                log.debug("Heartbeat failed, trying again", error=str(error))
            try:
                async with asyncio.timeout(BEAT):
                    await self.stopping.wait()
            except TimeoutError:
                continue

    async def _take_over(self) -> None:
        for dead in await self._consumer.dead_consumers():
            finished = False
            while not finished and not self.stopping.is_set():
                try:
                    recovered = await self._consumer.recover(dead)
                except StreamUnavailable:
                    self._reader.look_back = True  # the answer may be lost, and its entries ours
                    raise
                finished = recovered.finished
                for event_id in recovered.poisoned:
                    metrics.POISONED.inc()
                    log.error("Entry set aside: it kept killing its worker", event_id=event_id)
                if not recovered.entries:
                    continue
                metrics.RECOVERED.inc(len(recovered.entries))
                log.warn("Took over entries of a dead worker", consumer=dead, entries=len(recovered.entries))
                try:
                    await self._reader.route(recovered.entries)
                except StreamUnavailable:
                    self._reader.look_back = True
                    raise
