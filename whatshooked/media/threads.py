"""Threads of the store's own: a disk that hangs keeps no webhook waiting for a thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")
#: Disks do little more at once than a few of these ask for.
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="media")


async def beside(act: Callable[..., _Result], *args: object) -> _Result:
    """Return what a function that waits for the disk returns, and raise what it raises.

    Who is cancelled meanwhile is so when it has ended: a file that is closed under a thread may be another by then.
    """
    running = asyncio.get_running_loop().run_in_executor(_THREADS, act, *args)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()
        raise
