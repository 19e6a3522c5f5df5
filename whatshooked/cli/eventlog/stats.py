"""`whatshooked stats`: how much of what happened, by account and hook."""

import argparse
import sys
import time

from whatshooked.cli.eventlog.asked import opened
from whatshooked.cli.eventlog.charts import tables
from whatshooked.cli.eventlog.figures import Figures, Period, day, figures, hour
from whatshooked.cli.eventlog.paper import Paper
from whatshooked.cli.eventlog.pieces import Piece
from whatshooked.eventlog.compose import moment


def stats(options: argparse.Namespace) -> int:
    """Print the counts of the last hour and day; raises ConfigError, CommandRefused and LogUnavailable."""
    now = round(time.time() * 1000)
    periods = {"hour": hour(now), "day": day(now)}
    if options.hour or options.day:
        periods = {name: period for name, period in periods.items() if getattr(options, name)}
    with opened(options.target) as asked:
        # The target is read once: the longest period in the finest bars has all that is needed.
        since, bar_ms = min(one.since for one in periods.values()), min(one.bar_ms for one in periods.values())
        tallies = asked.target.tally(since, now, bar_ms)
    found = {name: figures(tallies, one) for name, one in periods.items()}
    paper = Paper(sys.stdout)
    if options.json:
        paper.json({name: _described(periods[name], one) for name, one in found.items()})
    for i, (name, one) in enumerate(found.items() if not options.json else ()):
        _show(paper, periods[name], one, is_first=i == 0)
    paper.flush()
    return 0


def _show(paper: Paper, period: Period, found: Figures, *, is_first: bool) -> None:
    if not is_first:
        paper.line([])
    if not (found.accounts or found.hooks):
        paper.line([Piece(period.name, "bold"), Piece(": nothing was logged")])
        return
    paper.line([Piece(period.name, "bold"), Piece(f", from {moment(period.since)[:16]}Z", "dim")])
    for line in tables(found, paper.marks.bars):
        paper.line(line)


def _described(period: Period, found: Figures) -> dict[str, object]:
    """Return a period as JSON has it: times RFC 3339, and how many seconds each bar is."""
    times = {"since": moment(period.since), "until": moment(period.until), "bar_seconds": period.bar_ms // 1000}
    return times | {"accounts": found.accounts, "hooks": found.hooks}
