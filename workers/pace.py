"""Files give way to messages: while a process is busy with those, it begins only so many fetches a second.

A file costs a process as much as a dozen texts, and the disk it is written to is often that of Redis' log. A burst of
files is stretched over some seconds; a steady stream of them is kept up with, whatever it is. What has waited for a
good part of `media.max_wait` is begun at once: no message shall miss its file for the sake of others' milliseconds.
"""

import asyncio
import math
import time

#: Attempts a second above which a process is busy, and fetches it begins a second then at least.
BUSY = 100.0
FETCHES = 40.0
#: How much faster than they come files are fetched, and the seconds over which it is reckoned how fast they come.
AHEAD, MEMORY = 2.0, 20.0
#: Share of a message's longest wait after which it does not give way any more.
PATIENCE = 0.25
#: Seconds over which attempts are counted.
_WINDOW = 0.5


class Pace:
    """When the next fetch begins; times are of this process's own clock (time.monotonic)."""

    def __init__(self) -> None:
        self._count = 0
        self._seen, self._since = 0, time.monotonic()
        #: Attempts a second.
        self._rate = 0.0
        #: Files that came, a second, as of the last of them.
        self._inflow, self._came = 0.0, time.monotonic()
        self._next = 0.0

    def attempt(self) -> None:
        """Count an attempt at a hook."""
        self._count += 1

    def came(self, now: float) -> None:
        """Count a message with a file."""
        self._inflow = self._inflow * math.exp((self._came - now) / MEMORY) + 1 / MEMORY
        self._came = now

    async def turn(self, age: float, max_wait: float) -> None:
        """Wait for a fetch's turn; its event is `age` seconds old."""
        pause = self.pause(age, max_wait, time.monotonic())
        if pause > 0:
            await asyncio.sleep(pause)

    def pause(self, age: float, max_wait: float, now: float) -> float:
        """Return the seconds until a fetch may begin, and take that moment."""
        if now - self._since >= _WINDOW:
            self._rate = (self._count - self._seen) / (now - self._since)
            self._seen, self._since = self._count, now
        if self._rate < BUSY or age > max_wait * PATIENCE:
            return 0.0
        self._next = max(self._next + 1 / max(FETCHES, AHEAD * self._inflow), now)
        return min(self._next - now, max(max_wait * PATIENCE - age, 0.0))
