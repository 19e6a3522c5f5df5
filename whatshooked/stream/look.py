"""One look at whom it concerns that something waits or failed: in pieces, within bounds, beside the path.

Each piece is small in entries and in bytes, so that whoever else asks this Redis, or is served by this process, waits
no longer than for that; events are decoded beside the event loop. What is beyond the bounds is said, not guessed.
"""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from whatshooked import events
from whatshooked.config import Config, Hook
from whatshooked.errors import StreamUnavailable
from whatshooked.hooks.hook import wants
from whatshooked.keys import GROUP, MEDIA_HOOK, PARKED, Keys
from whatshooked.stream import look_outbox
from whatshooked.stream.bounds import MORE, Bounds, Part
from whatshooked.stream.cache import HookState, unpack
from whatshooked.stream.customers import Author, Collection, Found, One, authors, owing
from whatshooked.stream.follow import reached_by
from whatshooked.stream.link import Command, Link, Reply, checked, named
from whatshooked.stream.media import REMEMBERED_MS
from whatshooked.stream.registry import hooks_now, known_hooks

#: Seconds within which what waits for its first try, or has it, is on its way as ever, and concerns nobody.
USUAL = 30.0
#: Seconds for which it is told that a file could not be had, or a message not be sent: nothing ends that by itself.
RECENT = REMEMBERED_MS // 1000
#: Ids of one round trip.
_IDS = 500


async def look(link: Link, keys: Keys, config: Config, bounds: Bounds) -> Found:
    """Return whom it concerns that something waits or failed, by a config's hooks and accounts.

    Raises StreamUnavailable.
    """
    active = {hook.id for hook in (await hooks_now(link, keys, config)).active}
    # One that the file has off is meant to be.
    off = [hook for hook in config.hooks if hook.active and hook.id not in active]
    one = _Look(link, keys, bounds)
    await one.owed([hook.id for hook in config.hooks])
    await one.unread()
    await one.passed_by(off)
    await one.fileless()
    accounts = [account.id for account in config.whatsapp if account.business_api is not None]
    await look_outbox.messages(link, keys, accounts, one.part(), one.found, since=one.recent, usual=one.usual)
    await look_outbox.replies(link, keys, one.part(), one.found, usual=one.usual)
    return Found(await asyncio.to_thread(one.found.sorted), not any(part.is_cut for part in one.parts))


