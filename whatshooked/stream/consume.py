"""The worker's side of the stream: read entries, route them, and take over what a dead process left.

An entry passes through three hands: nobody's (not read), this process's (read, for milliseconds) and `_parked` (routed:
its hooks are open and each has a due time). Only the middle one depends on a process, so only it needs recovery.

An entry of a newer version goes from this process to a fourth, `_newer:VERSION`, which never lives: workers of that
version and later ones recover it, at once or hours later; all others leave it alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import msgspec

from whatshooked import events
from whatshooked.keys import GROUP, MEDIA_HOOK, NEWER, PARKED, Keys
from whatshooked.stream.activity import NOBODY, Activity, Note, began, packed, record
from whatshooked.stream.link import Link, checked, named

#: Entries of one read, and of one ROUTE.
READ_COUNT = 256
#: Bytes of one read above which the next one asks for fewer entries.
READ_BYTES = 8 * 1024 * 1024
#: Milliseconds a read waits for news; also the longest a stop waits for it.
READ_BLOCK_MS = 1000
#: Seconds a process counts as living after its last heartbeat.
ALIVE_SECONDS = 10
#: Claims of an entry by RECOVER after which it is poison: every process that had it died before it was routed.
CLAIMS_TO_POISON = 5


_POISON = packed(Note("event.poison", state="poison"))


class Park(IntEnum):
    """What ROUTE does with an entry that no hook wants; the values are the script's."""

    NO = 0
    YES = 1
    POISON = 2


class Entry(msgspec.Struct, frozen=True):
    """One stream entry as read: its id and its blob."""

    id: str
    blob: bytes


class Want(msgspec.Struct, frozen=True):
    """A hook that gets an entry: at once from this process (a lease), by CLAIM, or held until its file is here."""

    hook_id: str
    leased: bool
    held: bool = False


