"""A small HTTP server on a free port of loopback: what it answers is up to whoever runs it."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self


class Request(NamedTuple):
    """What came: the path without slashes around it, the headers in small letters, the body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What is answered, after so many seconds."""

    status: int
    seconds: float = 0.0
    body: bytes = b""


Answer = Callable[[Request], Reply]


class Listener:
    """The server, for the time of an `async with`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}/{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self._one(reader, writer)
        self._writers.discard(writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rows = head.split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (row.partition(":") for row in rows)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        reply = self._answer(Request(line.split(" ")[1].partition("?")[0].strip("/"), headers, body))
        await asyncio.sleep(reply.seconds)
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (reply.status, len(reply.body), reply.body))
        await writer.drain()
