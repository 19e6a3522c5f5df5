"""Which file in the folder is what, by its name; pure."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

CURRENT = "events.jsonl"
PACKED = ".gz"
DAY_MS = 86_400_000

_ended = re.compile(r"events-\d{4,}-\d\d-\d\d-(\d{1,15})-(\d{1,15})(?:-\d+)?\.jsonl(\.gz)?")
#: Ours, and what logrotate and people make of them.
_any = re.compile(r"events[^/]*\.jsonl[^/]*", re.DOTALL)


class Ended(NamedTuple):
    """What the name of an ended file says: the unix ms of its first and last row, and whether it is compressed."""

    low: int
    high: int
    packed: bool


def is_events(name: str) -> bool:
    """Return whether a file may hold rows."""
    return _any.fullmatch(name) is not None


def ended(name: str) -> Ended | None:
    """Return what an ended file of ours says of itself, None for any other."""
    found = _ended.fullmatch(name)
    return Ended(int(found[1]), int(found[2]), found[3] is not None) if found else None


def of_ended(low: int, high: int, number: int) -> str:
    """Return the name of an ended file; `number` tells apart those of the same rows' times, from 1."""
    day = datetime.fromtimestamp(high // 1000, UTC).date().isoformat()
    return f"events-{day}-{low}-{high}{f'-{number}' if number > 1 else ''}.jsonl"


def day(ms: int) -> int:
    """Return the UTC day of a moment, counted from 1970."""
    return ms // DAY_MS
