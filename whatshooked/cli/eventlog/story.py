"""What happens, as lines: one an event, with what became of it at its hooks. Pure.

An event's line waits for the first outcome of every hook whose attempt was seen to begin, but not for long. What comes
later is a line of its own.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from whatshooked.cli.eventlog.marks import FAILED, fault, outcome, said
from whatshooked.cli.eventlog.pieces import Marks, Piece, harmless, padded
from whatshooked.cli.phone.screen import columns
from whatshooked.eventlog.row import Row

#: Seconds that an event's line waits.
PATIENCE = 1.5
_OUTCOMES = ("hook.success", "hook.failed")
_FILES = ("media.stored", "media.failed")
#: Steps on a way that another line tells the end of.
_SILENT = ("hook.triggered", "outbox.sending")
_SIGNS = {"message.received": "<", "outbox": ">", "message": "=", "hook": "~"}
#: Columns that an account's id may claim for all lines.
_WIDEST = 24

Line = list[Piece]


class Shown(msgspec.Struct, frozen=True):
    """Which lines somebody wants to see: of an account, of a hook, of what failed; empty: all."""

    account_id: str = ""
    hook_id: str = ""
    failed: bool = False

    def has(self, row: Row) -> bool:
        """Return whether a row is wanted by itself."""
        return (
            self.account_id in ("", row.account_id)
            and self.hook_id in ("", row.hook_id)
            and (not self.failed or row.type in FAILED)
        )


class _Event(msgspec.Struct):
    """An event whose line is not printed yet: its row, since when (s), its hooks' outcomes so far, its file's."""

    row: Row
    since: float
    hooks: dict[str, Row | None] = {}
    file: Row | None = None
    #: No hook wants it.
    alone: bool = False

    @property
    def is_told(self) -> bool:
        """Return whether there is nothing to wait for."""
        return self.alone or (bool(self.hooks) and None not in self.hooks.values())


class Story:
    """Takes rows as they come and gives lines when they are due."""

    def __init__(self, shown: Shown, marks: Marks) -> None:
        self._shown = shown
        self._marks = marks
        self._events: dict[str, _Event] = {}
        self._account_width = 0

    def take(self, rows: Iterable[Row], now: float) -> list[Line]:
        """Return the lines that are due with these rows at `now` (seconds of any clock)."""
        lines: list[tuple[str, Line]] = []
        for row in rows:
            lines += self._after(row, now)
        for event_id, event in list(self._events.items()):
            if event.is_told or now >= event.since + PATIENCE:
                lines += self._ended(event_id)
        # Of what is printed together an event's line stands where the event came in.
        return [line for _, line in sorted(lines, key=lambda pair: pair[0])]

    def rest(self) -> list[Line]:
        """Return the lines of events that wait still: nobody will listen any more."""
        return [line for event_id in list(self._events) for _, line in self._ended(event_id)]

    def _after(self, row: Row, now: float) -> Iterator[tuple[str, Line]]:
        event = self._events.get(row.event_id) if row.event_id else None
        if row.state == "received" and row.event_id:
            self._events.setdefault(row.event_id, _Event(row, now))
        elif event is not None and _joins(event, row):
            return
        else:
            if event is not None and not row.type.startswith("outbox."):
                yield from self._ended(row.event_id)
            if row.type not in _SILENT and self._shown.has(row):
                yield row.at, self._line(row, list(_about(row, self._marks)))

    def _ended(self, event_id: str) -> Iterator[tuple[str, Line]]:
        """Yield an event's line, if it is wanted: the event is told then."""
        event, asked = self._events.pop(event_id), self._shown
        hooks = {hook: row for hook, row in event.hooks.items() if asked.hook_id in ("", hook)}
        rows = [row for row in (event.row, event.file, *hooks.values()) if row is not None]
        if asked.account_id not in ("", event.row.account_id) or (asked.hook_id and not hooks):
            return
        if asked.failed and not any(row.type in FAILED for row in rows):
            return
        yield event.row.at, self._line(event.row, list(_came(event, hooks, self._marks)))

    def _line(self, row: Row, rest: Sequence[Piece]) -> Line:
        account = harmless(row.account_id)
        self._account_width = max(self._account_width, min(columns(account), _WIDEST))
        family = row.type.partition(".")[0]
        sign = _SIGNS.get(row.type) or _SIGNS.get(family, "*")
        beside = padded(f" {account}", self._account_width + 1) if self._account_width else ""
        start = [Piece(row.at[11:19], "dim"), Piece(beside), Piece(f"  {sign}", "dim")]
        return [*start, *rest]


def _joins(event: _Event, row: Row) -> bool:
    """Return whether a row goes into the line of its event, which then has it."""
    if row.type == "hook.triggered":
        event.hooks.setdefault(row.hook_id)
    elif row.type in _OUTCOMES and event.hooks.get(row.hook_id) is None:
        event.hooks[row.hook_id] = row
    elif row.type in _FILES and event.file is None:
        event.file = row
    elif row.type == "event.unmatched":
        event.alone = True
    else:
        return False
    return True


def _came(event: _Event, hooks: dict[str, Row | None], marks: Marks) -> Iterator[Piece]:
    """Yield what an event is, and what became of it at its hooks."""
    row = event.row
    yield Piece(f" {harmless(row.conversation)}" if row.conversation else "", "bold")
    if row.type.startswith("message."):
        word = row.type.removeprefix("message.")
        yield from said(row) if word == "received" else [Piece(f" {harmless(word)}")]
    else:
        yield Piece(f" {harmless(row.type)}")
    yield from fault(row)
    if event.file is not None:
        yield from _file(event.file, marks)
    for hook, found in hooks.items():
        yield Piece(f"  {harmless(hook)} ", "cyan")
        yield from outcome(found, marks)
    if event.alone:
        yield Piece("  no hook wants it", "dim")


def _file(row: Row, marks: Marks) -> Iterator[Piece]:
    is_stored = row.type == "media.stored"
    yield Piece("  file ", "cyan")
    yield Piece(marks.done.strip() if is_stored else marks.failed, "green" if is_stored else "red")
    yield from fault(row)


def _about(row: Row, marks: Marks) -> Iterator[Piece]:
    """Yield the line of a row that stands alone."""
    family, _, word = row.type.partition(".")
    yield Piece(f" {harmless(row.conversation)}" if row.conversation else "", "bold")
    if row.type in _OUTCOMES:
        yield Piece(f"  {harmless(row.hook_id)} ", "cyan")
        yield from outcome(row, marks)
        yield Piece(f" attempt {row.attempt}")
    else:
        colour = "red" if row.type in FAILED else "green" if row.type == "outbox.sent" else ""
        yield from said(row) if family == "outbox" else ()
        yield Piece(f" {harmless(word if family == 'outbox' else row.type)}", colour)
        yield from _more(row)
    yield Piece(f"  {harmless(row.event_id)}" if row.event_id and family != "outbox" else "", "dim")


def _more(row: Row) -> Iterator[Piece]:
    """Yield what else is known of a row that is no attempt's."""
    if not row.type.endswith(row.state):
        yield Piece(f" {harmless(row.state)}")
    if row.attempt > 1:
        yield Piece(f" attempt {row.attempt}")
    yield from fault(row)
    if row.hook_id:
        yield Piece(f"  {harmless(row.hook_id)}", "cyan")
    if row.actor:
        yield Piece(f"  by {harmless(row.actor)}", "dim")
    if row.type.startswith("outbox."):
        yield Piece(f"  {harmless(row.message_id)}", "dim")
