"""What keeps the stream in bounds: the cache's limits, history, and hooks that were removed from the config.

Each pass does a bounded piece of work and decides nothing alone: whether an entry is parked, finished or in flight is
looked at again in the script that removes it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from whatshooked.events import received_ms
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.activity import NOBODY, Activity, Note, packed
from whatshooked.stream.cache import read
from whatshooked.stream.link import Link, Reply, checked
from whatshooked.stream.memory import FULL, shortage
from whatshooked.stream.registry import REMOVED_AFTER_MS, known_hooks
from whatshooked.stream.replay import Operator

#: Entries that one pass of the janitor walks at most.
WALK = 100_000
_STEP = 500
#: Bytes that Redis needs for an entry's `taken` set, beside the entry.
_TAKEN_BYTES = 160


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is parked, and of history."""

    max_events: int
    max_age_ms: int
    history_ms: int
    history_bytes: int
    #: Events from this time on (unix ms) stay in history, since the event log has yet to write of them; but a full
    #: Redis comes first.
    keep_from: float = float("inf")


#: Events that left the cache, by what they were in it: `waiting`, `dead`, `unmatched`, `poison`.
PushedOut = Counter[str]


class _Parked(NamedTuple):
    """Since when (unix ms) an event is parked, and as what."""

    since: float
    state: str


