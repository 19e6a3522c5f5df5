"""The message cache: the consumer group's pending entries, looked at, replayed and removed by stream id.

It is no second store: listing is XPENDING, and what each hook owes stands in `open` and `due`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from whatshooked import events
from whatshooked.errors import NewerEntry, StreamUnavailable
from whatshooked.events import Event
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.link import Link, Reply, checked
from whatshooked.stream.record import Record, record

#: Entries that one call of a listing or of `stats` looks at in one round trip.
PAGE = 500
#: Entries that a page passes over, since they are not what is looked for.
PASSED_LIMIT = 10_000
#: Entries that `stats` counts by event; beyond, it says so instead of holding Redis up.
STATS_LIMIT = 50_000

#: What an event is in the cache.
State = Literal["waiting", "dead", "unmatched", "poison"]
_STATES = {"w": "retrying", "l": "in_flight", "d": "dead", "p": "poison"}


@dataclass(frozen=True, slots=True)
class HookState:
    """What one hook owes an event: `next_try` in unix milliseconds while it waits or is in flight."""

    state: str
    attempts: int
    next_try: int | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Cached:
    """One cached event with the state of each hook that has not taken it.

    `event` is None when it cannot be read, and `type` says why: `unreadable`, or `newer`, which a newer version reads.
    """

    id: str
    event: Event | None
    state: str
    hooks: dict[str, HookState]
    #: What is known of the message's file, None while nothing is.
    file: Record | None = None
    is_newer: bool = False

    @property
    def type(self) -> str:
        """Return the event's type, or why it has none here."""
        if self.event is not None:
            return self.event.type
        return "newer" if self.is_newer else "unreadable"


@dataclass(slots=True)
class Page:
    """Cached events; `next` is where the next page begins, None on the last.

    Of a search a page may be short, or empty, and still have a `next`: it looks at a bounded number of others.
    """

    events: list[Cached] = field(default_factory=list)
    next: str | None = None


@dataclass(slots=True)
class Stats:
    """Counts of the cache; `counted` below `total` when there were too many to look at each."""

    total: int = 0
    counted: int = 0
    oldest: str | None = None
    by_state: Counter[str] = field(default_factory=Counter)
    by_event: Counter[str] = field(default_factory=Counter)
    by_hook: Counter[str] = field(default_factory=Counter)


