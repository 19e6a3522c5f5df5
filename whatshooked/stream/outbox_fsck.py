"""Whether the keys of the outboxes agree: messages, lists of states, lines and due lists held against each other.

The messages of one recipient are looked at, and mended, in one atomic step: what running workers are in the middle of
is never a disagreement.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from whatshooked import logs
from whatshooked.keys import Keys, OutboxKeys
from whatshooked.stream.fsck import Disagreement, scan
from whatshooked.stream.link import Command, Link, Reply, checked
from whatshooked.stream.outbox import STATES
from whatshooked.stream.registry import known_accounts

#: What each disagreement means and how it is mended.
MEANINGS = {
    "account_not_listed": "listed: were it removed from the config, nothing would have ended what waits for it",
    "listed_without_message": "taken off the list of a state: there is no such message",
    "listed_in_another_state": "taken off the list of a state that is not its own",
    "message_not_listed": "listed under its state: it was counted and shown nowhere, and never forgotten",
    "lined_without_message": "taken out of the line: there is no such message",
    "finished_in_line": "taken out of the line: nobody sends it any more",
    "twice_in_line": "taken out of the line but for its first place",
    "waiting_in_no_line": "put into its recipient's line: it would never have been sent",
    "line_not_due": "made due now: nobody would have sent what waits in it",
    "due_without_line": "taken off the due list: nothing waits",
}

#: Messages of one step, and commands of one look.
_BATCH, _LOOK = 200, 500


class _Found:
    """What the keys name of one account: messages, and recipients that have a line or are due."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.recipients: dict[str, None] = {}


async def examine_outboxes(link: Link, keys: Keys, *, repair: bool) -> list[Disagreement]:
    """Return every disagreement, mended when `repair`; its id is account/message, or account/recipient (masked).

    Raises StreamUnavailable.
    """
    named = await _named(link, keys)
    # Behind it: an account is listed before its first message is there.
    listed = set(await known_accounts(link, keys))
    found = [Disagreement(account_id, "account_not_listed", "") for account_id in named if account_id not in listed]
    if repair and found:
        await link.call("SADD", keys.accounts, *(one.id for one in found))
    for account_id in dict.fromkeys([*named, *sorted(listed)]):
        found += await _examine(
            link, keys.outbox(account_id), account_id, named.get(account_id, _Found()), repair=repair
        )
    return list(dict.fromkeys(found))


async def _examine(link: Link, box: OutboxKeys, account_id: str, named: _Found, *, repair: bool) -> list[Disagreement]:
    groups = await _grouped(link, box, named)
    found = []
    for batch in _batches(groups):
        names = [box.due, *map(box.of_state, STATES)]
        for recipient, ids in batch:
            names += [box.line(recipient), *map(box.message, ids)]
        rows = await link.run(link.scripts.outbox_fsck, names, msgspec.msgpack.encode(batch), int(repair))
        for message_id, recipient, what in [[part.decode() for part in row] for row in rows]:
            found.append(Disagreement(f"{account_id}/{message_id or logs.mask(recipient)}", what, ""))
    return found


async def _named(link: Link, keys: Keys) -> dict[str, _Found]:
    """Return what there is of messages and lines, by account."""
    found: defaultdict[str, _Found] = defaultdict(_Found)
    head = keys.outbox("").tag.removesuffix("}")
    async for name in scan(link, f"{head}*"):
        account_id, _, rest = name.removeprefix(head).partition("}:")
        kind, _, what = rest.partition(":")
        if kind == "message":
            found[account_id].ids[what] = None
        elif kind == "line":
            found[account_id].recipients[what] = None
    return found


async def _grouped(link: Link, box: OutboxKeys, named: _Found) -> list[tuple[str, list[str]]]:
    """Return every id that any key names by the recipient whose line it belongs to, "" where nothing tells."""
    ids, recipients = dict(named.ids), dict(named.recipients)
    for row in checked(await link.batch([("ZRANGE", box.of_state(state), 0, -1) for state in STATES])):
        ids |= dict.fromkeys(message_id.decode() for message_id in row)
    recipients |= dict.fromkeys(row.decode() for row in await link.call("ZRANGE", box.due, 0, -1))
    groups: dict[str, dict[str, None]] = {recipient: {} for recipient in recipients}
    for recipient, line in zip(recipients, await _looks(link, "LRANGE", map(box.line, recipients), 0, -1), strict=True):
        groups[recipient] = dict.fromkeys(message_id.decode() for message_id in line)
    lined = {message_id for group in groups.values() for message_id in group}
    for message_id, to in zip(ids, await _looks(link, "HGET", map(box.message, ids), "to"), strict=True):
        if to is not None or message_id not in lined:
            groups.setdefault((to or b"").decode(), {})[message_id] = None
    return [(recipient, list(group)) for recipient, group in groups.items()]


async def _looks(link: Link, command: str, names: Iterable[str], *more: str | int) -> list[Reply]:
    """Return the answers to one command on each of these keys."""
    looks: list[Command] = [(command, name, *more) for name in names]
    found: list[Reply] = []
    for start in range(0, len(looks), _LOOK):
        found += checked(await link.batch(looks[start : start + _LOOK]))
    return found


def _batches(groups: Iterable[tuple[str, list[str]]]) -> Iterator[list[tuple[str, list[str]]]]:
    """Return the groups in parts of about as many messages as one step takes; a large group comes in several."""
    batch, count = list[tuple[str, list[str]]](), 0
    for recipient, ids in groups:
        for start in range(0, max(len(ids), 1), _BATCH):
            part = ids[start : start + _BATCH]
            batch.append((recipient, part))
            count += len(part) + 1
            if count >= _BATCH:
                yield batch
                batch, count = [], 0
    if batch:
        yield batch
