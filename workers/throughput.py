"""How many messages a second each number may pass, in and out together, as Graph told at its last check.

The check of one worker learns it, and every worker looks it up: an upgrade counts without a restart.
"""

import time
from collections.abc import Iterable

from whatshooked.keys import Keys
from whatshooked.stream.link import Link, checked

#: Messages a second of a number of which nothing else is known, and of those of another level.
STANDARD = 80
_OTHERS = {"HIGH": 1000, "NOT_APPLICABLE": 20}
#: Seconds between two looks at what is known.
_LOOK = 5.0


def a_second(level: str) -> int:
    """Return how many messages a second a number of this level (Graph's `throughput.level`) may pass."""
    return _OTHERS.get(level, STANDARD)


class Throughput:
    """The numbers' levels, shared through Redis."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._levels: dict[str, str] = {}
        self._looked = float("-inf")

    def of(self, account_id: str) -> int:
        """Return how many messages a second an account's number may pass, as far as is known."""
        return a_second(self._levels.get(account_id, ""))

    async def look(self, account_ids: Iterable[str]) -> None:
        """Look what is known of these accounts, unless that was done just now; raises StreamUnavailable."""
        if time.monotonic() - self._looked < _LOOK:
            return
        ids = list(account_ids)
        looks = [("HGET", self._keys.account(account_id), "throughput") for account_id in ids]
        levels = checked(await self._link.batch(looks))
        self._levels = {account_id: (level or b"").decode() for account_id, level in zip(ids, levels, strict=True)}
        self._looked = time.monotonic()

    async def learn(self, account_id: str, level: str) -> None:
        """Note what Graph says of a number; "" when it says nothing. Raises StreamUnavailable."""
        await self._link.call("HSET", self._keys.account(account_id), "throughput", level)
