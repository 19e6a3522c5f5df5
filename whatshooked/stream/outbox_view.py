"""The outbox looked at: one message, a page of them, how many stand where; nothing here changes anything."""

from collections.abc import Sequence

from whatshooked.keys import Keys
from whatshooked.meta.send import stored
from whatshooked.stream.link import Command, Link, checked
from whatshooked.stream.message import STATES, Record, State, record

#: Where a message stands among all: its creation (unix ms) and its id.
Place = tuple[int, str]
#: Messages whose files are asked for at once.
_A_PAGE = 200


class OutboxView:
    """Looks at every account's outgoing messages; raises StreamUnavailable when Redis does not answer."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def get(self, account_id: str, message_id: str) -> Record | None:
        """Return a message, None when there is none (any more)."""
        fields = await self._link.call("HGETALL", self._keys.outbox(account_id).message(message_id))
        return record(message_id, fields) if fields else None

    async def page(
        self,
        account_id: str,
        *states: State,
        since: int = 0,
        until: int = -1,
        after: Place | None = None,
        limit: int = 100,
    ) -> list[Record]:
        """Return messages in any of these states (none named: in all of them), newest first.

        They were created from `since` to before `until` (unix ms, -1 = now), and stand behind the place `after`.
        """
        box = self._keys.outbox(account_id)
        places = await self._places([box.of_state(state) for state in states or STATES], since, until, after, limit)
        names = [place[1] for place in places]
        rows = checked(await self._link.batch([("HGETALL", box.message(name)) for name in names])) if names else []
        return [record(name, row) for name, row in zip(names, rows, strict=True) if row]

    async def counts(self, account_id: str) -> dict[State, int]:
        """Return how many messages are in each state."""
        return (await self.overview([account_id]))[account_id][0]

    async def overview(self, account_ids: Sequence[str]) -> dict[str, tuple[dict[State, int], str]]:
        """Return by account how many messages are in each state, and why it sends nothing now ("" when it does)."""
        boxes = {account_id: self._keys.outbox(account_id) for account_id in account_ids}
        looks: list[Command] = []
        for box in boxes.values():
            looks += [*(("ZCARD", box.of_state(state)) for state in STATES), ("GET", box.hold)]
        rows = iter(checked(await self._link.batch(looks)))
        return {
            account_id: ({state: next(rows) for state in STATES}, (next(rows) or b"").decode()) for account_id in boxes
        }

    async def held(self, account_id: str) -> str:
        """Return why the account sends nothing at the moment, "" when it does."""
        return (await self.overview([account_id]))[account_id][1]

    async def waiting_files(self, account_id: str) -> set[str]:
        """Return the names of the stored files of messages that are not sent yet."""
        box = self._keys.outbox(account_id)
        lists = [box.of_state("new"), box.of_state("sending")]
        found: set[str] = set()
        after: Place | None = None
        while places := await self._places(lists, 0, -1, after, _A_PAGE):
            after = places[-1]
            bodies = checked(await self._link.batch([("HGET", box.message(name), "body") for _, name in places]))
            found.update(use.filename for body in bodies if body for use in stored.read(body))
        return found

    async def knows(self, account_id: str, known: str) -> bool:
        """Return whether a message stands for an Idempotency-Key."""
        return bool(await self._link.call("EXISTS", self._keys.outbox(account_id).known(known)))

    async def _places(
        self, lists: Sequence[str], since: int, until: int, after: Place | None, limit: int
    ) -> list[Place]:
        """Return what stands in any of the lists of states, newest first and of one millisecond by id."""
        high = "+inf" if until < 0 else f"({until}"
        looks: list[Command] = []
        if after is not None:
            # All of its millisecond, few as they are: their ids say which of them stand behind.
            looks += [("ZREVRANGEBYSCORE", name, after[0], after[0], "WITHSCORES") for name in lists]
            high = f"({after[0]}"
        looks += [("ZREVRANGEBYSCORE", name, high, since, "WITHSCORES", "LIMIT", 0, limit) for name in lists]
        rows = checked(await self._link.batch(looks))
        # A set: a message that goes on meanwhile may be seen in two states.
        found = {(int(row[i + 1]), row[i].decode()) for row in rows for i in range(0, len(row), 2)}
        return [place for place in sorted(found, reverse=True) if after is None or place < after][:limit]
