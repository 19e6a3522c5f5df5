"""Fixtures: one real Valkey per test process, a prefix per test, and gateways that stop with their test."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests import meta
from tests.receiver import Receiver
from tests.simulated import Meta, simulated
from whatshooked.config import Config, load
from whatshooked.embedded import Embedded
from whatshooked.keys import Keys
from whatshooked.stream.link import Link
from whatshooked.web.app import create_app
from whatshooked.web.server import Server
from workers.process import Process

REPO = Path(__file__).parent.parent
API_KEY = "api-key-of-the-tests"


def payloads() -> Path:
    """The folder of recorded bodies; skips the test when it is not there."""
    folder = Path(os.environ.get("WHATSHOOKED_PAYLOADS", REPO.parent / "shared" / "payloads"))
    if not (folder / "INDEX.tsv").exists():
        pytest.skip("no recorded webhook bodies: set WHATSHOOKED_PAYLOADS to their folder")
    return folder


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of this test process's own Valkey."""
    server = Embedded.open(tmp_path_factory.mktemp("valkey"))
    yield server.url
    server.close()


@pytest.fixture
def prefix() -> str:
    """A key prefix of this test's own."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def keys(prefix: str) -> Keys:
    """The keys under this test's prefix."""
    return Keys(prefix)


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    """A connection to look at Redis with."""
    async with Link(redis_url) as found:
        yield found


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A hook's receiver that accepts everything until told otherwise."""
    async with Receiver() as found:
        yield found


@pytest.fixture
async def sim() -> AsyncIterator[Meta]:
    """A simulated Meta, served, whose webhooks reach a played gateway."""
    async with simulated() as found:
        yield found


def hook(id_: str, url: str, **more: Any) -> dict[str, Any]:
    """A hook as it stands in config.json; it wants messages, and is not told that our Graph is missing."""
    known = {"id": id_, "name": id_, "url": url, "method": "POST", "active": True, "events": ["message.*"]}
    return known | more


def account(number: int = 1, id_: str = "business", **api: Any) -> dict[str, Any]:
    """An account as it stands in config.json; its Graph answers nothing unless `graph_url` is given."""
    known = {
        "phone_number_id": meta.number_id(number),
        "access_token": "token-of-the-tests",
        "verify_token": meta.VERIFY_TOKEN,
        "app_secret": meta.SECRET,
        "graph_url": "http://127.0.0.1:9",
    }
    return {"id": id_, "type": "business-api", "phone_number": f"+{meta.PHONE}", "business_api": known | api}


@dataclass
class Gateway:
    """A gateway under test: the web app on a real port, and any number of workers, in this event loop."""

    folder: Path
    url: str
    prefix: str
    document: dict[str, Any]
    workers: list[Process] = field(default_factory=list)
    base: str = ""
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=30, trust_env=False))
    _server: uvicorn.Server | None = None
    _serving: "asyncio.Task[None] | None" = None

    @property
    def config(self) -> Config:
        """The config as it stands in the file now."""
        return load(self.path).config

    @property
    def path(self) -> Path:
        """The config file."""
        return self.folder / "config.json"

    def write(self) -> None:
        """Write `document` to the file."""
        self.path.write_text(json.dumps(self.document))

    async def start(self, workers: int = 1) -> None:
        """Start the web app and workers."""
        self.write()
        await self.serve()
        for _ in range(workers):
            await self.add_worker()

    async def serve(self) -> None:
        """Start the web app."""
        listener = socket.create_server(("127.0.0.1", 0))
        # asyncio, unlike uvloop, leaves Nagle on here: each answer would wait 40 ms for the client's ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = create_app(self.config, self.url)
        config = uvicorn.Config(
            app, http="httptools", interface="asgi3", log_config=None, access_log=False, proxy_headers=False
        )
        self._server = Server(config, app.leave)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # older uvicorn
        self._serving = asyncio.create_task(self._server._serve(sockets=[listener]))
        self.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def add_worker(self) -> Process:
        """Start one more worker."""
        worker = Process(self.config, self.url)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def stop_workers(self) -> None:
        """Stop all workers in order."""
        for worker in self.workers:
            await worker.stop()
        self.workers.clear()

    async def stop(self) -> None:
        """Stop everything."""
        await self.stop_workers()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = None
        await self.client.aclose()

    async def post(self, body: bytes, account_id: str = "business", secret: str = meta.SECRET) -> httpx.Response:
        """Send a signed webhook as Meta does."""
        url = f"{self.base}/webhooks/whatsapp/{account_id}"
        return await self.client.post(url, content=body, headers=meta.signed(body, secret))

    async def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call the API with its key."""
        return await self.client.request(method, f"{self.base}{path}", headers={"x-api-key": API_KEY}, **more)

    async def cached(self, count: int, *, state: str = "", timeout: float = 15.0) -> list[dict[str, Any]]:
        """Return the cache once it holds exactly `count` events (in a state); raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                events = (await self.api("GET", "/api/cache?limit=500")).json()["events"]
                found = [one for one in events if not state or one["state"] == state]
                if len(found) == count:
                    return found
                await asyncio.sleep(0.02)


@pytest.fixture
async def make_gateway(tmp_path: Path, redis_url: str, prefix: str) -> AsyncIterator[Callable[..., Gateway]]:
    """Make gateways with given hooks; all stop with the test."""
    made: list[Gateway] = []

    def make(*hooks: dict[str, Any], accounts: list[dict[str, Any]] | None = None, **sections: Any) -> Gateway:
        document = {
            "server": {"host": "127.0.0.1", "port": 0, "auth_key": API_KEY},
            "whatsapp": accounts if accounts is not None else [account()],
            "hooks": list(hooks),
            "redis": {"url": redis_url, "prefix": prefix},
            "log_level": "debug",
        } | sections
        gateway = Gateway(tmp_path, redis_url, prefix, document)
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        await gateway.stop()


@pytest.fixture
async def gateway(make_gateway: Callable[..., Gateway], receiver: Receiver) -> Gateway:
    """A running gateway with one worker and one hook, `h1`, at the receiver."""
    found = make_gateway(hook("h1", receiver.url()))
    await found.start()
    return found


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start our commands as real processes; those that still run are ended with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, cwd: Path | None = None, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "whatshooked", *arguments],
            cwd=cwd or tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPO)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
