"""The activity stream as it is read: by a group per target of the event log, which loses nothing, or live."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from whatshooked import events, logs
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import FIRST_SHARD, Keys
from whatshooked.stream.activity import Note, Told
from whatshooked.stream.link import Link, Reply, checked, named

#: How the shard of an account's outgoing messages begins; the account's name follows.
_OUT = "out/"
#: The consumer of every group: its writer, whichever process that is.
WRITER = "writer"
#: Milliseconds that a written record stays, for who begins to watch.
STAYS_MS = 60_000
#: Milliseconds without a read after which nobody writes a target any more: it left the config.
GONE_MS = 120_000
#: Steps of one trimming pass, of a hundred entries each.
_STEPS = 50
_PASSES = 200
#: Bytes by which a stream may grow while it is looked at.
_SLACK = 1_000_000

log = logs.get("eventlog")

_decode = msgspec.msgpack.Decoder(list[Told]).decode


class Record(NamedTuple):
    """A record at its place: `ms` and `seq` are the two numbers of its id, `entry` the stream entry that holds it."""

    shard: str
    ms: int
    seq: int
    told: Told
    entry: str


class Lag(NamedTuple):
    """How far a target is behind: seconds since its oldest record that is not written, and records it lost."""

    seconds: float
    dropped: int


def group_of(target: str) -> str:
    """Return the group by which a target of the event log reads."""
    return f"eventlog.{target}"


def shards(keys: Keys, account_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return shard → its activity stream, and what it dropped: the events' own, and each account's."""
    boxes = {f"{_OUT}{account_id}": keys.outbox(account_id) for account_id in account_ids}
    return {FIRST_SHARD: (keys.activity, keys.dropped)} | {s: (b.activity, b.dropped) for s, b in boxes.items()}


def account_of(shard: str) -> str:
    """Return the account whose messages a shard is about, "" for the events' own."""
    return shard.removeprefix(_OUT) if shard.startswith(_OUT) else ""


def unfold(shard: str, entry_id: str, fields: Sequence[bytes]) -> list[Record]:
    """Return the records of a stream entry (`n`, how many they are, and `r`, they themselves).

    Of an entry that a newer version wrote it is told that it cannot be read.
    """
    try:
        told = _decode(fields[3])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = [Told("", Note("event.unreadable"))] * int(fields[1])
    ms, seq = events.place(entry_id)
    first = seq - len(told) + 1
    return [Record(shard, ms, first + i, one, entry_id) for i, one in enumerate(told)]


class Group:
    """One target's view of all shards; one process at a time reads with it. Raises StreamUnavailable."""

    def __init__(self, link: Link, target: str) -> None:
        self._link = link
        self.name = group_of(target)
        self._made: set[str] = set()

    async def read(self, streams: dict[str, tuple[str, str]], count: int, *, own: bool) -> list[Record]:
        """Return records that were not read yet, at most `count` entries a shard; `own`: that were, and not written."""
        await self._ensure(streams)
        start = "0" if own else ">"
        commands = [
            ("XREADGROUP", "GROUP", self.name, WRITER, "COUNT", count, "STREAMS", stream, start)
            for stream, _ in streams.values()
        ]
        found: list[Record] = []
        replies = dict(zip(streams, await self._link.batch(commands), strict=True))
        failed = [shard for shard, reply in replies.items() if isinstance(reply, Exception)]
        if failed:  # a flushed Redis has none of the groups: all are made again at once
            self._made.difference_update(failed)
            raise StreamUnavailable(str(replies[failed[0]]))
        for shard, reply in replies.items():
            for entry_id, fields in reply[0][1] if reply else ():
                if fields:  # else the bound took it while it was being written, and counted it
                    found += unfold(shard, entry_id.decode(), fields)
        return found

    async def written(self, streams: dict[str, tuple[str, str]], records: Iterable[Record]) -> None:
        """Say that these are written."""
        by_shard: dict[str, dict[str, None]] = {}
        for record in records:
            by_shard.setdefault(record.shard, {})[record.entry] = None
        commands = [("XACK", streams[shard][0], self.name, *ids) for shard, ids in by_shard.items()]
        checked(await self._link.batch(commands))

    async def _ensure(self, streams: dict[str, tuple[str, str]]) -> None:
        missing = [shard for shard in streams if shard not in self._made]
        make = self._link.scripts.activity_group
        checked(await self._link.run_all([(make, [streams[shard][0]], [self.name, 1]) for shard in missing]))
        self._made.update(missing)


async def trim(link: Link, streams: dict[str, tuple[str, str]], targets: Iterable[str], most: int) -> None:
    """Remove what all targets have written, and the oldest beyond `most` bytes of all shards together.

    Groups of targets that are gone are ended. Raises StreamUnavailable.
    """
    kept = {group_of(target) for target in targets}
    sizes = await link.batch([("MEMORY", "USAGE", stream) for stream, _ in streams.values()])
    taken = {shard: size for shard, size in zip(streams, sizes, strict=True) if isinstance(size, int)}
    share = most / max(sum(taken.values()), 1)  # each gives way in proportion
    for shard, size in taken.items():
        stream, dropped = streams[shard]
        names = await _groups(link, stream)
        for name in kept.difference(names):  # its writer has yet to begin: nothing counts as written until then
            await link.run(link.scripts.activity_group, [stream], name, 0)
        for name in set(names) - kept:
            if await _is_gone(link, stream, name):
                await _end(link, stream, name)
        bound = int(size * share) if share < 1 else size + _SLACK
        for _ in range(_PASSES):
            _, more = await link.run(link.scripts.activity_trim, [stream, dropped], bound, STAYS_MS, _STEPS)
            if not more:
                break


