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
FETCHES = 10.0
#: How much faster than they come files are fetched, and the seconds over which it is reckoned how fast they come.
AHEAD, MEMORY = 2.0, 120.0
#: Share of a message's longest wait after which it does not give way any more.
PATIENCE = 0.25
#: Seconds over which attempts are counted: this slice of time and the one before.
_SLICE = 0.25


class Pace:
    """When the next fetch begins; times are of this process's own clock (time.monotonic)."""

    def __init__(self) -> None:
        #: Attempts of the current slice of time and of the one before it.
        self._slice, self._now, self._before = 0, 0, 0
        #: Files that came, a second, as of the last of them.
        self._inflow, self._came = 0.0, time.monotonic()
        self._next = 0.0

    def attempt(self, now: float) -> None:
        """Count an attempt at a hook."""
        self._turn_over(now)
        self._now += 1

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
        self._turn_over(now)
        if self._now + self._before < BUSY * _SLICE or age > max_wait * PATIENCE:
            return 0.0
        following = max(self._next + 1 / max(FETCHES, AHEAD * self._inflow), now)
        self._next = min(following, now + max(max_wait * PATIENCE - age, 0.0))
        return self._next - now

    def _turn_over(self, now: float) -> None:
        this = int(now / _SLICE)
        if this != self._slice:
            self._before = self._now if this == self._slice + 1 else 0
            self._slice, self._now = this, 0
