"""Rows of an event log as tests make them, written into the targets themselves, and what listeners hear."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec

from tests.conftest import API_KEY, Gateway
from whatshooked.config import Config
from whatshooked.config.model import Target as Name
from whatshooked.eventlog.compose import moment
from whatshooked.eventlog.row import Place, Row, id_of
from whatshooked.eventlog.targets import open_target

#: The first of October 2026, UTC, in unix ms.
START = 1_790_812_800_000
CUSTOMER = "4915112345678"


def section(folder: Path, *targets: str, **more: object) -> dict[str, object]:
    """The section of a config whose log is on, with its files in a folder."""
    places = {"file_dir": str(folder / "events"), "sqlite_path": str(folder / "events.sqlite")}
    return {"enabled": True, "targets": list(targets or ("file",))} | places | more


def row(number: int, type_: str = "message.received", **more: object) -> Row:
    """One row a second from START on."""
    ms = START + number * 1000
    known: dict[str, object] = {
        "id": id_of(Place(ms, number % 7)),
        "at": moment(ms),
        "type": type_,
        "account_id": "business",
        "conversation": CUSTOMER,
        "event_id": f"{ms}-0",
        "text": f"text {number}",
    }
    return msgspec.convert(known | more, Row)


def write(config: Config, rows: Iterable[Row], *names: Name) -> None:
    """Write rows into targets of a config."""
    kept = list(rows)
    for name in names:
        with contextlib.closing(open_target(name, config)) as target:
            for start in range(0, len(kept), 5_000):
                target.write(kept[start : start + 5_000])


async def reloaded(gateway: Gateway) -> None:
    """Have the gateway read its document again, as an operator would."""
    gateway.write()
    signal.raise_signal(signal.SIGHUP)
    await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def stalled(gateway: Gateway, path: str) -> AsyncIterator[socket.socket]:
    """Ask for a path and take its first bytes alone: all beyond some hundred KB waits in the gateway."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(30)
        await asyncio.to_thread(client.connect, ("127.0.0.1", int(gateway.base.rpartition(":")[2])))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n\r\n".encode())
        assert (await asyncio.to_thread(client.recv, 12)) == b"HTTP/1.1 200"
        yield client


async def rest(client: socket.socket, until: bytes = b"") -> bytes:
    """Return what is still to come, to the end or to where some bytes stand."""
    found = bytearray()
    while piece := await asyncio.to_thread(client.recv, 1_000_000):
        found += piece
        if until and until in found[-len(piece) - len(until) :]:
            break
    return bytes(found)


@dataclass
class Heard:
    """One line of the stream: an event's id, type and data."""

    id: str = ""
    event: str = ""
    data: dict[str, object] = field(default_factory=dict)


class Ear:
    """A client that listens, whether or not somebody waits for what it hears."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments = 0
        self._heard: asyncio.Queue[Heard | None] = asyncio.Queue()

    async def next(self, timeout: float = 10.0) -> Heard:
        """Return the next event; raises TimeoutError, and EOFError at a clean end."""
        async with asyncio.timeout(timeout):
            found = await self._heard.get()
        if found is None:
            raise EOFError
        return found

    async def hear(self) -> None:
        """Take all that comes."""
        found = Heard()
        async for line in self.answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event"):
                setattr(found, name, value)
            elif name == "data":
                found.data = json.loads(value)
            elif line.startswith(":"):
                self.comments += 1
            elif not line and found.data:
                self._heard.put_nowait(found)
                found = Heard()
        self._heard.put_nowait(None)


@contextlib.asynccontextmanager
async def listening(gateway: Gateway, query: str = "", **headers: str) -> AsyncIterator[Ear]:
    """Listen, from when this is entered on."""
    named = {"x-api-key": API_KEY} | {name.replace("_", "-"): value for name, value in headers.items()}
    timeout = httpx.Timeout(10, read=None)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=timeout) as client,
        client.stream("GET", f"{gateway.base}/api/events/live{query}", headers=named) as answer,
    ):
        ear = Ear(answer)
        hearing = asyncio.create_task(ear.hear())
        try:
            async with asyncio.timeout(10):
                while not ear.comments and not hearing.done():
                    await asyncio.sleep(0.005)
            yield ear
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])
