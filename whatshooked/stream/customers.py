"""Whom it concerns: customers whose events no hook has taken, or whose messages were not sent; one bounded look.

Metrics cannot say it, for a label has few values. Nothing of it is stored, so nobody has to be forgotten here.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from whatshooked import events
from whatshooked.config import Config, Hook
from whatshooked.errors import StreamUnavailable
from whatshooked.events import Event
from whatshooked.hooks.hook import wants
from whatshooked.keys import GROUP, MEDIA_HOOK, PARKED, Keys
from whatshooked.meta import attachment, brief, flatten
from whatshooked.meta.send import READ
from whatshooked.stream.cache import HookState, read, unpack
from whatshooked.stream.link import Command, Link, Reply, checked
from whatshooked.stream.message import State as OfMessage
from whatshooked.stream.record import record
from whatshooked.stream.registry import hooks_now, known_hooks
from whatshooked.stream.views import rfc3339

#: Seconds within which what waits for its first try, or has it, is on its way as ever, and concerns nobody.
USUAL = 30.0
#: Seconds for which it is told that a file could not be had, or a message not be sent: nothing ends that by itself.
RECENT = 86_400
#: What one look takes in: ids of each list of a hook, the oldest of all of them with their events, entries that nobody
#: has read, entries that came last (for files that could not be had, and for hooks that are off), messages of each
#: account and state.
LISTED, OWED, UNREAD, LATEST, MESSAGES = 10_000, 2_000, 1_000, 1_000, 500
#: Entries of one round trip: whoever else asks this Redis, or is served by this process, waits no longer than that.
_AT_ONCE = 50
#: Letters of a name that is shown: strangers chose it.
_NAME = 64
#: Who sent what cannot be read.
UNREADABLE = "(unreadable)"
#: States of hooks that nothing moves any more.
_SHOWN: Mapping[str, "State"] = {"dead": "dead", "poison": "poison"}
#: States of messages, and what they are called beside those of events.
_OF_MESSAGES: Mapping[OfMessage, "State"] = {"new": "unsent", "unknown": "unknown", "failed": "failed"}


#: Of events: no worker has looked at them; a hook has not taken them, or they were given up at it; they killed their
#: workers; the hook is off, and did not get them; handed on without their file. Of messages to the customer: the rest.
State = Literal["unread", "waiting", "dead", "poison", "off", "no_file", "unsent", "unknown", "failed"]


class Concerned(NamedTuple):
    """A customer, and how it stands with what came of them or is to go to them; `hook` is "" where it is about none."""

    customer: str
    account: str
    hook: str
    state: State


class Case(msgspec.Struct):
    """How many events or messages it is about, since when (unix ms), and what was last said against one of them."""

    count: int = 0
    since: int = 0
    error: str = ""
    #: What the customer calls themselves.
    name: str = ""


class Found(NamedTuple):
    """Whom it concerns, who has waited longest first; `is_all` unless there was more than one look takes in."""

    cases: dict[Concerned, Case]
    is_all: bool


class CustomerView(msgspec.Struct):
    """A customer as shown: how many events or messages of one kind wait or failed, since when, and why."""

    customer: str
    name: str | None
    account_id: str
    hook_id: str | None
    state: State
    count: int
    since: str
    error: str | None


class _One(NamedTuple):
    """One event at one hook, or one message."""

    who: Concerned
    ms: int
    name: str = ""
    error: str = ""


class Customers:
    """Looks for one process; raises StreamUnavailable."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def look(self, config: Config) -> Found:
        """Return whom it concerns that something waits or failed, by the hooks and accounts of a config."""
        ones: list[_One] = []
        now = time.time()
        usual, recent = int((now - USUAL) * 1000), int((now - RECENT) * 1000)
        active = {hook.id for hook in (await hooks_now(self._link, self._keys, config)).active}
        # One that the file has off is meant to be.
        off = [hook for hook in config.hooks if hook.active and hook.id not in active]
        accounts = [account.id for account in config.whatsapp if account.business_api is not None]
        whole = (
            await self._owed(ones, [hook.id for hook in config.hooks], usual),
            await self._unread(ones, usual),
            await self._latest(ones, off, recent),
            await self._messages(ones, accounts, usual, recent),
        )
        return Found(_together(ones), all(whole))

    async def _owed(self, ones: list[_One], configured: Iterable[str], usual: int) -> bool:
        """Add what hooks have not taken, oldest first; return whether that is all."""
        hooks = await known_hooks(self._link, self._keys, configured)
        lists = [self._keys.poison, *self._keys.of_hooks([*hooks, MEDIA_HOOK])]
        rows = checked(await self._link.batch([("ZRANGE", name, 0, LISTED - 1) for name in lists]))
        ids = sorted({row.decode() for listed in rows for row in listed}, key=events.place)
        poison = frozenset(row.decode() for row in rows[0])
        for batch in _batches(ids[:OWED]):
            looks: list[Command] = []
            for event_id in batch:
                looks += [("XRANGE", self._keys.events, event_id, event_id), ("HGETALL", self._keys.open(event_id))]
            replies = checked(await self._link.batch(looks))
            for event_id, entry, states in zip(batch, replies[::2], replies[1::2], strict=True):
                if entry:
                    event = read(entry[0][1][1])
                    ones.extend(_owing(event, event_id, _unpacked(states), usual, is_poison=event_id in poison))
        return len(ids) <= OWED and all(len(listed) < LISTED for listed in rows)

    async def _unread(self, ones: list[_One], usual: int) -> bool:
        """Add what no worker has read, or has read and not routed; return whether that is all."""
        last, consumers = await self._group()
        seen = 0
        for consumer in consumers:
            seen += await self._held(ones, consumer, usual)
        while seen < UNREAD:
            count = min(_AT_ONCE, UNREAD - seen)
            entries = await self._link.call("XRANGE", self._keys.events, f"({last}", usual, "COUNT", count)
            ones.extend(_unread(*entry) for entry in entries)
            if len(entries) < count:
                return True
            seen, last = seen + len(entries), entries[-1][0].decode()
        return False

    async def _group(self) -> tuple[str, list[dict[bytes, Reply]]]:
        """Return the id of the last entry that was read, and who reads; before there is a group nobody has."""
        events_key = self._keys.events
        looks: list[Command] = [("XINFO", "GROUPS", events_key), ("XINFO", "CONSUMERS", events_key, GROUP)]
        groups, consumers = await self._link.batch(looks)
        if isinstance(consumers, Exception):
            if not any(word in str(consumers) for word in ("NOGROUP", "no such key")):
                raise StreamUnavailable(str(consumers)) from consumers
            return "0-0", []
        (ours,) = (one for one in map(_told, checked([groups])[0]) if one[b"name"] == GROUP.encode())
        return ours[b"last-delivered-id"].decode(), [_told(row) for row in consumers]

    async def _held(self, ones: list[_One], consumer: Mapping[bytes, Reply], usual: int) -> int:
        """Add what a worker has read and not routed: it died, or hangs, or left it to a newer one; return how many."""
        name = consumer[b"name"].decode()
        if name == PARKED or not consumer[b"pending"]:
            return 0
        rows = await self._link.call("XPENDING", self._keys.events, GROUP, "-", usual, UNREAD, name)
        for batch in _batches(rows):
            looks: list[Command] = [("XRANGE", self._keys.events, row[0], row[0]) for row in batch]
            ones.extend(_unread(*entry[0]) for entry in checked(await self._link.batch(looks)) if entry)
        return len(rows)

    async def _latest(self, ones: list[_One], off: Sequence[Hook], recent: int) -> bool:
        """Add, of what came last, what was handed on without its file, and what hooks that are off did not get.

        Return whether all was looked at, as far as one is interested in more than files.
        """
        before, seen = "+", 0
        while seen < LATEST:
            rows = await self._link.call("XREVRANGE", self._keys.events, before, recent, "COUNT", _AT_ONCE)
            found = [(entry_id.decode(), event) for entry_id, fields in rows if (event := read(fields[1])) is not None]
            looks: list[Command] = []
            for event_id, _ in found:
                looks.append(("HGETALL", self._keys.media(event_id)))
                looks.append(("SMEMBERS", self._keys.taken(event_id)))
                looks.append(("HKEYS", self._keys.open(event_id)))
            replies = checked(await self._link.batch(looks)) if looks else []
            for place, (event_id, event) in enumerate(found):
                file, taken, owed = replies[3 * place : 3 * place + 3]
                ones.extend(_fileless(event, event_id, file))
                ones.extend(_passed_by(event, event_id, off, {*taken, *owed}))
            if len(rows) < _AT_ONCE:
                return True
            seen, before = seen + len(rows), f"({rows[-1][0].decode()}"
        return not off

    async def _messages(self, ones: list[_One], accounts: Sequence[str], usual: int, recent: int) -> bool:
        """Add what was not sent, oldest first; return whether that is all."""
        lists = [(account, state) for account in accounts for state in _OF_MESSAGES]
        looks: list[Command] = []
        for account, state in lists:
            since, until = recent if state == "failed" else "-inf", usual if state == "new" else "+inf"
            oldest = ("ZRANGE", self._keys.outbox(account).of_state(state), since, until, "BYSCORE", "WITHSCORES")
            looks.append((*oldest, "LIMIT", 0, MESSAGES))
        found = checked(await self._link.batch(looks)) if looks else []
        for (account, state), rows in zip(lists, found, strict=True):
            for batch in _batches([(rows[i].decode(), int(rows[i + 1])) for i in range(0, len(rows), 2)]):
                box = self._keys.outbox(account)
                asked = [("HMGET", box.message(one), "to", "kind", "hook", "error") for one, _ in batch]
                for (_, ms), told in zip(batch, checked(await self._link.batch(asked)), strict=True):
                    to, kind, hook, error = ((text or b"").decode() for text in told)
                    if kind != READ:  # that a message was read: the customer misses nothing
                        ones.append(_One(Concerned(to, account, hook, _OF_MESSAGES[state]), ms, "", error))
        return all(len(rows) < 2 * MESSAGES for rows in found)


