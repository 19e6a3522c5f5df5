"""A person in the stream of events: their own go whole, those of others go on without them."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec

from whatshooked import events
from whatshooked.errors import StreamUnavailable
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import GROUP, PARKED, Keys
from whatshooked.meta.person import Person
from whatshooked.stream import media
from whatshooked.stream.cache import read
from whatshooked.stream.link import Link, Reply, Script, checked
from whatshooked.stream.person_names import is_own, masked
from whatshooked.stream.registry import known_hooks
from whatshooked.stream.replay import Operator

#: Removes stored files, by account id and file name; asked before the events that brought them are deleted.
Remove = Callable[[set[tuple[str, str]]], Awaitable[object]]

#: Entries of one look.
_PAGE = 200
#: Milliseconds by which a copy's id is ahead of the clock; in a busy stream a later one is tried.
_AHEAD = (0, 5, 50, 500, 5000)
#: Not loaded by every connection: it is needed once in a while.
_MOVE = Script("person/move")


class Found(msgspec.Struct):
    """What one pass did to the stream: ids of the person's own events that were deleted, of others by what was done.

    `of_others` counts moved (owed still, goes on without the person) and deleted (was finished); `busy` are ids of
    events that a worker or a hook had just then.
    """

    own: list[str] = []
    of_others: Counter[str] = msgspec.field(default_factory=Counter)
    busy: list[str] = []
    #: Ids of events that only a newer version can read: whose they are is not known here, and they are owed still.
    newer: list[str] = []


class PersonEvents:
    """The events that name a person; raises StreamUnavailable, and what `remove` does."""

    def __init__(self, link: Link, keys: Keys, person: Person, remove: Remove) -> None:
        self._link = link
        self._keys = keys
        self._person = person
        self._remove = remove
        self._operator = Operator(link, keys, lambda: Hooks(()))

    async def erase(self) -> Found:
        """Walk the whole stream once, from its oldest entry."""
        found = Found()
        async for rows in named(self._link, self._keys, self._person):
            own, others = [], []
            for event_id, blob in rows:
                if events.newer(blob):
                    found.newer.append(event_id)
                    continue
                event = read(blob)
                # What cannot be read cannot be masked; it cannot be delivered either.
                if event is None or is_own(event, self._person):
                    own.append(event_id)
                else:
                    others.append((event_id, events.encode(masked(event, self._person))))
            await self._delete(own)
            found.own += own
            for event_id, blob in others:
                answer = await self._move(event_id, blob)
                if answer in ("busy", "strange", "early"):
                    found.busy.append(event_id)
                elif answer != "gone":
                    found.of_others[answer] += 1
        return found

    async def _delete(self, ids: Sequence[str]) -> None:
        """Delete events of the person; their files first, since afterwards nothing tells their names."""
        if not ids:
            return
        if files := await media.needed(self._link, self._keys, ids):
            await self._remove(files)
        await self._operator.discard(ids, parked_only=False, delete=True)

    async def _move(self, event_id: str, blob: bytes) -> str:
        """Return what MOVE says, which is asked again with a later id while the copy's is not above all others."""
        hooks = list(await known_hooks(self._link, self._keys, ()))
        hooks += [
            h for row in await self._link.call("HKEYS", self._keys.open(event_id)) if (h := row.decode()) not in hooks
        ]
        answer = ""
        for ahead in _AHEAD:
            copy = f"{await self._link.now() + ahead}-0"
            keys = [self._keys.events, self._keys.unmatched, self._keys.poison, self._keys.fileless]
            keys += self._keys.of_hooks(hooks)
            keys += [*self._keys.of_whole_entries((event_id, copy)), self._keys.ledger]
            args = (GROUP, PARKED, msgspec.msgpack.encode(hooks), event_id, copy, blob)
            answer = (await evaluate(self._link, _MOVE, keys, *args)).decode()
            if answer != "early":
                break
        return answer


async def named(link: Link, keys: Keys, person: Person) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Yield id and blob of the entries that name a person, oldest first; raises StreamUnavailable."""
    start = "-"
    while rows := await link.call("XRANGE", keys.events, start, "+", "COUNT", _PAGE):
        start = f"({rows[-1][0].decode()}"
        if found := [(row[0].decode(), row[1][1]) for row in rows if person.is_named(row[1][1])]:
            yield found


async def evaluate(link: Link, script: Script, keys: Sequence[str], *args: str | bytes | float) -> Reply:
    """Return the answer of a script that connections do not load; raises StreamUnavailable."""
    try:
        (reply,) = checked(await link.batch([("EVAL", script.text, len(keys), *keys, *args)]))
    except StreamUnavailable as error:
        raise StreamUnavailable(f"{script.name}: {error}") from error
    return reply