class Cache:
    """Looks at cached events."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def total(self) -> int:
        """Return how many events are cached; raises StreamUnavailable."""
        try:
            pending = await self._link.call("XPENDING", self._keys.events, GROUP)
        except StreamUnavailable as error:
            if "NOGROUP" in str(error):  # nothing ever came in
                return 0
            raise
        return int(pending[0])

    async def ids(self, after: str = "", until: str = "+", limit: int = PAGE) -> list[str]:
        """Return cached ids above `after`, oldest first; raises StreamUnavailable."""
        start = f"({after}" if after else "-"
        try:
            rows = await self._link.call("XPENDING", self._keys.events, GROUP, start, until, limit)
        except StreamUnavailable as error:
            if "NOGROUP" in str(error):
                return []
            raise
        return [row[0].decode() for row in rows]

    async def page(self, after: str = "", limit: int = 100, *, state: State | None = None, hook: str = "") -> Page:
        """Return cached events above `after`, oldest first: those in a state, or that a hook has not taken.

        With both, those that are so to this hook. Raises StreamUnavailable.
        """
        page, passed = Page(), 0
        while passed < PASSED_LIMIT:
            wanted = PAGE if state or hook else min(PAGE, limit - len(page.events))
            ids = await self.ids(after, limit=wanted + 1)
            last = ids[-1] if ids else ""
            for cached in await self.look(ids[:wanted]):
                if not _is_wanted(cached, state, hook):
                    passed += 1
                    continue
                page.events.append(cached)
                if len(page.events) == limit:
                    page.next = cached.id if cached.id != last else None
                    return page
            if len(ids) <= wanted:
                return page
            after = ids[wanted - 1]
        page.next = after
        return page

    async def look(self, ids: Sequence[str]) -> list[Cached]:
        """Return what is known of each of these ids that is still in the stream, cached or not."""
        commands: list[tuple[str, ...]] = []
        for i in ids:
            commands.append(("XRANGE", self._keys.events, i, i))
            commands.append(("HGETALL", self._keys.open(i)))
            commands.append(("ZSCORE", self._keys.unmatched, i))
            commands.append(("ZSCORE", self._keys.poison, i))
            commands.append(("HGETALL", self._keys.media(i)))
        replies = checked(await self._link.batch(commands)) if commands else []
        due = await self._due_times(ids, replies[1::5])
        return [
            _cached(event_id, *replies[5 * i : 5 * i + 5], due=due) for i, event_id in enumerate(ids) if replies[5 * i]
        ]

    async def _due_times(self, ids: Sequence[str], opens: Sequence[list[bytes]]) -> dict[tuple[str, str], int]:
        pairs = [(i, hook.decode()) for i, states in zip(ids, opens, strict=True) for hook in states[::2]]
        scores = checked(await self._link.batch([("ZSCORE", self._keys.due(hook), i) for i, hook in pairs]))
        return {pair: int(float(score)) for pair, score in zip(pairs, scores, strict=True) if score is not None}

    async def stats(self) -> Stats:
        """Count the cache by state, event and hook; raises StreamUnavailable."""
        stats = Stats(total=await self.total())
        after = ""
        while stats.counted < STATS_LIMIT:
            ids = await self.ids(after)
            if not ids:
                break
            after = ids[-1]
            stats.oldest = stats.oldest or ids[0]
            for cached in await self.look(ids):
                stats.counted += 1
                stats.by_state[cached.state] += 1
                stats.by_event[cached.type] += 1
                stats.by_hook.update(cached.hooks.keys())
        return stats


def _cached(
    event_id: str,
    entry: list[Reply],
    states: list[bytes],
    unmatched: bytes | None,
    poison: bytes | None,
    file: list[bytes],
    *,
    due: dict[tuple[str, str], int],
) -> Cached:
    hooks = {}
    for i in range(0, len(states), 2):
        hook = states[i].decode()
        hooks[hook] = unpack(states[i + 1], due.get((event_id, hook)))
    state = state_of(hooks, unmatched is not None, poison is not None)
    blob = entry[0][1][1]
    event, found = read(blob), record(file) if file else None
    return Cached(event_id, event, state, hooks, found, is_newer=event is None and events.newer(blob) > 0)


def _is_wanted(cached: Cached, state: State | None, hook: str) -> bool:
    if not hook:
        return state in (None, cached.state)
    owed = cached.hooks.get(hook)
    if owed is None:
        return False
    return state in (None, owed.state if owed.state in ("dead", "poison") else "waiting")


def state_of(hooks: dict[str, HookState], unmatched: bool, poison: bool) -> str:
    """Return the state of an event: what still moves is waiting, whatever else is true of it."""
    if any(hook.state in ("retrying", "in_flight", "waiting") for hook in hooks.values()):
        return "waiting"
    if poison:
        return "poison"
    if hooks:
        return "dead"
    return "unmatched" if unmatched else "waiting"


def unpack(packed: bytes, next_try: int | None) -> HookState:
    """Return a hook's packed state (`scripts/`: s|attempts|leases without outcome|replayed|status|error) as words."""
    letter, attempts, _, _, status, error = packed.decode(errors="replace").split("|", 5)
    state = "waiting" if letter == "w" and attempts == "0" else _STATES[letter]
    return HookState(state, int(attempts), next_try, int(status) or None, error or None)


def read(blob: bytes) -> Event | None:
    """Return an entry's event, or None when it is not readable."""
    try:
        return events.decode(blob)
    except (ValueError, NewerEntry):  # msgspec's errors are ValueErrors
        return None