def among(found: Found, wanted: Mapping[str, str]) -> list[tuple[Concerned, Case]]:
    """Return those whose fields have the wanted values."""
    return [
        (who, case)
        for who, case in found.cases.items()
        if all(getattr(who, name) == value for name, value in wanted.items())
    ]


def view(who: Concerned, case: Case) -> CustomerView:
    """Return a customer as the API and the command show them."""
    return CustomerView(
        who.customer,
        case.name or None,
        who.account,
        who.hook or None,
        who.state,
        case.count,
        rfc3339(case.since),
        case.error or None,
    )


def _batches(rows: Sequence[Reply]) -> Iterator[Sequence[Reply]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def _told(row: Sequence[Reply]) -> dict[bytes, Reply]:
    return dict(zip(row[::2], row[1::2], strict=True))


def _unpacked(states: Sequence[bytes]) -> dict[str, HookState]:
    return {states[i].decode(): unpack(states[i + 1], None) for i in range(0, len(states), 2)}


def _owing(
    event: Event | None, event_id: str, hooks: Mapping[str, HookState], usual: int, *, is_poison: bool
) -> Iterator[_One]:
    """Yield one for each hook that has not taken the event; none while it is on its way as usual."""
    ms = events.received_ms(event_id)
    if is_poison and not hooks:
        who, name = _person(event, event_id, "", "poison")
        yield _One(who, ms, name)
    for hook, state in hooks.items():
        shown = _SHOWN.get(state.state, "waiting")
        if shown == "waiting" and not (state.last_status or state.last_error) and ms > usual:
            continue
        who, name = _person(event, event_id, hook, shown)
        yield _One(who, ms, name, state.last_error or "")


def _unread(entry_id: bytes, fields: Sequence[bytes]) -> _One:
    event_id = entry_id.decode()
    who, name = _person(read(fields[1]), event_id, "", "unread")
    return _One(who, events.received_ms(event_id), name)


def _fileless(event: Event, event_id: str, fields: Sequence[bytes]) -> Iterator[_One]:
    """Yield one for an event whose file could not be had."""
    if fields and attachment.brings(event) and (error := record(fields).error):
        who, name = _person(event, event_id, "", "no_file")
        yield _One(who, events.received_ms(event_id), name, error)


def _passed_by(event: Event, event_id: str, off: Sequence[Hook], known: set[bytes]) -> Iterator[_One]:
    """Yield one for each hook that is off, wants such events, and neither took this one nor owes an answer to it."""
    for hook in off:
        if hook.id.encode() not in known and wants(hook, event.type, event.account_id):
            who, name = _person(event, event_id, hook.id, "off")
            yield _One(who, events.received_ms(event_id), name)


def _person(event: Event | None, event_id: str, hook: str, state: State) -> tuple[Concerned, str]:
    """Return whom an event is of, and what they call themselves; of one that cannot be read nobody knows."""
    if event is None:
        return Concerned(UNREADABLE, "", hook, state), ""
    told = brief.of(event, event_id)
    name = "".join(letter for letter in flatten.name(event) if letter.isprintable())
    return Concerned(told.conversation, told.account_id, hook, state), name[:_NAME].strip()


def _together(ones: Iterable[_One]) -> dict[Concerned, Case]:
    cases: dict[Concerned, Case] = {}
    for one in sorted((one for one in ones if one.who.customer), key=lambda one: one.ms):
        case = cases.setdefault(one.who, Case(since=one.ms))
        case.count += 1
        case.name = one.name or case.name
        case.error = one.error or case.error
    return cases
