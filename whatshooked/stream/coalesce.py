"""Many small wishes, few round trips: one flush in flight, and the next takes all that wait.

Nobody waits for a timer: a lone wish is flushed at once, and under load the batch grows by itself to what arrives
during one round trip.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Wish = TypeVar("Wish")
Answer = TypeVar("Answer")


class Coalescer(Generic[Wish, Answer]):
    """Groups wishes into batches for `flush`, which answers a batch with one answer per wish or raises for all."""

    def __init__(self, flush: Callable[[Sequence[Wish]], Awaitable[Sequence[Answer]]], *, most: int) -> None:
        self._flush = flush
        self._most = most
        self._waiting: deque[tuple[Wish, asyncio.Future[Answer]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, wish: Wish) -> "asyncio.Future[Answer]":
        """Return a future of the wish's answer; it carries the exception of the flush it was part of."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return future

    async def drain(self, patience: float | None = None) -> None:
        """Return when nothing waits any more, or after `patience` seconds: what waits then goes on as it may."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._task is not None:
                    await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                await self._settle(batch)
        finally:
            self._task = None

    async def _settle(self, batch: list[tuple[Wish, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._flush([wish for wish, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
