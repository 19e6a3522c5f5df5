"""Both ends, played: Meta, who sends the same bytes until it gets a 200, and the receivers of the hooks."""

import asyncio
import contextlib
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from ops.faults.launch import ATTEMPT_HEADER
from ops.faults.ledger import Receipt
from ops.listen import Listener, Reply, Request
from whatshooked.meta.signature import sign

SECRET = "app-secret-of-the-harness"
PHONE, NUMBER_ID, CUSTOMER = "4930111000", "100000000000001", "4915112345678"
#: One message in so many is refused by `h2` to the end, so that something stays parked in the cache.
PARKED_EVERY = 25
#: One pair of message and hook in so many is refused at its first attempt.
REFUSED_EVERY = 6


class Meta:
    """Sends webhooks at a steady rate; `acked` holds the message ids of bodies that got a 200.

    `body` makes the webhook of new messages, by default texts.
    """

    def __init__(self, url: str, rate: float, seed: int, body: Callable[[list[str]], bytes] | None = None) -> None:
        self._url = url
        self._body = body or _body
        self._pause = 1 / rate
        self._chance = random.Random(seed)
        self._client = httpx.AsyncClient(timeout=3, trust_env=False, limits=httpx.Limits(max_connections=64))
        self.acked: list[str] = []
        self.sent = 0
        self.resent = 0

    async def send(self, wanted: Callable[[], bool]) -> None:
        """Send new bodies as long as `wanted` says so, then wait until every one was taken."""
        async with self._client, asyncio.TaskGroup() as sending:
            while wanted():
                ids = [f"wamid.F{self.sent + i}" for i in range(self._chance.choice((1, 1, 1, 2, 5)))]
                self.sent += len(ids)
                sending.create_task(self._insist(self._body(ids), ids))
                await asyncio.sleep(self._pause * len(ids))

    async def _insist(self, body: bytes, ids: list[str]) -> None:
        headers = {"content-type": "application/json", "x-hub-signature-256": sign(body, SECRET)}
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await self._client.post(self._url, content=body, headers=headers)).status_code == 200:
                    self.acked += ids
                    return
            self.resent += 1
            await asyncio.sleep(0.05)


def _body(ids: list[str]) -> bytes:
    stamp = str(int(time.time()))
    messages = [{"from": CUSTOMER, "id": i, "timestamp": stamp, "type": "text", "text": {"body": i}} for i in ids]
    metadata = {"display_phone_number": PHONE, "phone_number_id": NUMBER_ID}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": messages}
    entry = {"id": "200000000000001", "changes": [{"field": "messages", "value": value}]}
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})


class Receivers(Listener):
    """One server for all hooks, by path; it writes down each request before it answers.

    `slow_second`: every first attempt is refused at once, and each later one is accepted after that many seconds.
    """

    def __init__(self, slow_second: float = 0.0) -> None:
        super().__init__(self._received)
        self._slow_second = slow_second
        self._seen: Counter[tuple[str, str]] = Counter()
        self.receipts: list[Receipt] = []

    def _received(self, request: Request) -> Reply:
        payload = msgspec.json.decode(request.body)
        accepted, wait, told = self._take(request.path, payload, request.headers.get(ATTEMPT_HEADER, ""))
        return Reply(200 if accepted else 503, wait, told)

    def _take(self, hook_id: str, payload: Any, attempt: str) -> tuple[bool, float, bytes]:
        """Return whether to accept a request, after how many seconds, and the answer's body."""
        message_id, event_id = payload["message_id"], payload["event_id"]
        self._seen[message_id, hook_id] += 1
        accepted, wait = self._decide(message_id, hook_id, self._seen[message_id, hook_id])
        # Written down before the answer: whatever becomes of it, the event has arrived.
        self.receipts.append(Receipt(hook_id, message_id, event_id, attempt, accepted))
        return accepted, wait, b""

    def _decide(self, message_id: str, hook_id: str, attempt: int) -> tuple[bool, float]:
        """Return whether to accept an attempt, and after how many seconds."""
        if self._slow_second:
            return attempt > 1, self._slow_second if attempt > 1 else 0.0
        if hook_id == "h2" and int(message_id.removeprefix("wamid.F")) % PARKED_EVERY == 0:
            return False, 0.0
        digest = hashlib.blake2b(f"{message_id}/{hook_id}".encode(), digest_size=2).digest()
        return attempt > 1 or digest[0] % REFUSED_EVERY > 0, digest[1] / 255 * 0.03
