"""The table of faults, alarms and seconds; pure, but for `write`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ops.alarms.campaign import Row

PAGE = Path(__file__).parent.parent.parent / "docs" / "alarms.md"
#: What opens the page's table; the rest of the page is written by hand.
HEAD = "| Fault | Alarm | Comes after (s) | Goes after (s) | Customers are named |\n|---|---|---|---|---|\n"


def table(rows: Iterable[Row]) -> str:
    """Return the table, as Markdown."""
    return HEAD + "".join(_line(row) for row in rows)


def _line(row: Row) -> str:
    name, *labels = str(row.alarm).split(" ")
    alarm = f"[{name}](../ops/RUNBOOK.md#{name.lower()})" + "".join(f" `{label}`" for label in labels)
    named = f"`{row.named}`" if row.named else "nobody"
    return f"| {row.told} | {alarm} | {_seconds(row.fired)} | {row.wrong or _seconds(row.cleared)} | {named} |\n"


def plain(row: Row) -> str:
    """Return one row for a terminal."""
    came, went = _seconds(row.fired), row.wrong or _seconds(row.cleared)
    return f"{row.told:<72} {row.alarm!s:<40} {came:>6} {went:>6} {row.named}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def write(rows: Sequence[Row]) -> None:
    """Put the table into docs/alarms.md in place of the one that is there; raises ValueError when there is none."""
    text = PAGE.read_text()
    before, found, after = text.partition(HEAD)
    if not found:
        raise ValueError(f"{PAGE} has no table that begins as ours does")
    lines = after.splitlines(keepends=True)
    rest = next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
    PAGE.write_text(before + table(rows) + "".join(lines[rest:]))
