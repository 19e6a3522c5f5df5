"""One look at whom it concerns that something waits or failed: in pieces, within bounds, beside the path.

Each piece is small in entries and in bytes, so that whoever else asks this Redis, or is served by this process, waits
no longer than for that; events are decoded beside the event loop. What is beyond the bounds is said, not guessed.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from whatshooked import events
from whatshooked.config import Config, Hook
from whatshooked.errors import StreamUnavailable
from whatshooked.hooks.hook import Switch, is_active, wants
from whatshooked.keys import GROUP, MEDIA_HOOK, PARKED, Keys
from whatshooked.stream import look_outbox, peek
from whatshooked.stream.bounds import MORE, Bounds, Part
from whatshooked.stream.cache import HookState, unpack
from whatshooked.stream.customers import Author, Collection, Found, One, authors, owing
from whatshooked.stream.follow import reached_by
from whatshooked.stream.link import Command, Link, Reply, checked, named
from whatshooked.stream.media import REMEMBERED_MS
from whatshooked.stream.peek import Peek, Peeked
from whatshooked.stream.registry import known_accounts, known_hooks, read_switches

#: Seconds within which what waits for its first try, or has it, is on its way as ever, and concerns nobody.
USUAL = 30.0
#: Seconds for which it is told that a file could not be had, or a message not be sent: nothing ends that by itself.
RECENT = REMEMBERED_MS // 1000
#: Ids that are asked for at once, of one list or of one consumer.
_IDS = 500
#: Members of one answer of several lists; and of a list so small that Redis tells all of it whatever is asked for.
_MEMBERS, _SMALL = 5_000, 128
#: Milliseconds after which every worker has heard that a hook was switched on; and when one ends that is off.
_HEARD, _FOR_EVER = 10_000, 2**53

#: Entries, and whom they are of.
_Seen = list[tuple[Peeked, Author]]


async def look(link: Link, keys: Keys, config: Config, bounds: Bounds) -> Found:
    """Return whom it concerns that something waits or failed, by a config's hooks and accounts.

    Raises StreamUnavailable.
    """
    switches = await read_switches(link, keys)
    accounts = sorted({*await known_accounts(link, keys), *(account.id for account in config.whatsapp)})
    one = _Look(link, keys, bounds, await link.now())
    # Along their way: what moves on meanwhile is counted twice rather than not at all.
    await look_outbox.replies(link, keys, one.part(), one.found, usual=one.usual)
    await one.unread()
    await one.owed([hook.id for hook in config.hooks])
    await look_outbox.messages(link, keys, accounts, one.part(), one.found, recent=one.recent, usual=one.usual)
    await one.fileless()
    await one.passed_by(list(_off(config.hooks, switches, one.recent, one.usual)))
    return Found(await asyncio.to_thread(one.found.sorted), not any(part.is_cut for part in one.parts))


class _Look:
    """The parts of one look; each adds what it finds, and says when there was more."""

    def __init__(self, link: Link, keys: Keys, bounds: Bounds, now: int) -> None:
        self._link = link
        self._keys = keys
        self._bounds = bounds
        self.usual, self.recent = int(now - USUAL * 1000), int(now - RECENT * 1000)
        self.found = Collection()
        self.parts: list[Part] = []
        #: The last entry that workers had read.
        self._read = "0-0"

    def part(self) -> Part:
        """Begin another part."""
        self.parts.append(made := Part(self._bounds))
        return made

    async def unread(self) -> None:
        """Add what no worker has read, or has read and not routed: it died, or hangs, or left it to a newer one."""
        part = self.part()
        events_key = self._keys.events
        looks: list[Command] = [("XINFO", "GROUPS", events_key), ("XINFO", "CONSUMERS", events_key, GROUP)]
        groups, consumers = await self._link.batch(looks)
        self._read = reached_by(groups, GROUP)
        for row in _of_group(consumers):
            name = named(row, b"name").decode()
            if name == PARKED or not named(row, b"pending"):
                continue
            async for ids in self._pending(name, str(self.usual)):
                async for seen in self._each(part, ids):
                    self.found.add(author.at(entry.id, "", "unread") for entry, author in seen)
                if part.is_cut:
                    return
        async for seen in self._span(part, f"({self._read}", str(self.usual)):
            self.found.add(author.at(entry.id, "", "unread") for entry, author in seen)

    async def owed(self, configured: Iterable[str]) -> None:
        """Add what hooks have not taken, oldest first."""
        part = self.part()
        ids, poison = await self._owed_ids(part, configured)
        async for seen in self._each(part, ids):
            states = await self._link.batch([("HGETALL", self._keys.open(entry.id)) for entry, _ in seen])
            for (entry, author), fields in zip(seen, checked(states), strict=True):
                hooks = _unpacked(fields)
                self.found.add(owing(author, entry.id, hooks, self.usual, is_poison=entry.id in poison))

    async def _owed_ids(self, part: Part, configured: Iterable[str]) -> tuple[list[str], set[str]]:
        """Return the oldest events that are owed to hooks, one more than are looked at; and those that are poison."""
        hooks = await known_hooks(self._link, self._keys, configured)
        lists = self._keys.of_hooks([*hooks, MEDIA_HOOK])
        # The lists are by the next try, so the oldest may stand last there; and what has lost its way stands in none.
        parked, has_all = await self._parked(part)
        listed, cut = await self._listed(lists, max(MORE * self._bounds.most // len(lists), 1))
        # Of the poison some are owed to no hook, and stand in their list alone.
        poison, cut_poison = await self._listed([self._keys.poison], self._bounds.most)
        part.is_cut = bool(cut_poison) or (bool(cut) and not has_all)
        (of_nobody,) = poison.values()
        ids = await asyncio.to_thread(_oldest, [*listed.values(), parked, of_nobody], self._bounds.most + 1)
        return ids, of_nobody

    async def _listed(self, lists: Sequence[str], share: int) -> tuple[dict[str, set[str]], set[str]]:
        """Return what stands in lists, by list, some more than `share` of each at most; and which of them have more."""
        found: dict[str, set[str]] = {name: set() for name in lists}
        cursors = dict.fromkeys(lists, b"0")
        count = min(share, _IDS)
        at_once = max(_MEMBERS // max(count, _SMALL), 1)
        while names := [name for name in cursors if len(found[name]) < share][:at_once]:
            looks: list[Command] = [("ZSCAN", name, cursors[name], "COUNT", count) for name in names]
            for name, (cursor, rows) in zip(names, checked(await self._link.batch(looks)), strict=True):
                found[name].update(row.decode() for row in rows[::2])
                cursors[name] = cursor
                if cursor == b"0":
                    del cursors[name]
        return found, set(cursors)

    async def _parked(self, part: Part) -> tuple[set[str], bool]:
        """Return the oldest of all events that are owed, and whether these are all."""
        found: set[str] = set()
        looked = 0
        async for ids in self._pending(PARKED, "+"):
            if part.is_late or len(found) > self._bounds.most or looked > MORE * self._bounds.most:
                return found, False
            opened = checked(await self._link.batch([("EXISTS", self._keys.open(i)) for i in ids])) if ids else []
            found.update(i for i, is_open in zip(ids, opened, strict=True) if is_open)
            looked += len(ids)
        return found, True

    async def fileless(self) -> None:
        """Add what was handed on without its file."""
        part = self.part()
        bound = ("BYSCORE", "LIMIT", 0, self._bounds.most + 1)
        listed = await self._link.call("ZRANGE", self._keys.fileless, self.recent, "+inf", *bound)
        async for seen in self._each(part, [row.decode() for row in listed]):
            errors = await self._link.batch([("HGET", self._keys.media(entry.id), "error") for entry, _ in seen])
            self.found.add(
                author.at(entry.id, "", "no_file", error.decode("utf-8", "replace"))
                for (entry, author), error in zip(seen, checked(errors), strict=True)
                if error
            )

    async def passed_by(self, off: Sequence["_Off"]) -> None:
        """Add what hooks did not get while they were off, newest first; what is unread is told so."""
        if not off:
            return
        part = self.part()
        start = min(self._read, max(f"{one.until}-0" for one in off), key=events.place)
        async for seen in self._span(part, start, str(min(one.since for one in off)), back=True):
            looks: list[Command] = []
            for entry, _ in seen:
                looks += [("SMEMBERS", self._keys.taken(entry.id)), ("HKEYS", self._keys.open(entry.id))]
            known = checked(await self._link.batch(looks))
            for (entry, author), taken, owed in zip(seen, known[::2], known[1::2], strict=True):
                self.found.add(_passed_by(entry, author, off, {*taken, *owed}))

    async def _each(self, part: Part, ids: Sequence[str]) -> AsyncIterator[_Seen]:
        """Yield the entries of ids, as far as there are such and the part goes."""
        place = 0
        while place < len(ids):
            if not (count := part.at_once):
                part.is_cut = True
                return
            found = await peek.of_ids(self._link, self._keys, ids[place : place + count])
            if seen := await _with_authors(part, found):
                yield seen
            place += found.looked

    async def _span(self, part: Part, start: str, end: str, *, back: bool = False) -> AsyncIterator[_Seen]:
        """Yield the entries from one id to another, as far as the part goes."""
        while count := part.at_once:
            found = await peek.of_span(self._link, self._keys, start, end, count, back=back)
            if not found.looked:
                return
            yield await _with_authors(part, found)
            start = f"({found.entries[-1].id}"
        part.is_cut = True

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


async def _with_authors(part: Part, found: Peek) -> _Seen:
    """Return the entries with their authors, who are found out beside the event loop."""
    part.saw(found.looked, sum(entry.size for entry in found.entries))
    return list(zip(found.entries, await asyncio.to_thread(authors, found.entries), strict=True))


def _oldest(lists: Iterable[Iterable[str]], most: int) -> list[str]:
    return heapq.nsmallest(most, {event_id for listed in lists for event_id in listed}, key=events.place)


def _unpacked(fields: Sequence[bytes]) -> dict[str, HookState]:
    """Return how it stands at each hook; what a newer version wrote there waits, whatever it says."""
    found = {}
    for i in range(0, len(fields), 2):
        try:
            found[fields[i].decode()] = unpack(fields[i + 1], None)
        except (ValueError, LookupError):
            found[fields[i].decode("utf-8", "replace")] = HookState("waiting", 0, None, None, None)
    return found


class _Off(NamedTuple):
    """A hook that is off, or was within the last day; unix ms."""

    hook: Hook
    since: int
    until: int


def _off(hooks: Iterable[Hook], switches: Mapping[str, Switch], recent: int, usual: int) -> Iterator[_Off]:
    """Yield the hooks that somebody switched off; one that the file has off is meant to be.

    One that is on again may have what came after `usual` in its hands, and not written down yet.
    """
    for hook in hooks:
        switch = switches.get(hook.id)
        if switch is None or not hook.active:
            continue
        if not is_active(hook, switch):
            yield _Off(hook, switch.at, _FOR_EVER)
        elif switch.file and switch.off_at and switch.at > recent:
            yield _Off(hook, switch.off_at, min(switch.at + _HEARD, usual))


def _passed_by(entry: Peeked, author: Author, off: Sequence[_Off], known: set[bytes]) -> Iterator[One]:
    """Yield one for each hook that was off, wants such events, and neither took this one nor owes an answer to it."""
    ms = events.received_ms(entry.id)
    for hook, since, until in off:
        is_its_own = since <= ms < until and wants(hook, author.type, author.account)
        if is_its_own and author.type and hook.id.encode() not in known:
            yield author.at(entry.id, hook.id, "off")
