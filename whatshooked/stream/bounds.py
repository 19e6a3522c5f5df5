"""How much a look takes in, and how much of it at once: the path goes first."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

#: Of one round trip at most.
_AT_ONCE = 50
#: Ids of all lists together are so many times what is looked at: the oldest need not be the first in any of them.
MORE = 4

_Row = TypeVar("_Row")


class Bounds(NamedTuple):
    """What each part of a look takes in at most: events or messages, bytes of entries, seconds."""

    most: int = 5_000
    size: int = 32 * 1024 * 1024
    seconds: float = 1.0


#: Of a process that has nothing else to do.
UNBOUNDED = Bounds(10**12, 10**15, float("inf"))


class Part:
    """What one part of a look may still take in, and how much of it at once."""

    def __init__(self, bounds: Bounds) -> None:
        self.left = bounds.most
        self._bytes = bounds.size
        self._until = time.monotonic() + bounds.seconds
        #: Whether something was left out.
        self.is_cut = False

    @property
    def at_once(self) -> int:
        """How many the next round trip may ask for; 0 when no more may be taken in."""
        return 0 if self._bytes <= 0 or self.is_late else max(min(_AT_ONCE, self.left), 0)

    @property
    def is_late(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() > self._until

    def saw(self, count: int, size: int = 0) -> None:
        """Note how many were looked at, and how many bytes came."""
        self.left -= count
        self._bytes -= size

    def batches(self, rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
        """Yield rows, so many at once as may be; who takes them notes bytes by `saw`."""
        place = 0
        while place < len(rows):
            count = self.at_once
            if not count:
                self.is_cut = True
                return
            yield (batch := rows[place : place + count])
            self.saw(len(batch))
            place += count