class _Look:
    """The parts of one look; each adds what it finds, and says when there was more."""

    def __init__(self, link: Link, keys: Keys, bounds: Bounds) -> None:
        self._link = link
        self._keys = keys
        self._bounds = bounds
        now = time.time()
        self.usual, self.recent = int((now - USUAL) * 1000), int((now - RECENT) * 1000)
        self.found = Collection()
        self.parts: list[Part] = []

    def part(self, *, is_cut: bool = False) -> Part:
        """Begin another part."""
        made = Part(self._bounds)
        made.is_cut = is_cut
        self.parts.append(made)
        return made

    async def owed(self, configured: Iterable[str]) -> None:
        """Add what hooks have not taken, oldest first."""
        ids, poison, is_all = await self._owed_ids(configured)
        part = self.part(is_cut=not is_all)
        for batch in part.batches(ids):
            looks: list[Command] = []
            for event_id in batch:
                looks += [("XRANGE", self._keys.events, event_id, event_id), ("HGETALL", self._keys.open(event_id))]
            replies = checked(await self._link.batch(looks))
            rows = [row for row in zip(batch, replies[::2], replies[1::2], strict=True) if row[1]]
            of = await _authors(part, len(batch), [(event_id, entry[0][1][1]) for event_id, entry, _ in rows])
            for (event_id, _, states), author in zip(rows, of, strict=True):
                hooks = _unpacked(states)
                self.found.add(owing(author, event_id, hooks, self.usual, is_poison=event_id in poison))

    async def _owed_ids(self, configured: Iterable[str]) -> tuple[list[str], frozenset[str], bool]:
        """Return the oldest events that hooks owe an answer to, those that are poison, and whether these are all."""
        hooks = await known_hooks(self._link, self._keys, configured)
        lists = [self._keys.poison, *self._keys.of_hooks([*hooks, MEDIA_HOOK])]
        share = max(MORE * self._bounds.most // len(lists), 1)
        rows = checked(await self._link.batch([("ZRANGE", name, 0, share - 1) for name in lists]))
        # The lists are by the next try, so the oldest may stand last there; and what has lost its way stands in none.
        parked, is_all = await self._parked()
        is_full = [len(listed) == share for listed in rows]
        is_all = not is_full[0] and (is_all or not any(is_full))  # of the poison some are owed to no hook
        ids = await asyncio.to_thread(_oldest, [*rows, parked], self._bounds.most + 1)
        poison = frozenset(row.decode() for row in rows[0])
        return ids[: self._bounds.most], poison, is_all and len(ids) <= self._bounds.most

    async def _parked(self) -> tuple[list[bytes], bool]:
        """Return the oldest of all events that are owed, and whether these are all."""
        found: list[bytes] = []
        looked = 0
        async for ids in self._pending(PARKED, "+"):
            opened = checked(await self._link.batch([("EXISTS", self._keys.open(i)) for i in ids])) if ids else []
            found += [i.encode() for i, is_open in zip(ids, opened, strict=True) if is_open]
            looked += len(ids)
            if len(found) > self._bounds.most or looked > MORE * self._bounds.most:
                return found, False
        return found, True

    async def unread(self) -> None:
        """Add what no worker has read, or has read and not routed: it died, or hangs, or left it to a newer one."""
        part = self.part()
        events_key = self._keys.events
        looks: list[Command] = [("XINFO", "GROUPS", events_key), ("XINFO", "CONSUMERS", events_key, GROUP)]
        groups, consumers = await self._link.batch(looks)
        for row in _of_group(consumers):
            name = named(row, b"name").decode()
            if name != PARKED and named(row, b"pending"):
                await self._held(part, name)
        after = reached_by(groups, GROUP)
        while count := part.at_once:
            rows = await self._link.call("XRANGE", events_key, f"({after}", self.usual, "COUNT", count)
            await self._add_unread(part, count, rows)
            if len(rows) < count:
                return
            after = rows[-1][0].decode()
        part.is_cut = True

    async def _held(self, part: Part, consumer: str) -> None:
        async for ids in self._pending(consumer, str(self.usual)):
            for batch in part.batches(ids):
                found = checked(await self._link.batch([("XRANGE", self._keys.events, i, i) for i in batch]))
                await self._add_unread(part, len(batch), [entry[0] for entry in found if entry])
            if part.is_cut:
                return

    async def _add_unread(self, part: Part, asked: int, rows: Sequence[Reply]) -> None:
        entries = [(row[0].decode(), row[1][1]) for row in rows]
        of = await _authors(part, asked, entries)
        self.found.add(author.at(i, "", "unread") for author, (i, _) in zip(of, entries, strict=True))

    async def passed_by(self, off: Sequence[Hook]) -> None:
        """Add what hooks that are off did not get, newest first: since when they are off is not written anywhere."""
        part, before = self.part(), "+"
        while off and (count := part.at_once):
            rows = await self._link.call("XREVRANGE", self._keys.events, before, "-", "COUNT", count)
            entries = [(row[0].decode(), row[1][1]) for row in rows]
            looks: list[Command] = []
            for event_id, _ in entries:
                looks += [("SMEMBERS", self._keys.taken(event_id)), ("HKEYS", self._keys.open(event_id))]
            known = checked(await self._link.batch(looks)) if looks else []
            of = await _authors(part, count, entries)
            for (event_id, _), author, taken, owed in zip(entries, of, known[::2], known[1::2], strict=True):
                self.found.add(_passed_by(author, event_id, off, {*taken, *owed}))
            if len(rows) < count:
                return
            before = f"({entries[-1][0]}"
        part.is_cut = bool(off)

    async def fileless(self) -> None:
        """Add what was handed on without its file."""
        part = self.part()
        bound = ("BYSCORE", "LIMIT", 0, self._bounds.most + 1)
        listed = await self._link.call("ZRANGE", self._keys.fileless, self.recent, "+inf", *bound)
        for batch in part.batches([row.decode() for row in listed]):
            looks: list[Command] = []
            for event_id in batch:
                looks += [("XRANGE", self._keys.events, event_id, event_id)]
                looks += [("HGET", self._keys.media(event_id), "error")]
            replies = checked(await self._link.batch(looks))
            rows = [row for row in zip(batch, replies[::2], replies[1::2], strict=True) if row[1] and row[2]]
            of = await _authors(part, len(batch), [(event_id, entry[0][1][1]) for event_id, entry, _ in rows])
            self.found.add(
                author.at(event_id, "", "no_file", error.decode("utf-8", "replace"))
                for author, (event_id, _, error) in zip(of, rows, strict=True)
            )

    async def _pending(self, consumer: str, until: str) -> AsyncIterator[list[str]]:
        """Yield the ids that a consumer has in its hands, oldest first."""
        after = "-"
        while True:
            command = ("XPENDING", self._keys.events, GROUP, after, until, _IDS, consumer)
            rows = _of_group(*await self._link.batch([command]))
            yield (ids := [row[0].decode() for row in rows])
            if len(rows) < _IDS:
                return
            after = f"({ids[-1]}"


def _of_group(reply: Reply) -> list[Reply]:
    """Return what was asked of the consumer group: nothing before any worker has been here."""
    if not isinstance(reply, Exception):
        return list(reply)
    if any(word in str(reply) for word in ("NOGROUP", "no such key")):
        return []
    raise StreamUnavailable(str(reply)) from reply


async def _authors(part: Part, asked: int, entries: Sequence[tuple[str, bytes]]) -> list[Author]:
    part.saw(asked, sum(len(blob) for _, blob in entries))
    return await asyncio.to_thread(authors, entries)


def _oldest(lists: Iterable[Iterable[bytes]], most: int) -> list[str]:
    return heapq.nsmallest(most, {row.decode() for listed in lists for row in listed}, key=events.place)


def _unpacked(states: Sequence[bytes]) -> dict[str, HookState]:
    return {states[i].decode(): unpack(states[i + 1], None) for i in range(0, len(states), 2)}


def _passed_by(author: Author, event_id: str, off: Sequence[Hook], known: set[bytes]) -> Iterator[One]:
    """Yield one for each hook that is off, wants such events, and neither took this one nor owes an answer to it."""
    for hook in off:
        if hook.id.encode() not in known and author.type and wants(hook, author.type, author.account):
            yield author.at(event_id, hook.id, "off")
