"""How what became of an attempt looks, and what counts as failed; pure."""

from collections.abc import Iterator

from whatshooked.cli.eventlog.pieces import Marks, Piece, harmless
from whatshooked.eventlog.row import Row

#: The types that `--failed` shows.
FAILED = (
    "hook.failed",
    "message.failed",
    "outbox.failed",
    "outbox.unknown",
    "media.failed",
    "whatsapp.disconnected",
    "event.poison",
)
#: Characters of an error beside a hook's name.
_WHY = 60


def outcome(row: Row | None, marks: Marks) -> Iterator[Piece]:
    """Yield how an attempt ended, or that it has not: `(retry 2)` is the number of the attempt that comes next."""
    if row is None:
        yield Piece(marks.pending, "dim")
    elif row.type == "hook.success":
        yield Piece(f"{marks.done}{row.duration_ms:.0f}ms", "green")
        if row.error:
            yield Piece(f" ({_why(row)})", "yellow")
    else:
        then = f"retry {row.attempt + 1}" if row.state == "retrying" else row.state
        yield Piece(f"{marks.failed} {row.status or _why(row)}", "red")
        yield Piece(f" ({harmless(then)})", "yellow" if row.state == "retrying" else "red")


def said(row: Row) -> Iterator[Piece]:
    """Yield what a message says, or what it is where that is no text."""
    if row.message_type and (row.message_type != "text" or not row.text):
        yield Piece(f" {harmless(row.message_type)}", "cyan")
    if row.text:
        yield Piece(f' "{harmless(row.text)}"', elastic=True)


def fault(row: Row) -> Iterator[Piece]:
    """Yield Meta's code and the error of a row that is no hook's."""
    words = " ".join(filter(None, (str(row.status or ""), harmless(row.error))))
    if words:
        yield Piece(f" {words}", "red", elastic=True)


def _why(row: Row) -> str:
    words = harmless(row.error)
    return words if len(words) <= _WHY else words[: _WHY - 2] + ".."
