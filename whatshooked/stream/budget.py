"""How often a call may fail within an hour, kept in Redis so that no process and no crash can overrun it.

Meta blocks a number's look-ups of files for an hour after more than five that failed.
"""

import asyncio
import uuid

from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

MOST = 5
#: Milliseconds a call lasts at most; what is older and still marked has failed.
LONGEST_MS = 15_000
_WINDOW_MS = 3_600_000 + LONGEST_MS
#: Calls of an account that one process makes at once: so many marks stay behind when it dies.
_AT_ONCE = 2


class Budget:
    """Lets look-ups of files through, by account."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._turns: dict[str, asyncio.Semaphore] = {}
        #: Marks of calls that went well and could not be taken off yet, with their accounts.
        self._kept: dict[str, str] = {}

    def turn(self, account_id: str) -> asyncio.Semaphore:
        """Return what bounds an account's look-ups in this process; to be held around `enter` and the call."""
        return self._turns.setdefault(account_id, asyncio.Semaphore(_AT_ONCE))

    async def enter(self, account_id: str) -> tuple[str, float]:
        """Return a mark to give to `went_well`, and 0; or "" and the seconds until a call may be made again.

        Raises StreamUnavailable: no call may be made then.
        """
        await self._take_off()
        mark = uuid.uuid4().hex
        bounds = (mark, MOST, _WINDOW_MS, LONGEST_MS)
        wait = await self._link.run(self._link.scripts.budget, [self._keys.media_calls(account_id)], *bounds)
        return ("", wait / 1000) if wait else (mark, 0.0)

    async def went_well(self, account_id: str, mark: str) -> None:
        """Take a call's mark off: it did not fail. When Redis is away, before the next call."""
        self._kept[mark] = account_id
        try:
            await self._take_off()
        except StreamUnavailable:
            return

    async def failed(self, account_id: str, mark: str) -> None:
        """Say that a call is over and failed: nobody waits for it to go well. Raises StreamUnavailable."""
        await self._link.call("ZINCRBY", self._keys.media_calls(account_id), -LONGEST_MS, mark)

    async def _take_off(self) -> None:
        for mark, account_id in list(self._kept.items()):
            await self._link.call("ZREM", self._keys.media_calls(account_id), mark)
            self._kept.pop(mark, None)
