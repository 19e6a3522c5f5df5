"""What happens, in the order of its places over all shards, so that one id tells how far somebody came."""

from collections import Counter

from whatshooked.stream.follow import Live as Look
from whatshooked.stream.follow import Record
from whatshooked.stream.link import Link

#: Entries of one shard in one look.
ENTRIES = 200
#: Milliseconds that the first look begins early: it asks for the time anew.
_EARLY_MS = 1_000

Streams = dict[str, tuple[str, str]]


class Flow:
    """What happens from a moment on (unix ms), None: from the first look on."""

    def __init__(self, link: Link, streams: Streams, since: int | None = None) -> None:
        self._link = link
        self._look = Look(link, streams)
        self._since = since
        self._begun = False
        self._held: list[Record] = []
        #: Unix ms before which all has been given.
        self.until = since or 0
        #: Whether there was more than the last look took.
        self.behind = False

    async def look(self) -> list[Record]:
        """Return what happened since the last look; raises StreamUnavailable, and then nothing is lost.

        A record waits for the next look while another shard may still have one that stands before it.
        """
        now = await self._link.now()
        if not self._begun:
            # Somebody may name a place that there cannot be.
            since = now if self._since is None else min(max(self._since, _EARLY_MS), now)
            await self._look.begin(now - since + _EARLY_MS)
            self._since, self.until, self._begun = since, since, True
        found = await self._look.look(ENTRIES)
        self._held += [record for record in found if record.ms >= (self._since or 0)]
        reached = _unfinished(found)
        self.behind = bool(reached)
        # A clock that was set back holds nothing up: ids go on from where they were.
        self.until = min([max(now, self.until), *reached])
        ready = [record for record in self._held if record.ms < self.until]
        self._held = [record for record in self._held if record.ms >= self.until]
        return sorted(ready, key=lambda record: (record.ms, record.seq, record.shard))


def _unfinished(found: list[Record]) -> list[int]:
    """Return, for each shard of which a look took all it may, the ms of the last record taken."""
    entries = Counter(shard for shard, _ in {(record.shard, record.entry) for record in found})
    full = {shard for shard, count in entries.items() if count >= ENTRIES}
    return [max(record.ms for record in found if record.shard == shard) for shard in full]
