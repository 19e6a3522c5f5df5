"""What can be said behind `whatshooked log`, `tail` and `stats`."""

import argparse
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

#: Makes the function that runs a command, by module and name.
Call = Callable[[str, str], Callable[[argparse.Namespace], int]]
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_LOG = """\
Prints what the event log has, newest last: the newest 100 rows unless -n or --all says otherwise. A time is 45s, 30m,
1h, 2d or 1w (so long ago), 2026-01-30, or 2026-01-30T12:00:00Z; one without a zone is UTC.

  whatshooked log --failed --since 1h
  whatshooked log --conversation +4915112345678 --all
  whatshooked log --type 'message.*' --type outbox.failed -f"""
_TAIL = """\
Prints what happens, as it happens: a line an event, with what became of it at each hook. The event log may be off.

   <  came from a customer        =  a status of a message        >  a message on its way to a customer
   ~  a hook, once the event's own line is printed                *  all else

  whatshooked tail --failed
  whatshooked tail --hook crm --json"""
_STATS = """\
Counts what the event log has of the last hour (a bar of the chart is 5 minutes) and of the last day (an hour), for
each account and each hook."""
_TARGETS = ("file", "sqlite", "postgres")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ago = re.compile(r"([0-9]{1,7})([smhdw])")


def add_log(commands: _Commands, common: argparse.ArgumentParser, call: Call) -> None:
    """Add `log`."""
    log = _added(commands, common, "log", "what the event log has: filters, --follow, --json", _LOG)
    few = log.add_mutually_exclusive_group()
    few.add_argument("-n", "--lines", type=_count, default=100, metavar="N", help="the newest N rows (default 100)")
    few.add_argument("--all", action="store_true", help="all rows")
    log.add_argument("--since", type=moment, metavar="TIME", help="from then on: 1h, 2026-01-30, 2026-01-30T12:00:00Z")
    log.add_argument("--until", type=moment, metavar="TIME", help="before then")
    log.add_argument("--account", default="", metavar="ID", help="of this account alone")
    log.add_argument("--conversation", default="", metavar="WHO", help="with this phone number or user id alone")
    log.add_argument(
        "--type", action="append", default=[], metavar="TYPE", help="of this type, or message.*; repeatable"
    )
    log.add_argument("--hook", default="", metavar="ID", help="of this hook alone")
    log.add_argument("--state", action="append", default=[], metavar="STATE", help="of this state; repeatable")
    log.add_argument("--event", default="", metavar="ID", help="about this event alone")
    log.add_argument("--error", default="", metavar="TEXT", help="whose error holds this, in any case of letters")
    log.add_argument("--failed", action="store_true", help="only what failed")
    log.add_argument("--json", action="store_true", help="one JSON object a line, the row as it is kept")
    order = log.add_mutually_exclusive_group()
    order.add_argument("-f", "--follow", action="store_true", help="go on with new rows as they are written")
    order.add_argument("--reverse", action="store_true", help="newest first")
    _target(log)
    log.set_defaults(does=call("eventlog.log", "log"))


def add_tail(commands: _Commands, common: argparse.ArgumentParser, call: Call) -> None:
    """Add `tail`."""
    tail = _added(commands, common, "tail", "what happens, as it happens; the event log may be off", _TAIL)
    tail.add_argument("--account", default="", metavar="ID", help="of this account alone")
    tail.add_argument("--hook", default="", metavar="ID", help="of this hook alone")
    tail.add_argument("--failed", action="store_true", help="only what failed")
    tail.add_argument(
        "--since", type=_ms, default=0, metavar="TIME", help="begin so long ago (30s): Redis has a minute"
    )
    tail.add_argument("--json", action="store_true", help="one JSON object a line, for each thing that happens")
    tail.set_defaults(does=call("eventlog.tail", "tail"))


def add_stats(commands: _Commands, common: argparse.ArgumentParser, call: Call) -> None:
    """Add `stats`."""
    stats = _added(commands, common, "stats", "counts of the last hour and day, by account and hook", _STATS)
    span = stats.add_mutually_exclusive_group()
    span.add_argument("--hour", action="store_true", help="the last hour alone")
    span.add_argument("--day", action="store_true", help="the last day alone")
    stats.add_argument("--json", action="store_true", help="one JSON object")
    _target(stats)
    stats.set_defaults(does=call("eventlog.stats", "stats"))


def moment(text: str) -> int:
    """Return a time (unix ms) as people say it; raises ArgumentTypeError."""
    if _ago.fullmatch(text):
        return max(round(time.time() * 1000) - _ms(text), 0)
    try:
        found = datetime.fromisoformat(text)
        return max(round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000), 0)
    except (ValueError, OverflowError):
        expected = "a time looks like 1h, 2026-01-30 or 2026-01-30T12:00:00Z"
        raise argparse.ArgumentTypeError(f"{expected}, got {text!r}") from None


def _ms(text: str) -> int:
    found = _ago.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected so long ago, such as 30s or 1m, got {text!r}")
    return int(found[1]) * _SECONDS[found[2]] * 1000


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return number


def _added(
    commands: _Commands, common: argparse.ArgumentParser, name: str, text: str, description: str
) -> argparse.ArgumentParser:
    style = argparse.RawDescriptionHelpFormatter
    return commands.add_parser(name, parents=[common], help=text, description=description, formatter_class=style)


def _target(parser: argparse.ArgumentParser) -> None:
    text = "ask this target of event_logger.targets (default: the one that finds quickest)"
    parser.add_argument("--target", choices=_TARGETS, default="", help=text)
