"""A person in every other key: their messages, the replies that wait, and whatever else names them.

Every key under the prefix is looked at, so that none is left out because nobody thought of it. Two kinds hold nothing
but hashes, stream ids and names of hooks, are many, and are passed over: `seen` and `taken`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from whatshooked import events
from whatshooked.keys import Keys
from whatshooked.meta.person import Person
from whatshooked.stream.fsck import scan
from whatshooked.stream.link import Command, Link, Reply, Script, checked
from whatshooked.stream.message import STATES
from whatshooked.stream.person_events import evaluate
from whatshooked.stream.person_names import masked_text

#: Keys and parts of a key of one look.
_KEYS, _PARTS = 500, 200
#: How a kind of key is read part by part, and how a part of it is taken out; a hash is read as its fields and values.
_READ = {b"hash": "HSCAN", b"set": "SSCAN", b"zset": "ZSCAN"}
_TAKE_OUT = {b"set": ("SREM",), b"zset": ("ZREM",), b"list": ("LREM", 0)}
_MESSAGE, _SWAP = Script("person/message"), Script("person/swap")
_KINDS = frozenset((b"string", b"stream", b"list", *_READ))

#: Where among a key's parts the next look goes on, b"0" at the end; and the parts: of a hash field and value.
_Part = tuple[bytes, list[tuple[bytes, bytes]]]


class PersonKeys:
    """All keys that name a person but the events; raises StreamUnavailable."""

    def __init__(self, link: Link, keys: Keys, person: Person) -> None:
        self._link = link
        self._keys = keys
        self._person = person
        shard = keys.events.removesuffix("events")
        self._passed = (keys.events, f"{shard}seen:", f"{shard}taken:")
        self._outboxes = keys.outbox("").tag.removesuffix("}")
        #: Counts of what was done: messages, sending, replies, refused, names (keys and parts of keys), texts.
        self.counts: Counter[str] = Counter()
        #: Messages to others that were not sent yet, as account/message.
        self.unsent: list[str] = []
        #: Streams in which a group has yet to read what names the person.
        self.waiting: set[str] = set()

    async def erase(self, event_ids: Iterable[str] = ()) -> None:
        """Walk all keys once; what `event_ids` asked to send goes, too."""
        gone, batch = frozenset(event_ids), list[str]()
        self.waiting.clear()
        for head in (self._keys.prefix, f"{{{self._keys.prefix}"):
            async for name in scan(self._link, f"{head}:*"):
                batch.append(name)
                if len(batch) == _KEYS:
                    await self._look(batch, gone)
                    batch = []
        await self._look(batch, gone)

    async def _look(self, names: Sequence[str], gone: frozenset[str]) -> None:
        theirs = [name for name in names if self._person.is_named(name)]
        if theirs:
            self.counts["names"] += sum(checked(await self._link.batch([("UNLINK", name) for name in theirs])))
        others = [name for name in names if not name.startswith(self._passed) and name not in theirs]
        kinds = checked(await self._link.batch([("TYPE", name) for name in others])) if others else []
        places = [(name, kind, b"0") for name, kind in zip(others, kinds, strict=True) if kind in _KINDS]
        while places:
            looks = [_look_at(*place) for place in places]
            further = []
            for (name, kind, at), reply in zip(places, checked(await self._link.batch(looks)), strict=True):
                after, parts = _parts(kind, at, reply)
                await self._clean(name, kind, parts, gone)
                if after != b"0":
                    further.append((name, kind, after))
            places = further

    async def _clean(self, name: str, kind: bytes, parts: Sequence[tuple[bytes, bytes]], gone: frozenset[str]) -> None:
        """Take out of a key what names the person."""
        if name == self._keys.replies:
            of_gone = [field for field, _ in parts if field.decode().partition(".")[0] in gone]
            named = [field for field, value in parts if self._names(field, value)]
            if fields := list(dict.fromkeys(of_gone + named)):
                self.counts["replies"] += await self._link.call("HDEL", name, *fields)
            return
        named_parts = [part for part in parts if self._names(*part)]
        if not named_parts:
            return
        if kind == b"hash" and name.startswith(self._outboxes) and "}:message:" in name:
            await self._drop_message(name)
        elif kind == b"stream":
            await self._read_already(name, [part[0] for part in named_parts])
        elif kind in (b"hash", b"string"):
            await self._mask(name, kind, named_parts)
        else:
            commands: list[Command] = [(_TAKE_OUT[kind][0], name, *_TAKE_OUT[kind][1:], row) for row, _ in named_parts]
            what = "refused" if name.startswith(self._keys.refused("")) else "names"
            self.counts[what] += sum(checked(await self._link.batch(commands)))

    def _names(self, *texts: bytes) -> bool:
        return any(map(self._person.is_named, texts))

    async def _drop_message(self, name: str) -> None:
        account_id, _, message_id = name.removeprefix(self._outboxes).partition("}:message:")
        box = self._keys.outbox(account_id)
        recipient = (await self._link.call("HGET", name, "to") or b"").decode()
        keys = [box.due, box.line(recipient), name, *map(box.of_state, STATES)]
        state = (await evaluate(self._link, _MESSAGE, keys, recipient, message_id)).decode()
        self.counts["messages"] += bool(state)
        self.counts["sending"] += state == "sending"
        if state == "new" and recipient not in self._person.names and not recipient.startswith("read:"):
            self.unsent.append(f"{account_id}/{message_id}")

    async def _mask(self, name: str, kind: bytes, parts: Sequence[tuple[bytes, bytes]]) -> None:
        """Put texts without the person in the place of those that were seen; a field that names them goes."""
        for field, value in parts:
            if self._names(field):
                self.counts["names"] += await self._link.call("HDEL", name, field)
                continue
            text = masked_text(value.decode("utf-8", "replace"), self._person)
            where = (field,) if kind == b"hash" else ()
            self.counts["texts"] += await evaluate(self._link, _SWAP, [name], value, text, *where)

    async def _read_already(self, name: str, ids: Sequence[bytes]) -> None:
        """Delete entries of a stream that all its groups have done with; the others are not theirs to lose."""
        groups = await self._link.call("XINFO", "GROUPS", name)
        reached = [await self._reached(name, group) for group in groups]
        done = [i for i in ids if all(events.place(i) < place for place in reached)]
        if len(done) < len(ids):
            self.waiting.add(name)
        if done:
            self.counts["names"] += await self._link.call("XDEL", name, *done)

    async def _reached(self, name: str, group: Sequence[bytes]) -> tuple[int, int]:
        """Return the first place in a stream that a group has not done with."""
        told = dict(zip(group[::2], group[1::2], strict=True))
        if told[b"pending"]:
            return events.place((await self._link.call("XPENDING", name, told[b"name"]))[1])
        ms, seq = events.place(told[b"last-delivered-id"])
        return ms, seq + 1


def _look_at(name: str, kind: bytes, at: bytes) -> Command:
    """Return the command that reads a key's parts from a place on."""
    if kind == b"string":
        return "GET", name
    if kind == b"list":
        return "LRANGE", name, int(at), int(at) + _PARTS - 1
    if kind == b"stream":
        return "XRANGE", name, "-" if at == b"0" else b"(" + at, "+", "COUNT", _PARTS
    return _READ[kind], name, at, "COUNT", _PARTS


def _parts(kind: bytes, at: bytes, reply: Reply) -> _Part:
    """Return where the next look goes on, and the parts that were read, two texts each."""
    if kind == b"string":
        return b"0", [(b"", reply or b"")]
    if kind == b"list":
        return b"%d" % (int(at) + len(reply)) if len(reply) == _PARTS else b"0", [(row, b"") for row in reply]
    if kind == b"stream":
        after = reply[-1][0] if len(reply) == _PARTS else b"0"
        return after, [(row[0], b"\n".join(row[1])) for row in reply]
    after, rows = reply
    if kind == b"set":
        return after, [(row, b"") for row in rows]
    if kind == b"zset":
        return after, [(row, b"") for row in rows[::2]]
    return after, list(zip(rows[::2], rows[1::2], strict=True))