class Upkeep:
    """One installation's upkeep; any worker may run a pass at any time."""

    def __init__(self, link: Link, keys: Keys, operator: Operator, activity: Activity = NOBODY) -> None:
        self._activity = activity
        self._link = link
        self._keys = keys
        self._operator = operator
        self._cursor = "-"

    async def enforce(self, limits: Limits, hooks: Iterable[str]) -> tuple[PushedOut, PushedOut]:
        """Push out what is parked too long or too much; return counts by state (too old, too many).

        Raises StreamUnavailable.
        """
        known = await known_hooks(self._link, self._keys, hooks)
        parked = await self._parked(list(known))
        now = await self._link.now()
        old = [i for i, one in parked.items() if one.since < now - limits.max_age_ms]
        aged = await self._push_out(old, "too_old", parked)
        gone = set(old)
        rest = [i for i in parked if i not in gone]
        if len(rest) <= limits.max_events:  # to look at each costs, and can only make them fewer
            return aged, Counter()
        rest = await self._counted(rest)
        # Each once: what is not parked any more was taken out by another worker's pass, and makes room as well.
        surplus = rest[: max(len(rest) - limits.max_events, 0)]
        return aged, await self._push_out(surplus, "too_many", parked)

    async def forget(self, limits: Limits) -> int:
        """Delete finished entries beyond history's bounds, oldest first; returns how many. Raises StreamUnavailable."""
        by_age, surplus, is_short = await self._surplus(limits)
        keep_from = float("inf") if is_short else limits.keep_from
        count = walked = 0
        while walked < WALK:
            rows = [i for i in await self._ids(self._cursor) if received_ms(i) < keep_from]
            aged = sum(1 for i in rows if received_ms(i) < by_age)
            room = max(surplus - count, 0)
            if not rows or not (aged or room):
                self._cursor = "-"  # what was pending on the way may be finished the next time
                break
            keys = [self._keys.events, *(key for i in rows for key in (self._keys.taken(i), self._keys.media(i)))]
            args = (GROUP, msgspec.msgpack.encode(rows), aged, room)
            deleted, unread = await self._link.run(self._link.scripts.forget, keys, *args)
            count += deleted
            walked += len(rows)
            self._cursor = "-" if unread else f"({rows[-1]}"
            if unread:
                break
        return count

    async def drop_removed(self, configured: Iterable[str]) -> dict[str, PushedOut]:
        """Give up what removed hooks owed; returns closed events by hook and state. Raises StreamUnavailable."""
        known = await known_hooks(self._link, self._keys, configured)
        closed = {}
        for hook in [hook for hook, shown in known.items() if not shown]:
            count, left = await self._drop(hook)
            if count:
                closed[hook] = count
            if not left:
                await self._link.call("ZREM", self._keys.hooks, hook)
        return closed

    async def _drop(self, hook: str) -> tuple[PushedOut, int]:
        """Return events closed and left (in flight) after a bounded piece of work."""
        due, dead = self._keys.due(hook), self._keys.dead(hook)
        closed: PushedOut = Counter()
        for state, key in (("waiting", due), ("dead", dead), ("poison", self._keys.poison)):
            ids = [row.decode() for row in await self._link.call("ZRANGE", key, 0, _STEP - 1)]
            keys = [self._keys.events, self._keys.poison, due, dead, self._keys.hooks, self._keys.activity]
            keys += [*map(self._keys.open, ids), self._keys.ledger]
            told = packed(Note("event.given_up", "", hook, "hook_removed")) if self._activity.on else b""
            args = (GROUP, hook, msgspec.msgpack.encode(ids), REMOVED_AFTER_MS, told)
            done, _ = await self._link.run(self._link.scripts.drop, keys, *args)
            closed += Counter({state: done})
        left = await self._link.batch([("ZCARD", due), ("ZCARD", dead)])
        return closed, sum(left)

    async def _parked(self, hooks: list[str]) -> dict[str, _Parked]:
        """Return what is parked by id, longest first; some may wait for another hook, the script leaves them."""
        # What one event is several times over counts as the last of these, as `cache.state_of` has it.
        sets = [("unmatched", self._keys.unmatched), *(("dead", self._keys.dead(hook)) for hook in hooks)]
        sets.append(("poison", self._keys.poison))
        found: dict[str, _Parked] = {}
        replies = checked(await self._link.batch([("ZRANGE", name, 0, -1, "WITHSCORES") for _, name in sets]))
        for (state, _), reply in zip(sets, replies, strict=True):
            for i in range(0, len(reply), 2):
                event_id, since = reply[i].decode(), float(reply[i + 1])
                before = found.get(event_id)
                found[event_id] = _Parked(max(since, before.since if before else 0.0), state)
        return dict(sorted(found.items(), key=lambda item: item[1].since))

    async def _counted(self, ids: list[str]) -> list[str]:
        """Leave out what `max_events` does not count: events that still wait for a hook, and `hook.*` events."""
        counted: list[str] = []
        for start in range(0, len(ids), _STEP):
            batch = ids[start : start + _STEP]
            opens = await self._link.batch([("HVALS", self._keys.open(i)) for i in batch])
            entries = await self._link.batch([("XRANGE", self._keys.events, i, i) for i in batch])
            counted += [i for i, states, entry in zip(batch, opens, entries, strict=True) if _counts(states, entry)]
        return counted

    async def _push_out(self, ids: list[str], reason: str, parked: Mapping[str, _Parked]) -> PushedOut:
        note = Note("event.pushed_out", state=reason)
        gone = await self._operator.discard(ids, parked_only=True, delete=False, note=note) if ids else {}
        return Counter(parked[i].state for i, is_gone in gone.items() if is_gone)

    async def _ids(self, start: str) -> list[str]:
        return [
            row[0].decode() for row in await self._link.call("XRANGE", self._keys.events, start, "+", "COUNT", _STEP)
        ]

    async def _surplus(self, limits: Limits) -> tuple[int, int, bool]:
        """Return the ms before which history is over, how many finished entries there is no room for, and whether Redis
        is short of memory."""
        by_age = await self._link.now() - limits.history_ms
        replies = await self._link.batch(
            [
                ("XLEN", self._keys.events),
                ("XPENDING", self._keys.events, GROUP),
                ("MEMORY", "USAGE", self._keys.events),
                ("INFO", "memory"),
            ]
        )
        if any(isinstance(reply, Exception) for reply in replies) or not replies[0] or not replies[2]:
            return by_age, 0, False
        length, pending, size, memory = replies
        each = size / length + _TAKEN_BYTES
        finished = length - pending[0]
        too_many = finished - int(limits.history_bytes / each)
        missing = shortage(memory, FULL)
        return by_age, max(too_many, min(finished, int(missing / each)), 0), missing > 0


def _counts(states: Reply, entry: Reply) -> bool:
    if isinstance(states, Exception) or isinstance(entry, Exception) or any(s[:1] in b"wl" for s in states):
        return False
    event = read(entry[0][1][1]) if entry else None
    return event is None or not event.type.startswith("hook.")
