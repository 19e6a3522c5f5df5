"""The part of a look that is about messages to customers: those that were not sent, and those nobody knows of."""

import asyncio
import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from whatshooked.keys import Keys
from whatshooked.meta.send import READ
from whatshooked.stream.bounds import MORE, Part
from whatshooked.stream.customers import OF_MESSAGES, UNREADABLE, Collection, Concerned, One, State
from whatshooked.stream.link import Command, Link, Reply, checked
from whatshooked.stream.message import State as OfMessage
from whatshooked.stream.outbox import kept_reply

#: Replies of one round trip: one may be of 64 KB.
_REPLIES = 8
#: Commands of one round trip.
_COMMANDS = 500

#: An account, and a state of its messages, as the outbox calls it and as it is shown.
_List = tuple[str, OfMessage, State]


async def messages(
    link: Link, keys: Keys, accounts: Sequence[str], part: Part, found: Collection, *, recent: int, usual: int
) -> None:
    """Add the accounts' messages, oldest first: unsent ones of before `usual`, what failed since `recent` (ms).

    Raises StreamUnavailable.
    """
    lists: list[_List] = [(account, of, state) for account in accounts for of, state in OF_MESSAGES.items()]
    share = max(MORE * part.left // max(len(lists), 1), 1)
    looks: list[Command] = []
    for account, of, state in lists:
        box = keys.outbox(account).of_state(of)
        # By creation, as all of them: what failed last need not be the youngest, but most of it is.
        span = ("+inf", "-inf", "BYSCORE", "REV") if state == "failed" else ("-inf", "+inf", "BYSCORE")
        looks.append(("ZRANGE", box, *span, "LIMIT", 0, share, "WITHSCORES"))
    listed: list[Reply] = []
    for start in range(0, len(looks), _COMMANDS):
        listed += checked(await link.batch(looks[start : start + _COMMANDS]))
    part.is_cut = any(len(rows) == 2 * share for rows in listed)
    for batch in part.batches(await asyncio.to_thread(_oldest, lists, listed, part.left + 1)):
        asked: list[Command] = [
            ("HMGET", keys.outbox(one.account).message(one.id), "to", "kind", "hook", "error", "ended", "at:failed")
            for one in batch
        ]
        for one, told in zip(batch, checked(await link.batch(asked)), strict=True):
            to, kind, hook, error, *ended = ((text or b"").decode("utf-8", "replace") for text in told)
            ms = max([one.ms, *(int(text) for text in ended if text.isdecimal())])
            is_due = {"failed": ms >= recent, "unsent": ms <= usual}
            if kind != READ and is_due.get(one.state, True):  # that a message was read: the customer misses nothing
                found.add([One(Concerned(to, one.account, hook, one.state), ms, "", error)])


class _Message(NamedTuple):
    """A message of a list, and when it was made (unix ms)."""

    ms: int
    account: str
    state: State
    id: str


def _oldest(lists: Sequence[_List], listed: Sequence[Sequence[bytes]], most: int) -> list[_Message]:
    ids = (
        _Message(int(rows[i + 1]), account, state, rows[i].decode())
        for (account, _, state), rows in zip(lists, listed, strict=True)
        for i in range(0, len(rows), 2)
    )
    return heapq.nsmallest(most, ids, key=_order)


def _order(one: _Message) -> tuple[bool, int]:
    """Return what puts first what still waits, oldest first, and then what failed, newest first."""
    return (True, -one.ms) if one.state == "failed" else (False, one.ms)


async def replies(link: Link, keys: Keys, part: Part, found: Collection, *, usual: int) -> None:
    """Add what hooks' answers asked to send and no worker has put into an outbox; raises StreamUnavailable."""
    cursor, seen = b"0", set[bytes]()
    while count := part.at_once:
        cursor, rows = await link.call("HSCAN", keys.replies, cursor, "COUNT", min(count, _REPLIES))
        new = {name: blob for name, blob in zip(rows[::2], rows[1::2], strict=True) if name not in seen}
        seen |= new.keys()  # a hash that grows may tell some of it twice
        for name, blob in new.items():
            found.add(_of_reply(name.decode("utf-8", "replace"), blob, usual))
        part.saw(len(new), sum(map(len, rows)))
        if cursor == b"0":
            return
    part.is_cut = True


def _of_reply(name: str, blob: bytes, usual: int) -> Iterator[One]:
    """Yield one for each message of a reply, whose name ends with when it was asked for (unix ms)."""
    made = name.rpartition(".")[2]
    ms = int(made) if made.isdecimal() else 0
    if ms > usual:
        return
    state: State = "unsent"
    try:
        hook, asked = kept_reply(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        yield One(Concerned(UNREADABLE, "", "", state), ms)
        return
    for reply in asked:
        if reply.outgoing.kind != READ:
            yield One(Concerned(reply.outgoing.to, reply.account_id, hook, state), ms)
