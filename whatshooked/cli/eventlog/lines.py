"""A row of the event log as a line, its columns as wide as those of the lines before; pure."""

from collections.abc import Iterable, Iterator

from whatshooked.cli.eventlog.marks import FAILED
from whatshooked.cli.eventlog.pieces import Piece, harmless, padded
from whatshooked.cli.phone.screen import columns
from whatshooked.eventlog.row import Row

#: Columns that one value may claim for all lines: a longer one stands out of line alone.
_WIDEST = 32
_DONE = ("hook.success", "media.stored", "outbox.sent", "whatsapp.connected")


class Lines:
    """Makes lines; a column in which nothing stood yet takes no room."""

    def __init__(self) -> None:
        self._widths = [0] * 5

    def fit(self, rows: Iterable[Row]) -> None:
        """Make the columns wide enough for these rows."""
        for row in rows:
            sizes = (min(columns(value), _WIDEST) for value in _values(row))
            self._widths = [max(pair) for pair in zip(self._widths, sizes, strict=True)]

    def line(self, row: Row) -> list[Piece]:
        """Return a row's line: time, type, account, conversation, hook, what became of it, error, text, event."""
        self.fit([row])
        colours = (_colour(row), "", "bold", "cyan", _colour(row))
        fixed = [
            Piece(f"  {padded(value, width)}", colour)
            for value, width, colour in zip(_values(row), self._widths, colours, strict=True)
            if width
        ]
        return [Piece(row.at, "dim"), *fixed, *_rest(row)]


def _values(row: Row) -> tuple[str, ...]:
    names = row.type, row.account_id, row.conversation, row.hook_id
    return *map(harmless, names), _became(row)


def _became(row: Row) -> str:
    """Return state, attempt, status and how long it took."""
    parts = (
        harmless(row.state),
        f"#{row.attempt}" if row.attempt else "",
        str(row.status or ""),
        f"{row.duration_ms:.0f}ms" if row.duration_ms else "",
    )
    return " ".join(filter(None, parts))


def _rest(row: Row) -> Iterator[Piece]:
    if row.error:
        yield Piece(f"  {harmless(row.error)}", "red", elastic=True)
    if row.message_type and row.message_type != "text":
        yield Piece(f"  {harmless(row.message_type)}", "cyan")
    if row.text:
        yield Piece(f'  "{harmless(row.text)}"', elastic=True)
    if row.actor:
        yield Piece(f"  by {harmless(row.actor)}", "dim")
    if row.event_id:
        yield Piece(f"  {harmless(row.event_id)}", "dim")


def _colour(row: Row) -> str:
    if row.type in FAILED:
        return "red"
    return "green" if row.type in _DONE else ""
