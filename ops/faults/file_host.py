"""Files at a simulated Meta, the messages that bring them, and receivers that look at once where a message leads.

The simulator runs in our own process: what it knows is the witness. Every message has a content of its own, but for a
few that many send; some webhooks hold a URL, the others need a look-up; large contents come through a thin line.
"""

import asyncio
import base64
import contextlib
import hashlib
import random
import re
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ops.faults import peers, shelf
from ops.faults.file_ledger import Brought, Told
from ops.faults.file_mutants import Habits
from ops.faults.stage import ACCOUNT, TOKEN
from ops.served import served
from whatshooked.simulator.app import create_app
from whatshooked.simulator.media import store
from whatshooked.simulator.world.clock import Clock
from whatshooked.simulator.world.model import Number, demo_state
from whatshooked.simulator.world.world import World

#: Accounts, each with a number: look-ups that a kill cuts off count against one alone.
ACCOUNTS = 6
#: Bytes that a file may have.
MOST = 1_000_000
#: Bytes that go through the thin line at once.
_PIECE = 64 * 1024
#: One message in so many brings no file, shares its content, or comes without a URL.
_TEXT_EVERY, _SHARED_EVERY, _BARE_EVERY = 5, 6, 4
_SMALL, _LARGE, _SHARED = (500, 20_000), (400_000, 700_000), (3_000, 450_000)
_KINDS = (("image", "image/jpeg"), ("document", "application/pdf"), ("audio", "audio/ogg"), ("video", "video/mp4"))
_MEDIA_ID = re.compile(r"[?&]mid=(\d+)")

Send = Callable[[Any], Awaitable[None]]


class Thin:
    """An ASGI application whose files come piece by piece."""

    def __init__(self, app: Any, pause: float) -> None:
        self._app = app
        self._pause = pause

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Answer one request."""
        is_file = scope["type"] == "http" and scope["path"].startswith("/_files/")
        await self._app(scope, receive, self._thinned(send) if is_file else send)

    def _thinned(self, send: Send) -> Send:
        async def piecemeal(message: Any) -> None:
            body = message.get("body", b"")
            if len(body) <= _PIECE:
                await send(message)
                return
            for place in range(0, len(body), _PIECE):
                await send(message | {"body": body[place : place + _PIECE], "more_body": True})
                await asyncio.sleep(self._pause)

        return piecemeal


class FileHost:
    """A simulated Meta with the files of messages; `brought` are those of all messages that were made."""

    def __init__(self, habits: Habits, seed: int) -> None:
        state = demo_state(callback_url="http://127.0.0.1:9", verify_token="x", app_secret=peers.SECRET, token=TOKEN)
        (waba,) = state.wabas.values()
        numbers = [
            Number(id=number_id(n), waba_id=waba.id, phone=phone(n), display_phone_number=phone(n))
            for n in range(ACCOUNTS)
        ]
        state.numbers = {number.id: number for number in numbers}
        self._habits = habits
        self._chance = random.Random(seed)
        self._shared = [self._chance.randbytes(size) for size in _SHARED]
        self._ids: dict[str, str] = {}
        self.world = World(state, Clock(start=time.time()), seed=seed)
        self.brought: dict[str, Brought] = {}
        self.sizes: set[int] = set()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Answer Graph's calls and downloads on a free port, until the block ends."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.world.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = Thin(create_app(self.world), self._habits.pause)
        async with served(app, listener):
            try:
                yield
            finally:
                self.world.stop()  # first: answers that go on for ever would hold the server up

    def body(self, ids: list[str]) -> bytes:
        """Return the webhook of new messages, all to one number, with their files."""
        place = _number(ids[0]) % ACCOUNTS
        messages = [self._message(i, place) for i in ids]
        metadata = {"display_phone_number": phone(place), "phone_number_id": number_id(place)}
        value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": messages}
        entry = {"id": "200000000000001", "changes": [{"field": "messages", "value": value}]}
        return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})

    def downloads(self) -> Counter[str]:
        """Return how often each message's file was downloaded."""
        found = [_MEDIA_ID.search(call.path) for call in self.world.calls if call.status == 200]
        return Counter(self._ids[one[1]] for one in found if one is not None and one[1] in self._ids)

    def _message(self, message_id: str, place: int) -> dict[str, Any]:
        item = {"from": peers.CUSTOMER, "id": message_id, "timestamp": str(int(time.time()))}
        n = _number(message_id)
        if n % _TEXT_EVERY == _TEXT_EVERY - 1:
            return item | {"type": "text", "text": {"body": message_id}}
        kind, mime_type = _KINDS[n % len(_KINDS)]
        content = self._content(n)
        number = self.world.state.numbers[number_id(place)]
        file = store.store(self.world, number, mime_type, content, filename="a file", inbound=True)
        if spoiled := self._spoils(n):
            file.fault, file.faults_left = self._habits.spoil, 1
        self._ids[file.id] = message_id
        self.brought[message_id] = Brought(account(place), hashlib.sha256(content).hexdigest(), int(spoiled))
        self.sizes.add(len(content))
        told = store.webhook_object(self.world, file)
        if n % _BARE_EVERY == _BARE_EVERY - 2:
            told.pop("url", None)
        return item | {"type": kind, kind: told}

    def _content(self, n: int) -> bytes:
        if self._habits.spoil_every == 0 and n == 0:
            return self._chance.randbytes(MOST)
        if n % _SHARED_EVERY == 1:
            return self._shared[n // _SHARED_EVERY % len(self._shared)]
        large = self._habits.large_every and n % self._habits.large_every == 0
        return self._chance.randbytes(self._chance.randint(*(_LARGE if large else _SMALL)))

    def _spoils(self, n: int) -> bool:
        every = self._habits.spoil_every
        return n % every == every // 3 if every else n == 0


class Lookers(peers.Receivers):
    """Receivers that note what each message says of its file, and what it leads to at that moment."""

    def __init__(self, folder: Path, brought: Mapping[str, Brought]) -> None:
        super().__init__()
        self._folder = folder
        self._brought = brought
        self.told: list[Told] = []
        #: Message -> the last link to its file.
        self.urls: dict[str, str] = {}

    def _take(self, hook_id: str, payload: Any, attempt: str) -> tuple[bool, float, bytes]:
        if payload["message_id"] in self._brought:
            self.told.append(self._looked(payload["account_id"], payload["message_id"], payload.get("media") or {}))
        return super()._take(hook_id, payload, attempt)

    def _looked(self, account_id: str, message_id: str, media: Mapping[str, str]) -> Told:
        filename, error = media.get("filename", ""), media.get("error", "")
        if not filename:
            return Told(message_id, error=error or "no word of a file")
        found = [shelf.sha256_of(self._folder / account_id / filename)]
        if "base64" in media:
            found.append(hashlib.sha256(base64.b64decode(media["base64"])).hexdigest())
        if "url" in media:
            self.urls[message_id] = media["url"]
        return Told(message_id, filename, error, tuple(found))


def account(place: int) -> str:
    """Return the id of an account."""
    return f"{ACCOUNT}{place}" if place else ACCOUNT


def phone(place: int) -> str:
    """Return the phone of an account's number."""
    return str(int(peers.PHONE) + place)


def number_id(place: int) -> str:
    """Return Meta's id of an account's number."""
    return str(int(peers.NUMBER_ID) + place)


def _number(message_id: str) -> int:
    return int(message_id.removeprefix("wamid.F"))
