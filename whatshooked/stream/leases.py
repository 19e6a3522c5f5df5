"""Leases: which events are due at a hook, and taking them for this process."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from redis.exceptions import RedisError

from whatshooked import events, logs
from whatshooked.keys import GROUP, MEDIA_HOOK, Keys
from whatshooked.stream.activity import NOBODY, Activity, Note, packed
from whatshooked.stream.link import Link, Reply, Script, checked

log = logs.get("hooks")

#: Leases taken one after the other without an outcome after which an event is poison for its hook.
LEASES_TO_POISON = 5
#: Milliseconds that a held event is claimed late when no process was there; one that is there looks ten times a second.
_LATE_MS = 2_000
_UNTOLD = (b"", b"")


class Lease(msgspec.Struct, frozen=True):
    """The right to make one attempt: until `token` (server's ms), the attempt's number, and the entry."""

    event_id: str
    hook_id: str
    token: int
    attempt: int
    replay: bool
    #: Leases before this one, in succession, that had no outcome.
    unfinished: int
    blob: bytes
    #: Whether the lease before this one ended without an outcome: its process died, or hung.
    expired: bool = False

    @property
    def suspect(self) -> bool:
        """Return whether it may be what killed its workers: then it goes alone."""
        return self.unfinished >= 2


@dataclass(frozen=True, slots=True)
class Wish:
    """How many due events a hook can take now, and how long a lease on them lasts (ms)."""

    hook_id: str
    most: int
    lease_ms: int
    #: Leases without an outcome after which an event is poison.
    to_poison: int = LEASES_TO_POISON
    #: Suspects to take at most; None: as the call says.
    suspects: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What CLAIM found at one hook; `more` when it may have left due events behind."""

    leases: list[Lease]
    poisoned: list[str]
    vanished: list[str]
    more: bool


async def claim(
    link: Link,
    keys: Keys,
    wishes: Sequence[Wish],
    *,
    suspects: int = 1,
    hold_ms: int = 0,
    activity: Activity = NOBODY,
) -> dict[str, Claimed]:
    """Lease due events for several hooks in two round trips; hooks with nothing due are missing in the answer.

    `hold_ms` is how much longer an event waits for its file when no process was there to fetch it. Raises
    StreamUnavailable: leases may have been taken by then, they come back when they end.
    """
    now = await link.now()
    # Twice as many as wanted: suspects at the head, which go one by one, do not hold up what stands behind them.
    looks = checked(
        await link.batch(
            [("ZRANGEBYSCORE", keys.due(wish.hook_id), "-inf", now, "LIMIT", 0, wish.most * 2) for wish in wishes]
        )
    )
    due = [(wish, [row.decode() for row in look]) for wish, look in zip(wishes, looks, strict=True) if look]
    if not due:
        return {}
    claimed = {}
    replies = await link.run_all([_call(link, keys, wish, ids, suspects, hold_ms, activity) for wish, ids in due])
    for (wish, ids), reply in zip(due, replies, strict=True):
        if isinstance(reply, RedisError):  # one hook's trouble is its own
            log.seldom("error", "Due events cannot be claimed", hook_id=wish.hook_id, error=str(reply))
        else:
            claimed[wish.hook_id] = _claimed(wish.hook_id, reply, more=len(ids) >= wish.most)
    return claimed


def _call(
    link: Link, keys: Keys, wish: Wish, ids: Sequence[str], suspects: int, hold_ms: int, activity: Activity
) -> tuple[Script, list[str], tuple[str | bytes | float, ...]]:
    names = [
        keys.events,
        keys.poison,
        keys.due(wish.hook_id),
        keys.due(MEDIA_HOOK),
        keys.activity,
        *map(keys.open, ids),
    ]
    bounds = (wish.lease_ms, wish.to_poison, suspects if wish.suspects is None else wish.suspects, wish.most)
    told = (_began(wish.hook_id), packed(Note("event.poison", "", wish.hook_id, "poison"))) if activity.on else _UNTOLD
    holds = (MEDIA_HOOK, hold_ms, _LATE_MS)
    args = (GROUP, wish.hook_id, *bounds, msgspec.msgpack.encode(ids), *holds, *told, events.ENTRY_VERSION)
    return link.scripts.claim, names, args


def _began(hook_id: str) -> bytes:
    """Return the note of an attempt that begins; a file's fetch is none, what comes of it is noted."""
    return b"" if hook_id == MEDIA_HOOK else packed(Note("hook.triggered", "", hook_id, "in_flight"))


def _claimed(hook_id: str, reply: Reply, *, more: bool) -> Claimed:
    leased, poisoned, vanished = reply
    leases = [
        Lease(row[0].decode(), hook_id, int(row[1]), row[2], bool(row[3]), row[4], row[5], bool(row[6]))
        for row in leased
    ]
    return Claimed(leases, [row.decode() for row in poisoned], [row.decode() for row in vanished], more=more)


async def renew(link: Link, keys: Keys, hook_id: str, leases: Sequence[tuple[str, int]], lease_ms: int) -> list[int]:
    """Return the new tokens of long attempts, 0 for a lease that is another's by now.

    `leases` are events and tokens. Raises StreamUnavailable: a lease may be renewed, and its new token unknown.
    """
    rows = msgspec.msgpack.encode(leases)
    tokens: list[int] = await link.run(link.scripts.renew, [keys.due(hook_id)], lease_ms, rows)
    return tokens
