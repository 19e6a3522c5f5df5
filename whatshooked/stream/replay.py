"""Replay, delete and clear: what an operator does to cached events, each in one atomic step per entry."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from whatshooked import events
from whatshooked.config import Hook
from whatshooked.errors import StoreUnavailable, StreamUnavailable
from whatshooked.events import Event
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import GROUP, MEDIA_HOOK, PARKED, Keys
from whatshooked.meta import attachment
from whatshooked.stream import media
from whatshooked.stream.activity import NOBODY, Activity, Note, record
from whatshooked.stream.cache import Cache, read
from whatshooked.stream.consume import Park
from whatshooked.stream.link import Link, checked
from whatshooked.stream.registry import known_hooks

#: Entries of one script call.
BATCH = 250


#: Whether a file of an account is stored.
HasFile = Callable[[str, str], Awaitable[bool]]


class Operator:
    """Changes the cache by hand; `hooks` tells the hooks that match at the moment of each call.

    A replay fetches a file that is not there again: `has_file` tells, without it what was noted of the fetch counts.
    `hold_ms` is how long the hooks wait for it. `actor` is who does it, for the event log.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        hooks: Callable[[], Hooks],
        *,
        has_file: HasFile | None = None,
        hold_ms: int = 60_000,
        activity: Activity = NOBODY,
        actor: str = "",
    ) -> None:
        self._activity = activity
        self._actor = actor
        self._link = link
        self._keys = keys
        self._hooks = hooks
        self._has_file = has_file
        self._hold_ms = hold_ms
        self._cache = Cache(link, keys)

    async def replay(self, ids: Sequence[str], *, hook_id: str = "", again: bool = False) -> dict[str, int]:
        """Open entries for the hooks that match now, or for `hook_id` alone.

        Returns by id how many hooks will get it (0: none matches, or each has it or is getting it); an id that is not
        in the stream is missing. A hook that took the event is left out, unless it is named or `again`; only with
        `again` is what it answers sent a second time. Raises StreamUnavailable.
        """
        hooks = self._hooks()
        replayed: dict[str, int] = {}
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            known = await self._known(batch)
            entries = checked(await self._link.batch([("XRANGE", self._keys.events, i, i) for i in batch]))
            found = {i: read(entry[0][1][1]) if entry else None for i, entry in zip(batch, entries, strict=True)}
            missing = await self._without_file(found)
            rows = [(i, event, self._targets(hooks, event, hook_id), i in missing) for i, event in found.items()]
            counts = await self._replay(known, rows, again=2 if again else int(bool(hook_id)))
            replayed |= {i: count for i, count in zip(batch, counts, strict=True) if count >= 0}
        return replayed

    async def replay_all(self, *, hook_id: str = "", again: bool = False) -> int:
        """Replay every cached event up to the newest of this moment; returns how many go to some hook."""
        count, after, until = 0, "", await self._newest()
        while ids := await self._cache.ids(after, until):
            after = ids[-1]
            count += sum(1 for hooks in (await self.replay(ids, hook_id=hook_id, again=again)).values() if hooks)
        return count

    async def delete(self, event_id: str) -> bool:
        """Remove one event from the cache and the stream, in flight or not; False when there is none."""
        return bool((await self.discard([event_id], parked_only=False, delete=True))[event_id])

    async def clear(self) -> int:
        """Delete all that is parked up to the newest event of this moment; what is in flight or due stays."""
        count, after, until = 0, "", await self._newest()
        while ids := await self._cache.ids(after, until):
            after = ids[-1]
            count += sum((await self.discard(ids, parked_only=True, delete=True)).values())
        return count

    async def discard(
        self, ids: Sequence[str], *, parked_only: bool, delete: bool, note: Note | None = None
    ) -> dict[str, int]:
        """Take entries out of the cache (and the stream, with `delete`); returns 1 by id for those taken out.

        `note` is what the event log tells of each; by default that it was deleted, and by whom.
        """
        note = note or Note("event.deleted", state="deleted", actor=self._actor)
        answer: dict[str, int] = {}
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            known = list(await self._known(batch))
            keys = [
                *self._script_keys(known, self._keys.activity),
                *self._keys.of_whole_entries(batch),
                self._keys.ledger,
            ]
            args = (msgspec.msgpack.encode(known), msgspec.msgpack.encode(batch), int(parked_only), int(delete))
            told = [record(i, note) for i in batch] if self._activity.on else []
            done, strange = await self._link.run(self._link.scripts.discard, keys, GROUP, *args, *told)
            if strange:  # a hook came into being in between: its keys have to be named
                raise StreamUnavailable("a hook appeared meanwhile, try again")
            answer |= dict(zip(batch, done, strict=True))
        return answer

    async def _known(self, ids: Sequence[str]) -> dict[str, bool]:
        """Return the hooks whose keys may name these entries; also those that nobody remembers but the entries."""
        known = await known_hooks(self._link, self._keys, self._hooks().by_id)
        for hooks in checked(await self._link.batch([("HKEYS", self._keys.open(i)) for i in ids])):
            known = dict.fromkeys((hook.decode() for hook in hooks), False) | known
        return known

    async def _replay(
        self, known: dict[str, bool], rows: Sequence[tuple[str, Event | None, Iterable[Hook], bool]], *, again: int
    ) -> list[int]:
        known = {hook: shown for hook, shown in known.items() if hook != MEDIA_HOOK}  # or it would count as removed
        index = {hook: i + 1 for i, hook in enumerate(known)}
        entries = [
            (i, int(_park(event)), [index[hook.id] for hook in targets], int(missing))
            for i, event, targets, missing in rows
        ]
        of_entries = self._keys.of_entries(row[0] for row in rows)
        note = Note("event.replayed", state="replayed", actor=self._actor)
        told = [record(row[0], note) for row in rows] if self._activity.on else []
        counts: list[int] = await self._link.run(
            self._link.scripts.replay,
            [
                *self._script_keys(list(known), self._keys.due(MEDIA_HOOK), self._keys.activity),
                *of_entries,
                self._keys.ledger,
            ],
            *(GROUP, PARKED, msgspec.msgpack.encode([(h, int(c)) for h, c in known.items()])),
            *(msgspec.msgpack.encode(entries), again, MEDIA_HOOK, self._hold_ms),
            *told,
        )
        return counts

    async def _without_file(self, found: dict[str, Event | None]) -> set[str]:
        """Return the events that bring a file which is not here."""
        bringing = {i: event for i, event in found.items() if event is not None and attachment.of(event)}
        noted = await media.records(self._link, self._keys, list(bringing))
        names = {i: noted[i].filename for i in bringing if i in noted and noted[i].filename}
        there = await asyncio.gather(*(self._is_stored(bringing[i].account_id, name) for i, name in names.items()))
        return bringing.keys() - {i for i, stored in zip(names, there, strict=True) if stored}

    async def _is_stored(self, account_id: str, filename: str) -> bool:
        """Return whether a file is there; a store that is away is believed to have it, and the attempt finds out."""
        try:
            return self._has_file is None or await self._has_file(account_id, filename)
        except StoreUnavailable:
            return True

    def _targets(self, hooks: Hooks, event: Event | None, hook_id: str) -> tuple[Hook, ...]:
        if event is None:
            return ()
        if hook_id:
            return (hooks.by_id[hook_id],)
        return hooks.match(event)

    def _script_keys(self, known: Sequence[str], *more: str) -> list[str]:
        return [self._keys.events, self._keys.unmatched, self._keys.poison, *more, *self._keys.of_hooks(known)]

    async def _newest(self) -> str:
        rows = await self._link.call("XREVRANGE", self._keys.events, "+", "-", "COUNT", 1)
        return rows[0][0].decode() if rows else "0-1"


def _park(event: Event | None) -> Park:
    return Park.YES if event is None or events.is_kept_unmatched(event.type) else Park.NO
