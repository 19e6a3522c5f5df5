"""How many messages come in for each account, by the hour: to notice when a busy number falls silent.

"Verified, yet nothing arrives" has no error that anybody would see: the app was taken off the WABA, the callback URL
was changed, or a proxy in front of us answers in our place.
"""

import time
from collections import Counter
from collections.abc import Mapping

from whatshooked.errors import StreamUnavailable
from whatshooked.events import Event
from whatshooked.keys import Keys
from whatshooked.stream.link import Command, Link

#: Hours without a message that are suspicious.
SILENT = 3
#: Messages that these hours held a day and a week ago, at least: below it silence is nothing special.
BUSY = 10
_DAY, _WEEK = 24, 7 * 24
#: Hours that are remembered.
_KEPT = 8 * 24


class Traffic:
    """Counts in this process; `flush` adds the counts to those of the other workers."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._counts: Counter[tuple[str, int]] = Counter()

    def saw(self, event: Event) -> None:
        """Count an event when it is a message that came in."""
        if event.type == "message.received":
            self._counts[event.account_id, int(time.time()) // 3600] += 1

    async def flush(self) -> None:
        """Add what was counted to what the others counted; raises StreamUnavailable, and keeps the counts then."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        commands: list[Command] = []
        for (account_id, hour), count in counts.items():
            key = self._keys.account_traffic(account_id)
            commands += [("HINCRBY", key, hour, count), ("EXPIRE", key, _KEPT * 3600)]
        try:
            await self._link.batch(commands)
        except StreamUnavailable:
            self._counts.update(counts)
            raise

    async def silent(self, account_id: str) -> int:
        """Return the hours for which a busy account has had no message, 0 when all is usual; forgets what is old."""
        key, hour = self._keys.account_traffic(account_id), int(time.time()) // 3600
        rows = await self._link.call("HGETALL", key)
        counts = {int(name): int(count) for name, count in zip(rows[::2], rows[1::2], strict=True)}
        if old := [str(name) for name in counts if name <= hour - _KEPT]:
            await self._link.call("HDEL", key, *old)
        return silence(counts, hour)


def silence(counts: Mapping[int, int], hour: int) -> int:
    """Return for how many hours there was no message, 0 unless that is suspicious.

    `counts` is messages by the hour (unix time / 3600). The same hours of yesterday must have been busy, and those of
    last week as well where we know them: nights and Sundays are quiet.
    """
    if any(counts.get(hour - ago, 0) for ago in range(SILENT + 1)):
        return 0
    if _sum(counts, hour - _DAY) < BUSY:
        return 0
    if min(counts) <= hour - _WEEK - SILENT and _sum(counts, hour - _WEEK) < BUSY:
        return 0
    return hour - max(name for name, count in counts.items() if count)


def _sum(counts: Mapping[int, int], hour: int) -> int:
    """Return the messages of the full hours before one."""
    return sum(counts.get(hour - ago, 0) for ago in range(1, SILENT + 1))
