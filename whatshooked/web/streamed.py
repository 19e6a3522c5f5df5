"""An answer that goes on for a while: pieces as they come, until there are no more or the client leaves."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from litestar.types import Receive, Scope, Send

from whatshooked import logs
from whatshooked.errors import LogUnavailable

log = logs.get("web")

Pieces = Callable[[], AsyncGenerator[bytes, None]]
_ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "x-accel-buffering": "no"}


class Streamed:
    """Answers 200 once the first piece is there: what goes wrong before is raised, and answered as any error is.

    What goes wrong later breaks the connection, so that nobody takes a part for the whole.
    """

    def __init__(self, pieces: Pieces, headers: dict[str, str]) -> None:
        self._pieces = pieces
        self._headers = [(name.encode(), value.encode("latin-1")) for name, value in (_ALWAYS | headers).items()]
        self._begun = False

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                self._tell(sending)
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.wait({sending, leaving})

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                if not self._begun:
                    self._begun = True
                    await send({"type": "http.response.start", "status": 200, "headers": self._headers})
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _tell(self, sending: "asyncio.Task[None]") -> None:
        """Raise what went wrong, unless a part is on its way and the server breaks off: that is in the log alone."""
        try:
            sending.result()
        except LogUnavailable as error:
            if not self._begun:
                raise
            log.error("An export was broken off", error=str(error))


async def _left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
