"""`whatshooked log`: what the event log has."""

import argparse
import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Generator

from msgspec import structs

from whatshooked.cli.eventlog.asked import Asked, opened, wanted
from whatshooked.cli.eventlog.lines import Lines
from whatshooked.cli.eventlog.paper import Paper
from whatshooked.cli.eventlog.seen import BEHIND_MS, Seen
from whatshooked.eventlog.row import Place, Row, Wanted, place

#: Seconds between two looks for new rows.
PAUSE = 0.5

Show = Callable[[Row], None]


def log(options: argparse.Namespace) -> int:
    """Print rows; raises ConfigError, CommandRefused and LogUnavailable."""
    with opened(options.target) as asked:
        rows_wanted = wanted(options, asked.config)
        paper, lines = Paper(sys.stdout), Lines()
        show = paper.json if options.json else lambda row: paper.line(lines.line(row))
        begun = round(time.time() * 1000)
        if options.all:
            start = _all(asked, structs.replace(rows_wanted, newest_first=options.reverse), show)
        else:
            start = _newest(asked, rows_wanted, options, lines, show)
        paper.flush()
        if options.follow:
            _follow(asked, rows_wanted, start or Seen(Place(begun - BEHIND_MS, 0)), show, paper)
        elif start is None:
            print(f"the event log ({asked.name}: {asked.place}) has no such row", file=sys.stderr)
    return 0


def _all(asked: Asked, rows_wanted: Wanted, show: Show) -> Seen | None:
    """Show all rows; returns which they were, None if there were none."""
    seen: Seen | None = None
    for row in asked.target.rows(rows_wanted):
        seen = seen or Seen(Place(max(place(row).ms - BEHIND_MS, 0), 0))
        show(row)
        seen.take(row)
    return seen


def _newest(asked: Asked, rows_wanted: Wanted, options: argparse.Namespace, lines: Lines, show: Show) -> Seen | None:
    """Show the newest rows; returns which they were, None if there were none."""
    with contextlib.closing(_rows(asked, rows_wanted)) as rows:
        found = list(itertools.islice(rows, options.lines + 1))
    is_cut = len(found) > options.lines
    found = found[: options.lines]
    lines.fit(found)
    for row in found if options.reverse else reversed(found):
        show(row)
    if not found:
        return None
    if is_cut:
        print(f"the newest {len(found)} of more rows: -n N shows N of them, --all all", file=sys.stderr)
    oldest = place(found[-1])
    # What is older than the rows shown, of any shard, was left out, unless all were shown.
    seen = Seen(oldest if is_cut else Place(max(oldest.ms - BEHIND_MS, 0), 0))
    for row in reversed(found):
        seen.take(row)
    return seen


def _follow(asked: Asked, rows_wanted: Wanted, seen: Seen, show: Show, paper: Paper) -> None:
    """Show new rows as they are written, until the time asked for is over."""
    while rows_wanted.until is None or time.time() * 1000 < rows_wanted.until + BEHIND_MS:
        time.sleep(PAUSE)
        now_wanted = structs.replace(rows_wanted, newest_first=False, after=seen.from_where())
        for row in asked.target.rows(now_wanted):
            if seen.take(row):
                show(row)
        paper.flush()


def _rows(asked: Asked, rows_wanted: Wanted) -> Generator[Row, None, None]:
    yield from asked.target.rows(rows_wanted)
