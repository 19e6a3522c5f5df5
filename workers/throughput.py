"""How many messages a second each number may pass, in and out together, as Graph told at its last check.

The check of one worker learns it, and every worker looks it up: an upgrade counts without a restart.
"""

import time
from collections import deque
from collections.abc import Iterable

from whatshooked import logs
from whatshooked.keys import Keys
from whatshooked.stream.link import Command, Link, checked

#: Messages a second of a number of which nothing else is known, and of those of another level.
STANDARD = 80
_OTHERS = {"HIGH": 1000, "NOT_APPLICABLE": 20}
#: Refusals of one number for its throughput, and seconds within which they come, that show it to be a level slower than
#: Graph says; seconds for which that counts. A number that is also used in the phone app passes 20, whatever its level.
_REFUSALS, _WITHIN, _SLOWER_FOR = 10, 60.0, 900
_SLOWER = {1000: 80, 80: 20}
#: Seconds between two looks at what is known.
_LOOK = 5.0

log = logs.get("outbox")


def a_second(level: str) -> int:
    """Return how many messages a second a number of this level (Graph's `throughput.level`) may pass."""
    return _OTHERS.get(level, STANDARD)


class Throughput:
    """The numbers' levels, shared through Redis."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._levels: dict[str, str] = {}
        self._slower: set[str] = set()
        #: When messages were last refused (time.monotonic), by account.
        self._refused: dict[str, deque[float]] = {}
        self._looked = float("-inf")

    def of(self, account_id: str) -> int:
        """Return how many messages a second an account's number may pass, as far as is known."""
        most = a_second(self._levels.get(account_id, ""))
        return _SLOWER.get(most, most) if account_id in self._slower else most

    async def look(self, account_ids: Iterable[str]) -> None:
        """Look what is known of these accounts, unless that was done just now; raises StreamUnavailable."""
        if time.monotonic() - self._looked < _LOOK:
            return
        ids = list(account_ids)
        looks: list[Command] = [("HGET", self._keys.account(account_id), "throughput") for account_id in ids]
        looks += [("EXISTS", self._keys.account_slower(account_id)) for account_id in ids]
        rows = checked(await self._link.batch(looks))
        self._levels = {
            account_id: (level or b"").decode() for account_id, level in zip(ids, rows[: len(ids)], strict=True)
        }
        self._slower = {account_id for account_id, slower in zip(ids, rows[len(ids) :], strict=True) if slower}
        self._looked = time.monotonic()

    async def learn(self, account_id: str, level: str) -> None:
        """Note what Graph says of a number; "" when it says nothing. Raises StreamUnavailable."""
        await self._link.call("HSET", self._keys.account(account_id), "throughput", level)

    async def refused(self, account_id: str) -> None:
        """Note that Meta refused a message for the number's throughput; raises StreamUnavailable."""
        times = self._refused.setdefault(account_id, deque(maxlen=_REFUSALS))
        times.append(time.monotonic())
        if len(times) < _REFUSALS or times[-1] - times[0] > _WITHIN:
            return
        times.clear()
        log.warn(
            "Meta lets the number pass less than its level says", account_id=account_id, a_second=self.of(account_id)
        )
        await self._link.call("SET", self._keys.account_slower(account_id), "1", "EX", _SLOWER_FOR)
        self._looked = float("-inf")
