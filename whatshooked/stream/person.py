"""One person forgotten in Redis: all their names found, and every key looked through until nothing names them.

    person = await names_of(link, keys, "4915112345678")
    erased = await erase(link, keys, person, remove)
    left = await purge_files(link)          # person_files.py: old bytes stay in Redis' own files until then

Their own events go whole (person_events.py), their messages and all else with them (person_keys.py). What `seen` holds
of them stays, hashes alone: it keeps Meta's redelivery of a forgotten message from bringing it back.
"""

import asyncio
import hashlib
import time
from collections import Counter

import msgspec

from whatshooked.keys import Keys
from whatshooked.meta.person import Person
from whatshooked.stream.cache import read
from whatshooked.stream.link import Link
from whatshooked.stream.outbox_view import OutboxView, Place
from whatshooked.stream.person_events import Found, PersonEvents, Remove, named
from whatshooked.stream.person_keys import PersonKeys
from whatshooked.stream.person_names import beside, is_name
from whatshooked.stream.registry import known_accounts

#: Seconds for which events in flight are waited for: a hook answers within 30, or fails.
PATIENCE = 45.0
#: Looks at all that there is, at most: somebody who writes all the time is not waited for.
_MOST_ROUNDS = 100
_PAUSE = 0.25
_PAGE = 200


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, counted, and what is left, a sentence each."""

    #: The person's own events, deleted from stream, cache and history.
    events: int
    #: Events of others that named them: finished ones deleted, and owed ones that go on without them, under a new id.
    finished: int
    moved: int
    #: Outgoing messages, and how many of them were being sent just then.
    messages: int
    sending: int
    #: Replies of hooks that waited to be sent, and refused ones.
    replies: int
    refused: int
    #: Other keys and members of keys that were deleted, and texts that go on without them.
    names: int
    texts: int
    #: Ids of the events that were deleted.
    event_ids: frozenset[str]
    left: tuple[str, ...]

    @property
    def total(self) -> int:
        """Return how many things were touched."""
        counts = (getattr(self, name) for name in self.__struct_fields__ if name not in ("event_ids", "left"))
        return sum(counts)


async def names_of(link: Link, keys: Keys, name: str) -> Person:
    """Return a person with all names that Meta puts beside the one given (phone digits or user id).

    A number that Meta told us to be another one of theirs (their wamid names it, `to` was dialled) is among them.
    Raises ValueError for what has the form of neither, and StreamUnavailable.
    """
    if not is_name(name):
        raise ValueError(f"{name!r}: give a phone number's digits with its country code, or Meta's user id")
    found = {name}
    while True:
        person = Person(found)
        more = await _beside(link, keys, person) | await _dialled(link, keys, person)
        if more <= found:
            return person
        found |= more


async def erase(link: Link, keys: Keys, person: Person, remove: Remove, *, patience: float = PATIENCE) -> Erased:
    """Erase a person from all keys, again and again until a look finds nothing new; events in flight are waited for.

    `remove` is handed the files of events before these are deleted. To be called again after a crash. Raises
    StreamUnavailable, and what `remove` does.
    """
    stream, others = PersonEvents(link, keys, person, remove), PersonKeys(link, keys, person)
    own: set[str] = set()
    of_others: Counter[str] = Counter()
    deadline, left = time.monotonic() + patience, [_KEPT_COMING]
    for _ in range(_MOST_ROUNDS):
        found = await stream.erase()
        own.update(found.own)
        of_others += found.of_others
        before = others.counts.total()
        await others.erase(own)
        if found.own or found.of_others or others.counts.total() > before:
            continue
        left = _left(found, others)
        if not (found.busy or others.waiting) or time.monotonic() > deadline:
            break
        await asyncio.sleep(_PAUSE)
    counted = {what: others.counts[what] for what in ("messages", "sending", "replies", "refused", "names", "texts")}
    done = {"events": len(own), "finished": of_others["deleted"], "moved": of_others["moved"]}
    return Erased(**counted, **done, event_ids=frozenset(own), left=tuple(left))


#: What a sentence says that may not be true any more after the next look.
RUN_AGAIN = "run this again"
_KEPT_COMING = f"Redis: events of this person kept coming in; {RUN_AGAIN}"


def _left(found: Found, others: PersonKeys) -> list[str]:
    """Return what the operator has to know, a sentence each."""
    left = []
    if found.busy:
        left.append(f"Redis: events of others that name them are in flight, {RUN_AGAIN}: {', '.join(found.busy)}")
    if found.newer:
        ids = ", ".join(found.newer)
        left.append(f"Redis: events that only a newer version reads name them, {RUN_AGAIN} with that version: {ids}")
    if others.waiting:
        streams = ", ".join(sorted(others.waiting))
        left.append(f"Redis: readers of {streams} have not read all that names them; start a worker, {RUN_AGAIN}")
    if others.counts["sending"]:
        count = others.counts["sending"]
        left.append(
            f"Meta: {count} messages were being sent; webhooks of them may come yet, do this once more tomorrow"
        )
    if others.unsent:
        left.append(f"Outbox: messages to others that named them were not sent: {', '.join(others.unsent)}")
    return left


async def _beside(link: Link, keys: Keys, person: Person) -> set[str]:
    """Return the names that one object of some event has beside one of the person's."""
    found: set[str] = set()
    async for rows in named(link, keys, person):
        for event in filter(None, (read(blob) for _, blob in rows)):
            for names in beside(event):
                if names & person.names:
                    found |= names
    return found


async def _dialled(link: Link, keys: Keys, person: Person) -> set[str]:
    """Return the numbers to which messages went whose id, made by Meta, names the person.

    Meta knows some numbers by another form than people dial (in Brazil, Mexico and Argentina).
    """
    view, found = OutboxView(link, keys), set[str]()
    for account_id in await known_accounts(link, keys):
        after: Place | None = None
        while rows := await view.page(account_id, after=after, limit=_PAGE):
            after = rows[-1].at, rows[-1].id
            found |= {row.to for row in rows if row.wamid and is_name(row.to) and person.is_named(row.wamid)}
    return found


#: Seconds for which the names of somebody are remembered who is not forgotten everywhere yet.
_REMEMBERED = 7 * 86_400


async def remembered(link: Link, keys: Keys, name: str) -> set[str]:
    """Return the names that an earlier try knew of a person, which nothing else may tell by now."""
    found = await link.call("GET", _of(keys, name))
    return set(msgspec.json.decode(_disguised(found), type=list[str])) if found else set()


async def remember(link: Link, keys: Keys, name: str, person: Person) -> None:
    """Keep a person's names until they are forgotten everywhere; no look through the keys sees them there."""
    await link.call("SET", _of(keys, name), _disguised(msgspec.json.encode(sorted(person.names))), "EX", _REMEMBERED)


async def drop_remembered(link: Link, keys: Keys, name: str) -> None:
    """Forget the names, too."""
    await link.call("DEL", _of(keys, name))


def _of(keys: Keys, name: str) -> str:
    return keys.forgetting(hashlib.blake2b(name.encode(), digest_size=16).hexdigest())


def _disguised(text: bytes) -> bytes:
    return bytes(255 - byte for byte in text)
