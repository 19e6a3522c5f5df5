"""A hook's receiver, played: a real HTTP server on loopback that records what arrives and behaves as told.

Hand-made on asyncio, since it has to misbehave in ways that no framework allows.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import msgspec

#: Given a request and the connection's writer, write an answer; what it leaves unwritten is a hang.
Behaviour = Callable[["Received", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, the first of each."""
        return {key: values[0] for key, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def event(self) -> str:
        """The event's type, as the gateway appended it."""
        return self.query.get("event", "")


def status(code: int, body: bytes = b"ok") -> Behaviour:
    """Answer with a status."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (code, len(body), body))

    return behave


async def hang(_: Received, writer: asyncio.StreamWriter) -> None:
    """Never answer, until the connection is closed."""
    while not writer.is_closing():
        await asyncio.sleep(0.05)


@dataclass
class Receiver:
    """The server; `behave` may be changed at any time, `received` holds what arrived, in order."""

    behave: Behaviour = field(default_factory=lambda: status(200))
    received: list[Received] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)

    def url(self, path: str = "/hook") -> str:
        """The address to configure."""
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, event: str) -> list[Received]:
        """What arrived of one type."""
        return [one for one in self.received if one.event == event]

    async def wait(self, count: int = 1, *, event: str = "", timeout: float = 15.0) -> list[Received]:
        """Return what arrived (of a type) once it is at least `count`; raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while len(found := self.of(event) if event else self.received) < count:
                await asyncio.sleep(0.01)
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await self._read(reader)
                self.received.append(request)
                await self.behave(request, writer)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Received:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rows = head.split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {key.lower(): value.strip() for key, _, value in (row.partition(":") for row in rows if row)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Received(method, target, headers, body, asyncio.get_running_loop().time())
