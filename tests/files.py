"""Messages with files: the file lies at a simulated Meta, and its webhook is posted to a gateway under test."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from tests import meta
from tests.conftest import Gateway, account
from tests.simulated import TOKEN, Meta
from whatshooked.simulator.media import store as media
from whatshooked.simulator.media.samples import sample
from whatshooked.simulator.world.model import Media, MediaFault

#: A sample of each type of message that has a file.
KINDS: dict[str, Any] = {
    "image": "image",
    "video": "video",
    "audio": "voice",
    "document": "document",
    "sticker": "sticker",
}


def of_meta(sim: Meta, id_: str = "business", number: int = 1, **api: Any) -> dict[str, Any]:
    """An account whose Graph is the simulated one."""
    return account(number, id_, graph_url=sim.url, access_token=TOKEN, **api)


def stored(
    sim: Meta, kind: str = "image", *, content: bytes | None = None, fault: MediaFault = "", times: int = 0
) -> Media:
    """A file that a user sent, at the simulated Meta; with a fault it fails so, always or so many times."""
    file = sample(KINDS[kind])
    body = file.content if content is None else content
    found = media.store(sim.world, sim.number, file.mime_type, body, filename=file.filename, inbound=True)
    found.fault, found.faults_left = fault, times
    return found


def message(sim: Meta, found: Media, kind: str = "image", *, url: bool = True, **more: Any) -> dict[str, Any]:
    """The message that brings a file."""
    told = media.webhook_object(sim.world, found)
    if not url:
        told.pop("url", None)
    if kind == "document":
        told["filename"] = found.filename
    item = meta.text() | {"type": kind, kind: told} | more
    del item["text"]
    return item


async def post(gateway: Gateway, *messages: dict[str, Any], **more: Any) -> None:
    """Post messages in one webhook."""
    answer = await gateway.post(meta.webhook(meta.value(*messages)), **more)
    assert answer.status_code == 200


def sha8(content: bytes) -> str:
    """What a file's name says of its content."""
    return hashlib.sha256(content).hexdigest()[:8]


def lookups(sim: Meta, found: Media) -> int:
    """How often a file was looked up at Graph."""
    return sum(1 for call in sim.world.calls if call.method == "GET" and call.path.rstrip("/").endswith(f"/{found.id}"))


def downloads(sim: Meta, found: Media) -> list[dict[str, Any]]:
    """What each download of a file told: host, whether a token came along, its User-Agent."""
    return [call.body for call in sim.world.calls if "/_files/" in call.path and f"mid={found.id}" in call.path]


def on_disk(folder: Path) -> list[Path]:
    """The files that anybody can see in a store's folder."""
    if not folder.exists():
        return []
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.relative_to(folder).parts[0].startswith("."))


async def quiet(seconds: float = 0.3) -> None:
    """Give what should not come the time to come."""
    await asyncio.sleep(seconds)
