"""What one attempt sends: the payload, with the message's file as this hook wants it."""

import asyncio
import base64
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from whatshooked import logs
from whatshooked.config import Config, Hook
from whatshooked.errors import StoreUnavailable
from whatshooked.events import Event
from whatshooked.keys import Keys
from whatshooked.media import links
from whatshooked.media.store import Store
from whatshooked.meta import attachment, flatten
from whatshooked.meta.flatten import Handed
from whatshooked.stream.link import Link
from whatshooked.stream.media import known
from whatshooked.stream.record import Record

log = logs.get("media")

#: Bytes of Meta's item above which its payload is made beside the event loop.
LARGE = 32 * 1024
#: Bytes of files that the payloads of one hook hold at once, before base64.
INLINE_BYTES = 32 * 1024 * 1024
#: Files whose notes are kept at hand.
_FRESH = 1000


def common(event: Event, event_id: str) -> bytes:
    """Return the body that all hooks receive of an event, made once for them; empty when each attempt makes its own.

    A large one is made just before its POST and beside the event loop: an odd one of 4 MB takes seconds. One with a
    file is each hook's own, with a link that is signed anew.
    """
    own = len(event.raw) > LARGE or attachment.brings(event)
    return b"" if own else flatten.payload(event, event_id)


class Bodies:
    """Makes the bodies of attempts that have none in common; `link_key` signs links."""

    def __init__(self, link: Link, keys: Keys, store: Store, config: Callable[[], Config]) -> None:
        self._link = link
        self._keys = keys
        self._store = store
        self._config = config
        self.link_key = b""
        #: What was just noted of files whose messages are about to go out, by event; the oldest make room.
        self._fresh: dict[str, Record] = {}
        self._inline: dict[tuple[str, int], asyncio.Semaphore] = {}

    def remember(self, event_id: str, record: Record) -> None:
        """Keep what was noted of a file at hand: its hooks are tried next, by this process as a rule."""
        while len(self._fresh) >= _FRESH:
            del self._fresh[next(iter(self._fresh))]
        self._fresh[event_id] = record

    def room(self, event: Event, hook: Hook) -> AbstractAsyncContextManager[object]:
        """Return what bounds the bodies of a hook that hold a file, in memory until their POST is over."""
        settings = self._config().media
        if (hook.media_mode or settings.mode) == "link" or not attachment.brings(event):
            return contextlib.nullcontext()
        most = max(INLINE_BYTES // max(settings.base64_max_bytes, 1), 1)
        return self._inline.setdefault((hook.id, most), asyncio.Semaphore(most))

    async def own(self, event: Event, event_id: str, hook: Hook, *, first: bool) -> bytes:
        """Return the body for one hook, whose `first` attempt this is or not. Raises StreamUnavailable."""
        if not attachment.brings(event):
            return await asyncio.to_thread(flatten.payload, event, event_id)
        record = self._fresh.get(event_id) if first else None
        if record is None:  # a later attempt asks again: a replay may have fetched it anew
            record = await known(self._link, self._keys, event_id)
        file = await self._handed(event.account_id, hook, record)
        if file.base64 or len(event.raw) > LARGE:
            return await asyncio.to_thread(flatten.payload, event, event_id, file)
        return flatten.payload(event, event_id, file)

    async def _handed(self, account_id: str, hook: Hook, record: Record) -> Handed:
        """Return a file as a hook wants it; what does not fit into the payload goes as a link, whatever it wants."""
        if not record.filename:
            return Handed(error=record.error)
        settings, error = self._config().media, ""
        mode = hook.media_mode or settings.mode
        content = None
        if mode != "link" and record.size <= settings.base64_max_bytes:
            try:
                content = await self._store.read(account_id, record.filename, settings.base64_max_bytes)
                error = "" if content is not None else "the file is not stored any more: a replay fetches it again"
            except StoreUnavailable as unavailable:
                error = f"the file cannot be read now: {unavailable}"
                log.seldom("error", "A file cannot be put into payloads", error=str(unavailable))
        inline = await asyncio.to_thread(_encoded, content) if content is not None else ""
        url = self._url(account_id, record.filename) if mode != "base64" or not inline else ""
        return Handed(record.filename, record.mime_type, record.size, url, inline, error)

    def _url(self, account_id: str, filename: str) -> str:
        config = self._config()
        base = config.media.base_url or f"http://localhost:{config.server.port}"
        signs = config.media.link_ttl and self.link_key  # without a key anybody could make the signature
        ends = int(time.time() + config.media.link_ttl) if signs else None
        return links.link(base, account_id, filename, key=self.link_key, expires=ends)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
