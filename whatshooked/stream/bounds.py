"""How much one look at many entries takes in, and how much of it at once: the path goes first."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

#: Entries of one round trip at most, and its bytes above which the next one asks for fewer.
_AT_ONCE, _BYTES_AT_ONCE = 50, 512 * 1024

_Row = TypeVar("_Row")


class Bounds(NamedTuple):
    """What each part of a look takes in at most: events or messages, bytes of entries, seconds."""

    most: int = 5_000
    size: int = 32 * 1024 * 1024
    seconds: float = 1.0


#: Ids of all lists together are so many times what is looked at: the oldest need not be the first in any of them.
MORE = 4

#: Of a process that has nothing else to do.
UNBOUNDED = Bounds(10**12, 10**15, float("inf"))


def following(count: int, size: int, *, large: int, most: int) -> int:
    """Return how many entries to ask for next, after so many of so many bytes."""
    return max(count // 8, 1) if size > large else min(count * 2, most)


class Part:
    """What one part of a look may still take in, and how much of it at once."""

    def __init__(self, bounds: Bounds) -> None:
        self.left = bounds.most
        self._bytes = bounds.size
        self._until = time.monotonic() + bounds.seconds
        self._count = 1  # the first entries may be large
        #: Whether something was left out.
        self.is_cut = False

    @property
    def at_once(self) -> int:
        """How many the next round trip may ask for; 0 when no more may be taken in."""
        if self._bytes <= 0 or time.monotonic() > self._until:
            return 0
        return max(min(self._count, self.left), 0)

    def saw(self, count: int, size: int = 0) -> None:
        """Note how many were asked for, and how many bytes came."""
        self.left -= count
        self._bytes -= size
        self._count = following(self._count, size, large=_BYTES_AT_ONCE, most=_AT_ONCE)

    def batches(self, rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
        """Yield rows, so many at once as may be; who takes them notes it by `saw`."""
        place = 0
        while place < len(rows):
            count = self.at_once
            if not count:
                self.is_cut = True
                return
            yield rows[place : place + count]
            place += count
