"""How a run ends: when nothing is missing any more, or when nothing comes any more."""

import asyncio
import time
from collections.abc import Awaitable, Callable

#: Seconds between two looks at least; a look that takes long is followed by a longer pause.
_PAUSE = 0.2


async def come_to_rest(look: Callable[[], Awaitable[tuple[bool, object]]], patience: float) -> None:
    """Return once `look` says that a run is over, or sees the same for `patience` seconds.

    It tells whether the run is over, and what changes as long as anything comes.
    """
    before: object = None
    since = time.monotonic()
    while (looked := time.monotonic()) - since < patience:
        is_over, seen = await look()
        if is_over:
            return
        if seen != before:
            before, since = seen, time.monotonic()
        await asyncio.sleep(max(_PAUSE, 2 * (time.monotonic() - looked)))
