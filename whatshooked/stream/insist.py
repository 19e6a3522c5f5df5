"""What has to be written down is tried until Redis takes it: only a process that stops gives up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from whatshooked import metrics
from whatshooked.errors import StreamUnavailable
from whatshooked.logs import Log

Answer = TypeVar("Answer")

#: Tries between two lines of the log.
_SAID_EVERY = 50


async def insist(
    act: Callable[[], Awaitable[Answer]], gives_up: Callable[[], bool], *, pause: float, part: str, log: Log, said: str
) -> Answer:
    """Return what `act` returns once Redis answers; raises StreamUnavailable when `gives_up` says so.

    `act` is called again after an answer that was lost on its way: it must bear that. `pause` is in seconds, `part` is
    what the failures are counted under, `said` what the log says of them.
    """
    tries = 0
    while True:
        try:
            return await act()
        except StreamUnavailable as error:
            if gives_up():
                raise
            metrics.REDIS_ERRORS.labels(part).inc()
            if tries % _SAID_EVERY == 0:
                log.warn(said, error=str(error))
            tries += 1
            await asyncio.sleep(pause)
