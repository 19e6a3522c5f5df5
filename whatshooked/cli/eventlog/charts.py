"""Figures as tables with a small chart behind each row; pure."""

from collections.abc import Iterator, Mapping, Sequence

from whatshooked.cli.eventlog.figures import Account, Figures, Hook
from whatshooked.cli.eventlog.pieces import Piece, harmless, padded
from whatshooked.cli.phone.screen import columns

_ACCOUNTS = ("account", "received", "sent", "delivered", "read", "failed", "replies")
_HOOKS = ("hook", "accepted", "failed", "dead", "mean ms")
_BAD = ("failed", "dead")

Line = list[Piece]
#: What stands in a row, and what its chart counts.
Cells = tuple[list[str], list[int]]


def tables(figures: Figures, bars: str) -> Iterator[Line]:
    """Yield the lines of a period; the charts count what was received, and what was accepted."""
    if figures.accounts:
        yield from _table(_ACCOUNTS, {name: _of_account(one) for name, one in figures.accounts.items()}, bars)
    if figures.accounts and figures.hooks:
        yield []
    if figures.hooks:
        yield from _table(_HOOKS, {name: _of_hook(one) for name, one in figures.hooks.items()}, bars)


def chart(counts: Sequence[int], bars: str) -> str:
    """Return counts as bars side by side, the highest as high as can be: what is not nothing shows."""
    most = max(counts, default=0)
    return "".join(bars[-(-count * (len(bars) - 1) // most)] if count else bars[0] for count in counts)


def _of_account(found: Account) -> Cells:
    counts = found.received, found.sent, found.delivered, found.read, found.failed, found.replies
    return [f"{count:,}" for count in counts], found.received_bars


def _of_hook(found: Hook) -> Cells:
    mean = "-" if found.mean_ms is None else f"{found.mean_ms:,}"
    return [*(f"{count:,}" for count in (found.accepted, found.failed, found.dead)), mean], found.accepted_bars


def _table(head: Sequence[str], rows: Mapping[str, Cells], bars: str) -> Iterator[Line]:
    names = {name: harmless(name) for name in rows}
    first = max(map(columns, (head[0], *names.values())))
    widths = [max(len(title), *(len(values[i]) for values, _ in rows.values())) for i, title in enumerate(head[1:])]
    titles = [f"  {title:>{width}}" for title, width in zip(head[1:], widths, strict=True)]
    yield [Piece(padded(head[0], first) + "".join(titles), "dim")]
    for name, (values, counts) in rows.items():
        cells = zip(head[1:], values, widths, strict=True)
        pieces = [
            Piece(f"  {value:>{width}}", "red" if title in _BAD and value != "0" else "")
            for title, value, width in cells
        ]
        yield [Piece(padded(names[name], first), "bold"), *pieces, Piece("  "), Piece(chart(counts, bars), "cyan")]
