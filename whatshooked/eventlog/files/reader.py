"""Rows in order, from as few bytes as will do.

The folder is taken as pieces, each with the span of time of its rows: a compressed file by its name and then by the
headers of its members, the current one by the `.position`, any other file by a look through it. A piece is read when
the next row might stand in it, so that rows come in order however far apart in time the writer's batches were, and
only what overlaps is held at once.
"""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from whatshooked.eventlog.files import lines, pieces
from whatshooked.eventlog.files.pieces import Piece
from whatshooked.eventlog.row import Place, Row, Tally, Wanted

_FOREVER = 1 << 62


def rows(folder: Path, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows asked for, in the order asked for; raises OSError."""
    with contextlib.ExitStack() as stack:
        must_hold = lines.needles(wanted)
        low, high = _reach(wanted)
        waiting = _sorted([p for p in pieces.of_folder(folder, stack) if p.low <= high and p.high >= low], wanted)
        held = list[tuple[Place, Row]]()
        last: Place | None = None
        while waiting or held:
            if not waiting or (held and not _may_come_first(waiting[-1], held[-1][0], wanted)):
                where, row = held.pop()
                if where != last:  # a copy that somebody made beside ours
                    yield row
                last = where
                continue
            inside = waiting.pop().read()
            if isinstance(inside, list):
                waiting = _sorted([*waiting, *(p for p in inside if p.low <= high and p.high >= low)], wanted)
                continue
            for block in inside:
                held += lines.found(block, wanted, must_hold)
            lines.in_order(held, descending=not wanted.newest_first)


def tally(folder: Path, since: int, until: int, width: int) -> list[Tally]:
    """Count rows in spans of so many ms; raises OSError."""
    counts = Counter[tuple[int, str, str, str, str]]()
    took = defaultdict[tuple[int, str, str, str, str], float](float)
    wanted = Wanted(since=since, until=until)
    with contextlib.ExitStack() as stack:
        waiting = pieces.of_folder(folder, stack)
        while waiting:
            piece = waiting.pop()
            if piece.low >= until or piece.high < since:
                continue
            inside = piece.read()
            if isinstance(inside, list):
                waiting += inside
                continue
            for block in inside:
                for where, row in lines.found(block, wanted, []):
                    begins = since + (where.ms - since) // width * width
                    kind = (begins, row.type, row.account_id, row.hook_id, row.state)
                    counts[kind] += 1
                    took[kind] += row.duration_ms
    return [Tally(*kind, count, took[kind]) for kind, count in sorted(counts.items())]


def _reach(wanted: Wanted) -> tuple[int, int]:
    """Return the first and the last unix ms of the rows that can be wanted."""
    low = 0 if wanted.since is None else wanted.since
    high = _FOREVER if wanted.until is None else wanted.until - 1
    if wanted.after is not None and wanted.newest_first:
        high = min(high, wanted.after.ms)
    elif wanted.after is not None:
        low = max(low, wanted.after.ms)
    return low, high


def _sorted(waiting: list[Piece], wanted: Wanted) -> list[Piece]:
    """Return pieces with the one last that may hold the next row."""
    if wanted.newest_first:
        return sorted(waiting, key=lambda piece: piece.high)
    return sorted(waiting, key=lambda piece: piece.low, reverse=True)


def _may_come_first(piece: Piece, next_held: Place, wanted: Wanted) -> bool:
    """Return whether a piece may hold a row that comes before the next of those held."""
    return piece.high >= next_held.ms if wanted.newest_first else piece.low <= next_held.ms
