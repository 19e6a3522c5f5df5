"""Stored files of messages that go out: uploaded to Meta before the message is sent, once for all messages."""

import asyncio
from typing import Any

from whatshooked import logs
from whatshooked.config import Account
from whatshooked.errors import StoreUnavailable, StreamUnavailable
from whatshooked.media.names import type_of
from whatshooked.media.store import LocalFile, Store
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.media import upload
from whatshooked.meta.send import stored
from whatshooked.stream.outbox import Again, Failed, Outcome
from whatshooked.stream.uploads import Uploaded
from workers import outcome

log = logs.get("outbox")

#: Bytes of the largest file that Meta takes.
LARGEST = 100 * 1024 * 1024
#: Files in memory at once: they are read whole.
_AT_ONCE = 2
_AGAIN_MS = 5_000


class Uploads:
    """Makes messages ready whose files lie in our store."""

    def __init__(self, store: Store, graph: Graph, uploaded: Uploaded) -> None:
        self._store = store
        self._graph = graph
        self._uploaded = uploaded
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def fill(self, account: Account, body: dict[str, Any], *, seconds: float) -> Outcome | None:
        """Put Meta's ids into a body; return None, or what comes of a message whose file cannot be uploaded now."""
        ids: dict[str, str] = {}
        try:
            for filename in stored.named(body):
                found = await self._id(account, filename, seconds)
                if not isinstance(found, str):
                    return found
                ids[filename] = found
        except (StoreUnavailable, StreamUnavailable) as error:
            return Again(_AGAIN_MS, f"its file cannot be uploaded now: {error}", tried=False)
        stored.fill(body, ids)
        return None

    async def _id(self, account: Account, filename: str, seconds: float) -> str | Outcome:
        known = await self._uploaded.id(account.id, filename)
        if known:
            return known
        async with self._turn:
            content = await self._store.read(account.id, filename, LARGEST)
            if content is None:
                return Failed(0, f"there is no stored file {filename}, or it is larger than Meta takes")
            mime_type = await self._type(account.id, filename)
            number = account.business_api.phone_number_id if account.business_api else ""
            found = await upload(self._graph, Access.of(account), number, content, mime_type, filename, seconds=seconds)
        if isinstance(found, GraphFailure):
            return outcome.of_upload(found)
        await self._uploaded.remember(account.id, filename, found)
        return found

    async def _type(self, account_id: str, filename: str) -> str:
        found = await self._store.find(account_id, filename)
        return found.about.mime_type if isinstance(found, LocalFile) else type_of(filename)
