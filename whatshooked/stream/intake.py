"""Taking events in: everything that waits is appended by ADD in one round trip, and each caller learns its ids."""

import asyncio
import functools
import time
from collections.abc import Sequence

import msgspec
from prometheus_client import Counter, Histogram
from redis.exceptions import RedisError

from whatshooked import events, metrics
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.activity import NOBODY, Activity, came_in
from whatshooked.stream.coalesce import Coalescer
from whatshooked.stream.link import Link

#: Buckets of a day: few entries in each keep them in Redis' compact form (35 B an identity instead of 228).
BUCKETS = 8192
#: Seconds that identities are remembered after their bucket was last written; Meta resends for 7 days.
SEEN_TTL = 9 * 86_400
SEEN_REFRESH = 8 * 86_400
#: Events of one script call: keeps the time Redis is blocked near 4 ms.
EVENTS_PER_CALL = 256
#: Events of one flush.
EVENTS_PER_FLUSH = 1024
#: Later than any time of Meta's.
_NEVER = 1 << 62
#: Bytes of one script call; larger events travel in fewer per call.
BYTES_PER_CALL = 4 * 1024 * 1024


class Addition(msgspec.Struct, frozen=True):
    """An event on its way in: the entry's blob, its 16-byte identity and the day of Meta's own timestamp."""

    blob: bytes
    identity: bytes
    day: int
    #: The event's type, as it is counted and noted; "" is neither.
    type: str = ""
    account_id: str = ""
    #: Of what Meta sent: message, status or other, Meta's own time (unix seconds, 0 without), and what was kept without
    #: being understood.
    kind: str = ""
    when: int = 0
    leftover: str = ""


class Added(msgspec.Struct, frozen=True):
    """The id an event has in the stream, and whether this is the first time it was seen."""

    id: str
    new: bool


class Intake:
    """Appends events to the stream; safe to call from many requests at once."""

    def __init__(self, link: Link, keys: Keys, activity: Activity = NOBODY) -> None:
        self._link = link
        self._keys = keys
        self._activity = activity
        self._queue: Coalescer[Addition, Added] = Coalescer(self._flush, most=EVENTS_PER_FLUSH)

    async def add(self, additions: Sequence[Addition]) -> list[Added]:
        """Return each event's id once Redis holds them all; raises StreamUnavailable when it does not.

        After an error some may have been taken: sending them again is safe, their identities are remembered.
        """
        futures = [self._queue.put(addition) for addition in additions]
        if len(futures) == 1:
            return [await futures[0]]
        return await asyncio.gather(*futures)

    def submit(self, addition: Addition) -> "asyncio.Future[Added]":
        """Return a future of one event's id, for a caller that does not wait."""
        return self._queue.put(addition)

    async def drain(self) -> None:
        """Return when nothing waits to be appended any more."""
        await self._queue.drain()

    async def _flush(self, additions: Sequence[Addition]) -> list[Added]:
        start = time.perf_counter()
        calls = [(self._link.scripts.add, *self._arguments(chunk)) for chunk in _chunks(additions)]
        added: list[Added] = []
        for reply in await self._link.run_all(calls):
            if isinstance(reply, RedisError):
                raise StreamUnavailable(f"add: {reply}") from reply
            added += [Added(row.lstrip(b"=").decode(), row[:1] != b"=") for row in reply]
        metrics.APPEND_SECONDS.observe(time.perf_counter() - start)
        _count(additions, added)
        return added

    def _arguments(self, additions: Sequence[Addition]) -> tuple[list[str], list[str | bytes | float]]:
        keys = [self._keys.events, self._keys.activity, self._keys.ledger]
        args: list[str | bytes | float] = [GROUP, SEEN_TTL, SEEN_REFRESH]
        for addition in additions:
            bucket = int.from_bytes(addition.identity[:4], "big") % BUCKETS
            keys.append(self._keys.seen(addition.day, bucket))
            args += (addition.identity, addition.blob)
        if self._activity.on:
            args += map(_noted, additions)
        return keys, args


def _noted(addition: Addition) -> bytes:
    """Return the note of an event that comes in; our own events tell of what was noted when it happened."""
    kind = addition.type
    is_ours = not kind or kind.startswith(("hook.", "whatsapp."))
    return b"" if is_ours else came_in(kind, addition.account_id)


def _count(additions: Sequence[Addition], added: Sequence[Added]) -> None:
    """Count a flush, not each of its events: to count costs as much as to decode.

    What was there already says nothing of how late Meta is, or of what we do not understand.
    """
    counts: dict[tuple[str, bool], int] = {}
    oldest: dict[str, int] = {}
    leftovers: dict[str, int] = {}
    for addition, one in zip(additions, added, strict=True):
        kind = addition.type, one.new
        counts[kind] = counts.get(kind, 0) + 1
        if not one.new:
            continue
        if addition.leftover:
            leftovers[addition.leftover] = leftovers.get(addition.leftover, 0) + 1
        if addition.when and addition.when < oldest.get(addition.kind, _NEVER):
            oldest[addition.kind] = addition.when
    for (event_type, new), count in counts.items():
        if event_type:
            _counter(event_type, new).inc(count)
    for left, count in leftovers.items():
        metrics.LEFTOVERS.labels(left).inc(count)
    for name, when in oldest.items():
        _lag(name).observe(max(time.time() - when, 0.0))


@functools.lru_cache(maxsize=256)
def _counter(event_type: str, new: bool) -> Counter:
    """Return a counter at hand: to look one up by its label costs more than to count."""
    return (metrics.EVENTS if new else metrics.DUPLICATES).labels(events.family(event_type))


@functools.cache
def _lag(kind: str) -> Histogram:
    return metrics.META_LAG.labels(kind)


def _chunks(additions: Sequence[Addition]) -> list[Sequence[Addition]]:
    """Cut a flush into calls of bounded count and size."""
    chunks: list[Sequence[Addition]] = []
    start = size = 0
    for i, addition in enumerate(additions):
        size += len(addition.blob)
        if i > start and (i - start == EVENTS_PER_CALL or size > BYTES_PER_CALL):
            chunks.append(additions[start:i])
            start, size = i, len(addition.blob)
    chunks.append(additions[start:])
    return chunks
