"""Who is around, played: Meta, who sends signed webhooks in several bad ways, hooks that behave as told, a kubelet."""

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from ops.listen import Reply, Request
from whatshooked.meta.signature import sign

SECRET = "app-secret-of-the-alarms"
CUSTOMER = "4915112345678"
#: One who writes, or is written to, while an alarm stands; and one who wrote before, when all was well.
WITNESS, BYSTANDER = "4915187654321", "4915155555555"
WABA = "200000000000001"


@dataclass
class Manner:
    """How Meta sends: `age` in seconds that messages have when they come, how often each comes, and by what secret."""

    age: float = 0.0
    times: int = 1
    secret: str = SECRET


class Hooks:
    """The hooks by their name: status and seconds of each answer, 200 at once unless told otherwise."""

    def __init__(self) -> None:
        self.behaves: dict[str, tuple[int, float]] = {}

    def answer(self, request: Request) -> Reply:
        """Answer one attempt."""
        return Reply(*self.behaves.get(request.path, (200, 0.0)))


class Kubelet:
    """Tells of a volume as Kubernetes' kubelet does; the numbers are those of a real disk."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk

    def answer(self, _: Request) -> Reply:
        """Answer a scrape."""
        found = os.statvfs(self._disk)
        labels = 'namespace="whatshooked",persistentvolumeclaim="data-whatshooked-valkey-0"'
        counts = {"available": found.f_bavail, "capacity": found.f_blocks}
        told = (
            f"kubelet_volume_stats_{name}_bytes{{{labels}}} {blocks * found.f_frsize}\n"
            for name, blocks in counts.items()
        )
        return Reply(200, body="".join(told).encode())


class Meta:
    """Sends messages to an account at a steady rate while it runs; the manner may change at any time."""

    def __init__(self, base: str, account: str, number_id: str, rate: float) -> None:
        self._url = f"{base}/webhooks/whatsapp/{account}"
        self._account = account
        self._number_id = number_id
        self._pause = 1 / rate
        self._client = httpx.AsyncClient(timeout=5, trust_env=False)
        self._count = 0
        self.manner = Manner()

    async def run(self) -> None:
        """Send until cancelled."""
        async with self._client:
            while True:
                for _ in range(self.manner.times):
                    await self._post(self._body())
                self._count += 1
                await asyncio.sleep(self._pause)

    def _body(self) -> bytes:
        return webhook(self._number_id, text(f"wamid.{self._account}{self._count}", self.manner.age))

    async def _post(self, body: bytes) -> None:
        headers = {"content-type": "application/json", "x-hub-signature-256": sign(body, self.manner.secret)}
        with contextlib.suppress(httpx.HTTPError):  # of a gateway that is away: Meta goes on
            await self._client.post(self._url, content=body, headers=headers)


def text(message_id: str, age: float = 0.0, sender: str = CUSTOMER) -> dict[str, Any]:
    """Return a message that a customer wrote so many seconds ago."""
    stamp = str(round(time.time() - age))
    return {"from": sender, "id": message_id, "timestamp": stamp, "type": "text", "text": {"body": "hello"}}


def webhook(number_id: str, *messages: dict[str, Any]) -> bytes:
    """Return the body of a webhook that brings these messages."""
    metadata = {"display_phone_number": "4930111000", "phone_number_id": number_id}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": list(messages)}
    entry = {"id": WABA, "changes": [{"field": "messages", "value": value}]}
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