async def lags(link: Link, streams: dict[str, tuple[str, str]], targets: Iterable[str]) -> dict[str, Lag]:
    """Return how far each target is behind, over all shards, in a few round trips; raises StreamUnavailable."""
    now, groups = await link.now(), {target: group_of(target) for target in targets}
    asked = [(stream, group) for stream, _ in streams.values() for group in groups.values()]
    lost = [("HGET", dropped, group) for _, dropped in streams.values() for group in groups.values()]
    replies = await link.batch([("XPENDING", *one) for one in asked] + [("XINFO", "GROUPS", one[0]) for one in asked])
    pending, told = replies[: len(asked)], replies[len(asked) :]
    reached = [reached_by(row, group) for row, (_, group) in zip(told, asked, strict=True)]
    following = [("XRANGE", stream, f"({at}", "+", "COUNT", 1) for (stream, _), at in zip(asked, reached, strict=True)]
    counts, rows = checked(await link.batch(lost)), checked(await link.batch(following))
    oldest, dropped = dict.fromkeys(groups.values(), now), dict.fromkeys(groups.values(), 0)
    for (_, group), held, unread, count in zip(asked, pending, rows, counts, strict=True):
        first = held[1] if not isinstance(held, Exception) and held[0] else unread[0][0] if unread else None
        oldest[group] = min(oldest[group], events.place(first)[0] if first else now)
        dropped[group] += int(count or 0)
    return {target: Lag((now - oldest[group]) / 1000, dropped[group]) for target, group in groups.items()}


async def newest(link: Link, streams: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return the id of each shard's last entry, "" where there is none; raises StreamUnavailable."""
    commands = [("XREVRANGE", stream, "+", "-", "COUNT", 1) for stream, _ in streams.values()]
    replies = checked(await link.batch(commands))
    return {shard: rows[0][0].decode() if rows else "" for shard, rows in zip(streams, replies, strict=True)}


async def has_written(link: Link, streams: dict[str, tuple[str, str]], target: str, until: dict[str, str]) -> bool:
    """Return whether a target has all that was noted up to these entries; raises StreamUnavailable."""
    for shard, last in until.items():
        stream = streams[shard][0]
        pending, groups = await link.batch([("XPENDING", stream, group_of(target)), ("XINFO", "GROUPS", stream)])
        if not last:
            continue
        if isinstance(pending, Exception) or isinstance(groups, Exception):
            return False
        reached = reached_by(groups, group_of(target))
        if events.place(reached) < events.place(last) or (
            pending[0] and events.place(pending[1]) <= events.place(last)
        ):
            return False
    return True


def reached_by(groups: Reply, name: str) -> str:
    """Return the last entry that a group has read; one that is not there yet, or without a stream, has read none."""
    rows = [] if isinstance(groups, Exception) else groups
    found = (named(row, b"last-delivered-id").decode() for row in rows if named(row, b"name") == name.encode())
    return next(found, "0-0")


async def _groups(link: Link, stream: str) -> list[str]:
    (reply,) = await link.batch([("XINFO", "GROUPS", stream)])
    return [] if isinstance(reply, Exception) else [named(row, b"name").decode() for row in reply]


async def _end(link: Link, stream: str, group: str) -> None:
    """End the group of a target that left the config, and say what it had not written."""
    rows = await link.call("XINFO", "GROUPS", stream)
    left = sum(
        int(named(r, b"lag") or 0) + int(named(r, b"pending")) for r in rows if named(r, b"name") == group.encode()
    )
    await link.call("XGROUP", "DESTROY", stream, group)
    if left:
        log.warn("A target that left the config had not written all", group=group, entries=left)


async def _is_gone(link: Link, stream: str, group: str) -> bool:
    rows = await link.call("XINFO", "CONSUMERS", stream, group)
    return all(int(named(row, b"idle")) > GONE_MS for row in rows)


class Live:
    """Reads what happens from now on; each look answers at once. Raises StreamUnavailable."""

    def __init__(self, link: Link, streams: dict[str, tuple[str, str]]) -> None:
        self._link = link
        self._streams = streams
        self._reached: dict[str, str] = {}

    async def begin(self, back_ms: int = 0) -> None:
        """Begin now, or so many ms ago as far as it is still there."""
        start = await self._link.now() - back_ms
        self._reached = dict.fromkeys(self._streams, f"{start}-0")

    async def look(self, count: int = 500) -> list[Record]:
        """Return what happened since the last look, at most `count` entries a shard."""
        commands = [
            ("XRANGE", self._streams[shard][0], f"({reached}", "+", "COUNT", count)
            for shard, reached in self._reached.items()
        ]
        found: list[Record] = []
        for shard, rows in zip(list(self._reached), checked(await self._link.batch(commands)), strict=True):
            for entry_id, fields in rows:
                self._reached[shard] = entry_id.decode()
                found += unfold(shard, self._reached[shard], fields)
        return sorted(found, key=lambda record: (record.ms, record.seq, record.shard))
