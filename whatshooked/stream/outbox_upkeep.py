"""What keeps outboxes in bounds: finished messages are forgotten, and those of removed accounts end.

Each pass does a bounded piece of work and decides nothing alone: what a message is now is looked at again in the script
that ends or deletes it.
"""

from collections.abc import Iterable

import msgspec

from whatshooked.keys import Keys, OutboxKeys
from whatshooked.stream.activity import NOBODY, Activity
from whatshooked.stream.link import Link, checked
from whatshooked.stream.memory import FULL, shortage
from whatshooked.stream.outbox import FINISHED, STATES, State
from whatshooked.stream.registry import REMOVED_AFTER_MS, known_accounts

#: Finished messages of one account that are remembered at most, however young they are.
MOST_FINISHED = 100_000
#: Why a message of a removed account failed.
REMOVED = "its account is not in the config any more"
_ENDED = "the worker ended while it was sent"
#: Bytes that Redis needs for a message, as measured for a text.
_BYTES = 1_400
#: Messages of one call, lines of one pass and messages of each of them.
_AT_ONCE, _LINES, _OF_A_LINE = 500, 50, 20
#: In which order states give way: of what is unknown somebody has yet to decide.
_GIVES_WAY: tuple[tuple[State, ...], ...] = (("sent", "failed"), ("unknown",))


class Dropped(msgspec.Struct, frozen=True):
    """Messages of a removed account that ended in one pass."""

    failed: int
    unknown: list[str]


class OutboxUpkeep:
    """The upkeep of all outboxes; any worker may run a pass at any time. Raises StreamUnavailable."""

    def __init__(self, link: Link, keys: Keys, activity: Activity = NOBODY) -> None:
        self._activity = activity
        self._link = link
        self._keys = keys
        self._listed: frozenset[str] = frozenset()

    async def show(self, account_ids: Iterable[str]) -> None:
        """Say that a living process has these accounts in its config."""
        show = self._link.scripts.outbox_show
        calls = [(show, [self._keys.outbox(account_id).shown], [REMOVED_AFTER_MS]) for account_id in account_ids]
        checked(await self._link.run_all(calls))

    async def known(self, configured: Iterable[str]) -> list[str]:
        """Return every account that may have an outbox, the configured ones first; lists them where they are not."""
        ids = frozenset(configured)
        if ids - self._listed:
            await self._link.call("SADD", self._keys.accounts, *ids)
            self._listed = ids
        others = set(await known_accounts(self._link, self._keys)) - ids
        return [*ids, *sorted(others)]

    async def forget(self, account_id: str, before_ms: int) -> int:
        """Delete finished messages that were created before a time (unix ms); returns how many, a batch at most."""
        box, count = self._keys.outbox(account_id), 0
        for state in FINISHED:
            looks = ("ZRANGEBYSCORE", box.of_state(state), "-inf", before_ms, "LIMIT", 0, _AT_ONCE)
            count += await self._delete(box, state, await self._link.call(*looks))
        return count

    async def crowd_out(self, account_id: str, most: int = MOST_FINISHED) -> int:
        """Delete the oldest finished messages where there are more than `most`; returns how many, a batch at most."""
        box = self._keys.outbox(account_id)
        sizes = dict(zip(FINISHED, checked(await self._link.batch([_size(box, s) for s in FINISHED])), strict=True))
        surplus, count = sum(sizes.values()) - most, 0
        for states in _GIVES_WAY:
            count += await self._oldest_go(box, states, min(surplus - count, _AT_ONCE))
            if sum(sizes[state] for state in states) > count:
                break
        return count

    async def make_room(self, account_ids: Iterable[str]) -> int:
        """Delete the oldest messages that were sent or failed while Redis is short of memory; returns how many."""
        missing = int(shortage(await self._link.call("INFO", "memory"), FULL) / _BYTES)
        count = 0
        for account_id in account_ids:
            box = self._keys.outbox(account_id)
            while gone := await self._oldest_go(box, _GIVES_WAY[0], min(missing - count, _AT_ONCE)):
                count += gone
        return count

    async def drop(self, account_id: str) -> Dropped:
        """End what waits for an account that no living process shows; a bounded piece of it."""
        box = self._keys.outbox(account_id)
        shown, due = checked(await self._link.batch([("EXISTS", box.shown), ("ZRANGE", box.due, 0, _LINES - 1)]))
        if shown or not due:
            return Dropped(0, [])
        recipients = [name.decode() for name in due]
        looks = [("LRANGE", box.line(recipient), 0, _OF_A_LINE - 1) for recipient in recipients]
        found = checked(await self._link.batch(looks))
        lines = [(r, [i.decode() for i in ids]) for r, ids in zip(recipients, found, strict=True)]
        keys = [box.shown, box.due, *map(box.of_state, STATES), box.activity]
        for recipient, ids in lines:
            keys += [box.line(recipient), *map(box.message, ids)]
        script = self._link.scripts.outbox_drop
        told = account_id if self._activity.on else ""
        failed, unknown = await self._link.run(script, keys, REMOVED, _ENDED, msgspec.msgpack.encode(lines), told)
        return Dropped(len(failed), [i.decode() for i in unknown])

    async def _oldest_go(self, box: OutboxKeys, states: Iterable[State], most: int) -> int:
        if most <= 0:
            return 0
        looks = [("ZRANGE", box.of_state(state), 0, most - 1, "WITHSCORES") for state in states]
        rows = zip(states, checked(await self._link.batch(looks)), strict=True)
        found = [(float(row[i + 1]), row[i], state) for state, row in rows for i in range(0, len(row), 2)]
        going = sorted(found)[:most]
        return sum([await self._delete(box, state, [i for _, i, of in going if of == state]) for state in states])

    async def _delete(self, box: OutboxKeys, state: State, ids: list[bytes]) -> int:
        if not ids:
            return 0
        names = [message_id.decode() for message_id in ids]
        keys = [box.of_state(state), *map(box.message, names)]
        return int(await self._link.run(self._link.scripts.outbox_forget, keys, state, *names))


def _size(box: OutboxKeys, state: State) -> tuple[str, str]:
    return "ZCARD", box.of_state(state)