class Route(msgspec.Struct, frozen=True):
    """Where one entry of an account goes."""

    id: str
    park: Park
    wants: Sequence[Want]
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Routed:
    """The server's time (ms) of a ROUTE, and the entries it routed; a hook's token is that time plus its lease.

    An entry that another process took over meanwhile is not among them: no POST may be made for it.
    """

    now: int
    ids: set[str]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was taken over from one dead process in one call; `finished` when nothing of it is left."""

    entries: list[Entry]
    poisoned: list[str]
    finished: bool


class Consumer:
    """One process in the consumer group; `name` is its own and dies with it."""

    def __init__(self, link: Link, blocking: Link, keys: Keys, name: str, activity: Activity = NOBODY) -> None:
        self._link = link
        self._activity = activity
        self._blocking = blocking
        self._keys = keys
        self.name = name
        self._count = READ_COUNT

    async def beat(self, hook_ids: Iterable[str]) -> None:
        """Say that this process lives and which hooks its config has; raises StreamUnavailable."""
        keys = [self._keys.alive(self.name), self._keys.hooks, self._keys.workers]
        await self._link.run(self._link.scripts.beat, keys, ALIVE_SECONDS, self.name, *hook_ids)

    async def farewell(self) -> None:
        """Let others take over at once what this process may still own; raises StreamUnavailable."""
        gone = [("DEL", self._keys.alive(self.name)), ("ZREM", self._keys.workers, self.name)]
        checked(await self._link.batch(gone))

    async def ensure_group(self) -> None:
        """Do what the function of this name does, on this process's link."""
        await ensure_group(self._link, self._keys)

    async def read(self) -> list[Entry]:
        """Return new entries, waiting up to a second for them.

        Raises StreamUnavailable, also when the group is gone (`ensure_group` mends that).
        """
        command = ("XREADGROUP", "GROUP", GROUP, self.name, "COUNT", self._count, "BLOCK", READ_BLOCK_MS)
        (reply,) = checked(
            await self._blocking.batch([(*command, "STREAMS", self._keys.events, ">")], patience=READ_BLOCK_MS / 1000)
        )
        entries = [Entry(row[0].decode(), row[1][1]) for row in reply[0][1]] if reply else []
        large = sum(len(entry.blob) for entry in entries) > READ_BYTES
        self._count = max(self._count // 8, 1) if large else min(self._count * 2, READ_COUNT)
        return entries

    async def read_own(self) -> list[Entry]:
        """Return what this process has read and not routed, after an answer was lost; raises StreamUnavailable.

        Not by XREADGROUP from 0: that would count as one more claim, and a few outages would make poison. An entry that
        was deleted meanwhile has an empty blob.
        """
        pending = await self._link.call("XPENDING", self._keys.events, GROUP, "-", "+", READ_COUNT, self.name)
        ids = [row[0].decode() for row in pending]
        rows = checked(await self._link.batch([("XRANGE", self._keys.events, i, i) for i in ids])) if ids else []
        return [Entry(i, row[0][1][1] if row else b"") for i, row in zip(ids, rows, strict=True)]

    async def route(self, routes: Sequence[Route], leases: dict[str, int], *, hold_ms: int = 0) -> Routed:
        """Park entries and open their hooks; `leases` are milliseconds by hook. Raises StreamUnavailable.

        `hold_ms` is how long a hook that is held waits for the entry's file at most.
        """
        hook_ids = list(leases)
        index = {hook_id: i + 1 for i, hook_id in enumerate(hook_ids)}
        rows = [
            (route.id, int(route.park), [(index[want.hook_id], _start(want)) for want in route.wants])
            for route in routes
        ]
        keys = [self._keys.events, self._keys.unmatched, self._keys.poison, self._keys.activity]
        keys += [self._keys.due(hook_id) for hook_id in hook_ids]
        keys += [*self._keys.of_entries(route.id for route in routes), self._keys.ledger]
        packed_hooks = msgspec.msgpack.encode([(hook_id, leases[hook_id]) for hook_id in hook_ids])
        args = (GROUP, self.name, PARKED, packed_hooks, msgspec.msgpack.encode(rows), hold_ms, MEDIA_HOOK)
        told = [part for route in routes for part in _told(route)] if self._activity.on else []
        now, *accepted = await self._link.run(self._link.scripts.route, keys, *args, *told)
        return Routed(now, {route.id for route, ok in zip(routes, accepted, strict=True) if ok})

    async def hand_on(self, versions: dict[str, int]) -> int:
        """Leave entries, versions by id, to workers that can read them; returns how many. Raises StreamUnavailable."""
        rows = msgspec.msgpack.encode([(i, f"{NEWER}{version}") for i, version in versions.items()])
        count: int = await self._link.run(self._link.scripts.newer, [self._keys.events], GROUP, self.name, rows)
        return count

    async def dead_consumers(self) -> list[str]:
        """Return the consumers whose process shows no sign of life, and whose entries can be read here.

        Raises StreamUnavailable.
        """
        names = [
            named(row, b"name").decode()
            for row in await self._link.call("XINFO", "CONSUMERS", self._keys.events, GROUP)
        ]
        others = [name for name in names if name not in (PARKED, self.name) and not _is_beyond_us(name)]
        alive = checked(await self._link.batch([("EXISTS", self._keys.alive(name)) for name in others]))
        return [name for name, lives in zip(others, alive, strict=True) if not lives]

    async def recover(self, dead: str) -> Recovered:
        """Take over what a dead process had read and not routed, a batch at a time; raises StreamUnavailable."""
        entries, poisoned, gone = await self._link.run(
            self._link.scripts.recover,
            [self._keys.events, self._keys.poison, self._keys.alive(dead), self._keys.activity],
            *(GROUP, dead, self.name, PARKED, CLAIMS_TO_POISON, READ_COUNT, _POISON if self._activity.on else b""),
        )
        found = [Entry(row[0].decode(), row[1]) for row in entries]
        return Recovered(found, [row.decode() for row in poisoned], bool(gone))


async def ensure_group(link: Link, keys: Keys) -> None:
    """Create the group at the stream's beginning unless it is there; raises StreamUnavailable."""
    await link.run(link.scripts.group, [keys.events, keys.unmatched, keys.poison, keys.ledger], GROUP)


def _is_beyond_us(consumer: str) -> bool:
    """Return whether a consumer keeps entries for workers of a newer version than this."""
    version = consumer.removeprefix(NEWER)
    return consumer.startswith(NEWER) and (not version.isdecimal() or int(version) > events.ENTRY_VERSION)


def _told(route: Route) -> tuple[int, bytes]:
    """Return how many records tell of an entry that was routed as asked, and these."""
    account_id = route.account_id
    records = [
        began(route.id, account_id, want.hook_id) for want in route.wants if want.leased and want.hook_id != MEDIA_HOOK
    ]
    if route.park is Park.POISON:
        records.append(record(route.id, Note("event.poison", account_id, state="poison")))
    elif route.park is Park.YES and not route.wants:
        records.append(record(route.id, Note("event.unmatched", account_id, state="unmatched")))
    return len(records), b"".join(records)


def _start(want: Want) -> int:
    """Return how a hook's share of an entry begins, as ROUTE reads it."""
    return 2 if want.held else int(want.leased)
