"""Replies that hooks asked for and that nobody sends: the newest of them, each with its event, its hook and why.

An event whose hooks all took it leaves the cache, so they are kept on their own. Those that are circular have a list of
their own: a bot that answers everything has three of them for each message it sends.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from whatshooked.keys import Keys
from whatshooked.stream.link import Link, checked

Kind = Literal["unusable", "circular"]
KINDS: tuple[Kind, ...] = ("unusable", "circular")
#: Refused replies that are kept; DONE keeps as many, and fewer of those that are circular.
MOST = 500


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """A reply that is not sent; `at` is unix ms, `reason` quotes no text and no number."""

    at: int
    event_id: str
    hook_id: str
    kind: Kind
    reason: str


_decode = msgspec.msgpack.Decoder(Refused).decode


class RefusedReplies:
    """Looks at refused replies, and takes down one of which DONE did not know; raises StreamUnavailable."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def newest(self, limit: int = MOST, *, hook_id: str = "") -> list[Refused]:
        """Return refused replies, newest first, of one hook or of all."""
        lists = checked(await self._link.batch([("LRANGE", self._keys.refused(kind), 0, -1) for kind in KINDS]))
        found = [one for rows in lists for blob in rows if (one := _read(blob)) is not None]
        wanted = [one for one in found if not hook_id or one.hook_id == hook_id]
        return sorted(wanted, key=lambda one: one.at, reverse=True)[:limit]

    async def of_events(self, event_ids: Iterable[str]) -> dict[str, dict[str, Refused]]:
        """Return, of these events, the hooks whose reply was refused last; events without any are missing."""
        wanted, found = set(event_ids), dict[str, dict[str, Refused]]()
        for one in reversed(await self.newest() if wanted else []):
            if one.event_id in wanted:
                found.setdefault(one.event_id, {})[one.hook_id] = one
        return found

    async def add(self, event_id: str, hook_id: str, reason: str) -> None:
        """Take down a reply that was kept and cannot be sent after all."""
        key, blob = (
            self._keys.refused("unusable"),
            Refused(await self._link.now(), event_id, hook_id, "unusable", reason),
        )
        checked(await self._link.batch([("LPUSH", key, msgspec.msgpack.encode(blob)), ("LTRIM", key, 0, MOST - 1)]))


def _read(blob: bytes) -> Refused | None:
    """Return an entry, None when another version wrote it."""
    try:
        return _decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
