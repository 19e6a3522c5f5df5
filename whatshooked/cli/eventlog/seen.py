"""Which rows of a target are new to somebody who follows it; pure.

A target keeps the rows of each shard in order, and those of another shard may come a little later, or, where a target
was down and catches up, much later. So what is behind the newest row is asked for again, as far back as that may be.
"""

from whatshooked.eventlog.row import Place, Row, place

#: Milliseconds by which one shard may be behind another while nothing is wrong.
BEHIND_MS = 10_000
#: Looks without news of a shard after which it is quiet, not behind.
_QUIET = 20


class Seen:
    """Remembers how far each shard was shown. `start` is where who follows begins, for shards not seen yet."""

    def __init__(self, start: Place) -> None:
        self._start = start
        self._last: dict[str, tuple[Place, int]] = {}
        self._looks = 0

    def from_where(self) -> Place:
        """Begin a look, and return the place behind which rows may be new."""
        self._looks += 1
        places = [where for where, _ in self._last.values()]
        newest = max([self._start, *places])
        active = [where for where, look in self._last.values() if self._looks - look <= _QUIET]
        return max(min([Place(newest.ms - BEHIND_MS, 0), *active]), self._start)

    def take(self, row: Row) -> bool:
        """Return whether a row was not seen yet: it is now. Those of a shard come oldest first."""
        where = place(row)
        if where <= self._last.get(where.shard, (self._start, 0))[0]:
            return False
        self._last[where.shard] = where, self._looks
        return True
