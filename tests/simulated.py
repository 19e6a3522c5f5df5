"""The simulator, served: a real uvicorn on loopback in the test's own loop, and a played gateway for its webhooks.

The clock runs twenty times as fast as ours, so that statuses come within a tenth of a second; `sim.world.clock.run(0)`
stops it, and then `advance` alone lets time pass.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from tests.receiver import Behaviour, Received, Receiver, status
from whatshooked.simulator.app import create_app
from whatshooked.simulator.fields import fields
from whatshooked.simulator.world.clock import Clock
from whatshooked.simulator.world.model import App, Number, State, User, Waba, demo_state
from whatshooked.simulator.world.world import World

START = 1_790_000_000.0
SPEED = 20.0
TOKEN = "EAAtokenOfTheTests"
SECRET = "app-secret-of-the-simulator-tests"
VERIFY_TOKEN = "verify-token-of-the-simulator-tests"


@dataclass
class Meta:
    """A simulated Meta under test; `client` calls it with the token, `receiver` gets its webhooks."""

    world: World
    url: str
    client: httpx.AsyncClient
    receiver: Receiver
    token: str = TOKEN
    secret: str = SECRET
    verify_token: str = VERIFY_TOKEN

    @property
    def state(self) -> State:
        """What it knows."""
        return self.world.state

    @property
    def app(self) -> App:
        """Its app."""
        return next(iter(self.state.apps.values()))

    @property
    def waba(self) -> Waba:
        """Its WABA."""
        return next(iter(self.state.wabas.values()))

    @property
    def number(self) -> Number:
        """Its number."""
        return next(iter(self.state.numbers.values()))

    @property
    def users(self) -> list[User]:
        """Its users: one with phone and username, one with a phone, one whose phone nobody may see."""
        return list(self.state.users.values())

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call Graph, `path` without host and version, as the token's app."""
        return await self.client.request(method, f"/v25.0/{path}", **more)

    async def refused(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Return the HTTP status and the error object of a call that must fail."""
        answer = await self.ask(method, path, **more)
        assert answer.status_code >= 400, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return answer.status_code, error

    async def control(self, method: str, path: str, **more: Any) -> Any:
        """Call `/_sim/` and return what it answers."""
        answer = await self.client.request(method, f"/_sim/{path}", **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def changes(self, count: int = 1, *, field: str = "", timeout: float = 10.0) -> list[dict[str, Any]]:
        """Return the changes (of a field) that arrived, once they are at least `count`; raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while len(found := [one for one in self._changes() if field in ("", one["field"])]) < count:
                await asyncio.sleep(0.01)
        return found

    async def items(self, name: str, count: int = 1, *, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Return the rows of `messages`, `statuses` or `errors` that arrived, once they are at least `count`."""
        async with asyncio.timeout(timeout):
            while len(found := [row for one in self._changes() for row in one["value"].get(name, [])]) < count:
                await asyncio.sleep(0.01)
        return found

    def publish(self, text: str = "hello", id_: str = "wamid.1") -> int:
        """Publish a user's text message; return how many apps are told."""
        row = {"id": id_, "type": "text", "text": {"body": text}}
        return self.world.webhooks.publish(self.waba, self.number, "messages", self.value("messages", row))

    def value(self, name: str, *rows: dict[str, Any]) -> dict[str, Any]:
        """A value of the number with some `messages` or `statuses`."""
        metadata = {"display_phone_number": self.number.phone, "phone_number_id": self.number.id}
        return {"messaging_product": "whatsapp", "metadata": metadata, name: list(rows)}

    async def arrived(self, count: int = 1, *, timeout: float = 10.0) -> list[Received]:
        """Return the webhooks that arrived, once they are at least `count`; raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while len(found := self.posts()) < count:
                await asyncio.sleep(0.01)
        return found

    def posts(self) -> list[Received]:
        """The webhooks that arrived, verifications left out."""
        return [one for one in self.receiver.received if one.method == "POST"]

    def _changes(self) -> list[dict[str, Any]]:
        entries = [entry for one in self.posts() for entry in json.loads(one.body)["entry"]]
        return [change for entry in entries for change in entry["changes"]]


@contextlib.asynccontextmanager
async def simulated(state: State | None = None, *, speed: float = SPEED, seed: int = 0) -> AsyncIterator[Meta]:
    """Serve a world, by default the demo's with every field subscribed; it ends with the block."""
    async with Receiver(behave=callback(status(200))) as receiver:
        if state is None:
            state = demo_state(
                callback_url=receiver.url("/webhook"),
                verify_token=VERIFY_TOKEN,
                app_secret=SECRET,
                token=TOKEN,
                fields=["messages", *fields.FIELDS],
            )
        world = World(state, Clock(speed=speed, start=START), seed=seed)
        async with (
            served(world) as url,
            httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False) as client,
        ):
            client.headers["authorization"] = f"Bearer {TOKEN}"
            yield Meta(world, url, client, receiver)


@contextlib.asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """Serve a world on a free port; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    world.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        create_app(world), http="httptools", interface="asgi3", log_config=None, access_log=False, proxy_headers=False
    )
    config.load()
    # Started and stopped by hand: uvicorn's own loop would look only every tenth of a second whether to stop.
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield world.address
    finally:
        world.stop()
        await server.shutdown(sockets=[listener])


def message_ids(request: Received) -> list[str]:
    """The ids of a webhook's messages and statuses."""
    changes = [change["value"] for entry in request.json["entry"] for change in entry["changes"]]
    return [row["id"] for one in changes for name in ("messages", "statuses") for row in one.get(name, [])]


def callback(then: Behaviour) -> Behaviour:
    """A gateway's callback URL: echoes Meta's challenge to the right token, and does `then` with a webhook."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.method != "GET":
            await then(request, writer)
        elif request.query.get("hub.verify_token") == VERIFY_TOKEN:
            await status(200, request.query["hub.challenge"].encode())(request, writer)
        else:
            await status(403)(request, writer)

    return behave
