"""Entries looked at, not read: in answers of a bounded size whatever strangers sent, so nobody waits for it long."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from whatshooked.keys import Keys
from whatshooked.stream.link import Link, Reply

#: Bytes of one answer, and of the entries that Redis touches for it.
_ANSWER, _TOUCHED = 512 * 1024, 8 * 1024 * 1024
#: Bytes above which only an entry's head is told: Meta's messages of one customer are never so large, and to look at an
#: odd one of 4 MB takes a second.
_LARGE = 64 * 1024


class Peeked(NamedTuple):
    """An entry: its blob, or None of a large one, of which `type` and `account` are known unless it cannot be read."""

    id: str
    blob: bytes | None
    type: str = ""
    account: str = ""

    @property
    def size(self) -> int:
        """Bytes that came."""
        return len(self.blob or b"")


class Peek(NamedTuple):
    """What came of those asked for: the first so many, and of these the entries that are there."""

    looked: int
    entries: list[Peeked]


async def of_ids(link: Link, keys: Keys, ids: Sequence[str]) -> Peek:
    """Return the first of these entries, one at least; raises StreamUnavailable."""
    return await _peeked(link, keys, msgspec.msgpack.encode(list(ids)))


async def of_span(link: Link, keys: Keys, start: str, end: str, count: int, *, back: bool = False) -> Peek:
    """Return the first entries of a span, so many at most, none when it is over; raises StreamUnavailable."""
    return await _peeked(link, keys, b"", "XREVRANGE" if back else "XRANGE", start, end, count)


async def _peeked(link: Link, keys: Keys, *args: str | bytes | float) -> Peek:
    rows = await link.run(link.scripts.peek, [keys.events], _ANSWER, _TOUCHED, _LARGE, *args)
    return Peek(len(rows), [_entry(*row) for row in rows if len(row) > 1])


def _entry(event_id: bytes, found: Reply, *head: bytes) -> Peeked:
    if isinstance(found, bytes):
        return Peeked(event_id.decode(), found)
    event_type, account = (text.decode("utf-8", "replace") for text in head)
    return Peeked(event_id.decode(), None, event_type, account)
