"""The part of a look that is about messages to customers: those that were not sent, and those nobody knows of."""

import asyncio
import heapq
from collections.abc import Iterator, Sequence

import msgspec

from whatshooked.keys import Keys
from whatshooked.meta.send import READ
from whatshooked.stream.bounds import MORE, Part
from whatshooked.stream.customers import OF_MESSAGES, UNREADABLE, Collection, Concerned, One, State
from whatshooked.stream.link import Command, Link, checked
from whatshooked.stream.message import State as OfMessage
from whatshooked.stream.outbox import kept_reply

#: An account, and a state of its messages, as the outbox calls it and as it is shown.
_List = tuple[str, OfMessage, State]


async def messages(
    link: Link, keys: Keys, accounts: Sequence[str], part: Part, found: Collection, *, since: int, usual: int
) -> None:
    """Add the accounts' messages, oldest first: failed ones `since` then, unsent ones of before `usual` (unix ms).

    Raises StreamUnavailable.
    """
    lists: list[_List] = [(account, of, state) for account in accounts for of, state in OF_MESSAGES.items()]
    share = max(MORE * part.left // max(len(lists), 1), 1)
    looks: list[Command] = []
    for account, of, state in lists:
        bounds = (since if state == "failed" else "-inf", usual if state == "unsent" else "+inf")
        looks.append(("ZRANGE", keys.outbox(account).of_state(of), *bounds, "BYSCORE", "LIMIT", 0, share, "WITHSCORES"))
    listed = checked(await link.batch(looks)) if looks else []
    part.is_cut = any(len(rows) == 2 * share for rows in listed)
    for batch in part.batches(await asyncio.to_thread(_oldest, lists, listed, part.left + 1)):
        asked: list[Command] = [
            ("HMGET", keys.outbox(account).message(one), "to", "kind", "hook", "error") for _, account, _, one in batch
        ]
        for (ms, account, state, _), told in zip(batch, checked(await link.batch(asked)), strict=True):
            to, kind, hook, error = ((text or b"").decode("utf-8", "replace") for text in told)
            if kind != READ:  # that a message was read: the customer misses nothing
                found.add([One(Concerned(to, account, hook, state), ms, "", error)])
        part.saw(len(batch))


def _oldest(lists: Sequence[_List], listed: Sequence[Sequence[bytes]], most: int) -> list[tuple[int, str, State, str]]:
    ids = (
        (int(rows[i + 1]), account, state, rows[i].decode())
        for (account, _, state), rows in zip(lists, listed, strict=True)
        for i in range(0, len(rows), 2)
    )
    return heapq.nsmallest(most, ids)


async def replies(link: Link, keys: Keys, part: Part, found: Collection, *, usual: int) -> None:
    """Add what hooks' answers asked to send and no worker has put into an outbox; raises StreamUnavailable."""
    cursor = b"0"
    while count := part.at_once:
        cursor, rows = await link.call("HSCAN", keys.replies, cursor, "COUNT", count)
        for name, blob in zip(rows[::2], rows[1::2], strict=True):
            found.add(_of_reply(name.decode(), blob, usual))
        part.saw(len(rows) // 2, sum(map(len, rows)))
        if cursor == b"0":
            return
    part.is_cut = True


def _of_reply(name: str, blob: bytes, usual: int) -> Iterator[One]:
    """Yield one for each message of a reply, whose name ends with when it was asked for (unix ms)."""
    ms = int(name.rpartition(".")[2])
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
