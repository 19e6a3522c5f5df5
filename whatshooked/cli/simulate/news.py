"""What the stand-in tells while it happens: messages both ways, statuses, webhooks and their answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import httpx

from whatshooked.cli.simulate.target import Object, Refused, StandIn, unreachable
from whatshooked.errors import StartError


class News:
    """Everything that was told and nobody took yet, in order."""

    def __init__(self) -> None:
        self.waiting: list[Object] = []
        #: Why no more will come, None while more may.
        self.ended: StartError | None = None
        self._changed = asyncio.Event()

    def put(self, item: Object) -> None:
        """Add an item."""
        self.waiting.append(item)
        self._wake()

    def end(self, error: StartError) -> None:
        """Let whoever waits know that no more will come."""
        self.ended = error
        self._wake()

    async def take(self, wanted: Callable[[Object], bool], seconds: float | None) -> Object | None:
        """Return the first item that is wanted, once it is there; None after so many seconds without one.

        What came before it stays. Raises StartError when the stand-in is gone.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    changed = self._changed
                    for place, item in enumerate(self.waiting):
                        if wanted(item):
                            return self.waiting.pop(place)
                    if self.ended is not None:
                        raise self.ended
                    await changed.wait()
        return None

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@contextlib.asynccontextmanager
async def news_of(target: StandIn) -> AsyncIterator[News]:
    """Listen to the stand-in until the block ends; what happens from its first line on is heard."""
    news = News()
    try:
        async with target.client.stream("GET", "/_sim/news", timeout=None) as answer:
            if answer.status_code != 200:
                raise Refused(f"{target.url} tells no news (HTTP {answer.status_code}): is it the stand-in?")
            listening = asyncio.create_task(_listen(target, answer, news))
            try:
                yield news
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    except httpx.TransportError as error:
        raise unreachable(target.url, error) from error


async def _listen(target: StandIn, answer: httpx.Response, news: News) -> None:
    try:
        async for line in answer.aiter_lines():
            if line.strip():
                news.put(json.loads(line))
        news.end(unreachable(target.url, ConnectionError("it has stopped")))
    except (httpx.HTTPError, ValueError) as error:
        news.end(unreachable(target.url, error))
