"""Leases: which events are due at a hook, and taking them for this process."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from redis.exceptions import RedisError

from whatshooked import logs
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.link import Link, Reply, Script, checked

log = logs.get("hooks")

#: Leases taken one after the other without an outcome after which an event is poison for its hook.
LEASES_TO_POISON = 5


class Lease(msgspec.Struct, frozen=True):
    """The right to make one attempt: until `token` (server's ms), the attempt's number, and the entry."""

    event_id: str
    hook_id: str
    token: int
    attempt: int
    replay: bool
    #: Its last two leases had no outcome: it may be what killed their workers.
    suspect: bool
    blob: bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """How many due events a hook can take now, and how long a lease on them lasts (ms)."""

    hook_id: str
    most: int
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """What CLAIM found at one hook; `more` when it may have left due events behind."""

    leases: list[Lease]
    poisoned: list[str]
    vanished: list[str]
    more: bool


async def claim(link: Link, keys: Keys, wishes: Sequence[Wish], *, suspects: int = 1) -> dict[str, Claimed]:
    """Lease due events for several hooks in two round trips; hooks with nothing due are missing in the answer.

    Raises StreamUnavailable: leases may have been taken by then, they come back when they end.
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
    replies = await link.run_all([_call(link, keys, wish, ids, suspects) for wish, ids in due])
    for (wish, ids), reply in zip(due, replies, strict=True):
        if isinstance(reply, RedisError):  # one hook's trouble is its own
            log.seldom("error", "Due events cannot be claimed", hook_id=wish.hook_id, error=str(reply))
        else:
            claimed[wish.hook_id] = _claimed(wish.hook_id, reply, more=len(ids) >= wish.most)
    return claimed


def _call(
    link: Link, keys: Keys, wish: Wish, ids: Sequence[str], suspects: int
) -> tuple[Script, list[str], tuple[str | bytes | float, ...]]:
    names = [keys.events, keys.poison, keys.due(wish.hook_id), *map(keys.open, ids)]
    bounds = (wish.lease_ms, LEASES_TO_POISON, suspects, wish.most)
    return link.scripts.claim, names, (GROUP, wish.hook_id, *bounds, msgspec.msgpack.encode(ids))


def _claimed(hook_id: str, reply: Reply, *, more: bool) -> Claimed:
    leased, poisoned, vanished = reply
    leases = [
        Lease(row[0].decode(), hook_id, int(row[1]), row[2], bool(row[3]), bool(row[4]), row[5]) for row in leased
    ]
    return Claimed(leases, [row.decode() for row in poisoned], [row.decode() for row in vanished], more=more)
