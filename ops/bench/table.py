"""What was found, as tables for people."""

from collections.abc import Sequence

from ops.bench.plan import Bar


def verdicts(found: Sequence[tuple[Bar, float]]) -> str:
    """Return the table of floors, goals and values."""
    rows = [["", "floor", "goal", "found", "verdict"]]
    for bar, value in found:
        goal = "" if bar.goal is None else _number(bar.goal, bar.unit)
        floor = ("" if bar.least else "< ") + _number(bar.floor, bar.unit)
        rows.append([bar.name, floor, goal, _number(value, bar.unit), _verdict(bar, value)])
    return layout(rows)


def layout(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(widths[i]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(row)).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _number(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}"


def _verdict(bar: Bar, value: float) -> str:
    if not bar.met(value):
        return "BELOW THE FLOOR" if bar.least else "ABOVE THE FLOOR"
    return "goal" if bar.goal is not None and value >= bar.goal else "ok"
