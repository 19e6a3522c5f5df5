"""Draws figures, lines and states."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grafana.picture import svg
from grafana.picture.shown import look, series_colours
from grafana.picture.source import Series
from grafana.picture.svg import Box
from grafana.picture.units import clock, written

Span = tuple[float, float]
Points = list[tuple[float, float]]
#: Seconds between two points of a line beyond which there is a gap, as a part of what is shown.
_GAP = 0.05


def figure(panel: Mapping[str, Any], box: Box, found: Sequence[Series], span: Span) -> Iterator[str]:
    """Draw one number on its colour, its course behind it."""
    shown = look(panel)
    if not found:
        yield from _nothing(box, panel["fieldConfig"]["defaults"].get("noValue", "No data"))
        return
    one = found[0]
    fill = svg.ground(shown.colour(one.last) or svg.PANEL)
    yield svg.rect(box, fill)
    if len(one.points) > 1:
        yield from _spark(box, one.points, span)
    yield svg.words(box.x + 8, box.y + 18, svg.fitting(panel["title"], box.w - 12), fill="#ffffff")
    said = shown.said(one.last)
    size = min(34.0, (box.w - 20) / (max(len(said), 1) * 0.58))
    yield svg.words(box.x + box.w / 2, box.y + box.h * 0.62, said, size, "#ffffff", anchor="middle", bold=True)
    if panel["options"].get("textMode") == "value_and_name":
        yield svg.words(box.x + box.w / 2, box.y + box.h * 0.82, one.name, 12, "#ffffff", anchor="middle")


def lines(
    panel: Mapping[str, Any], box: Box, found: Sequence[Series], span: Span, marks: Sequence[tuple[float, str]]
) -> Iterator[str]:
    """Draw lines over time with axes, thresholds, marks and a legend."""
    if not found:
        yield from _nothing(box, panel["fieldConfig"]["defaults"].get("noValue", "No data"))
        return
    shown, stacked = look(panel), _is_stacked(panel)
    colours = series_colours(panel, [one.name for one in found])
    legend = list(_legend(box, [(one.name, colours[one.name], shown.said(one.last)) for one in found]))
    plot = box.inner(58, 30, 12, 42 + 16 * _legend_rows(box, found, shown.said))
    tops = _stacked(found) if stacked else [one.points for one in found]
    top = _round_up(max((value for points in tops for _, value in points), default=1.0) * 1.05)
    yield from _grid(plot, span, top, shown.unit)
    yield from _thresholds(plot, shown.steps, top)
    for at, hue in marks:
        x = _x(plot, span, at)
        yield svg.line([(x, plot.y), (x, plot.y + plot.h)], svg.colour(hue), 1, dash="3,3")
    for one, points in reversed(list(zip(found, tops, strict=True))):
        yield from _curve(plot, points, span, top, colours[one.name], 0.3 if stacked else 0)
    yield from legend


def states(panel: Mapping[str, Any], box: Box, found: Sequence[Series], span: Span) -> Iterator[str]:
    """Draw a bar for each series that changes its colour with the value."""
    if not found:
        yield from _nothing(box, "No data")
        return
    shown = look(panel)
    label = min(box.w * 0.35, 14 + max(svg.width_of(one.name) for one in found))
    plot = box.inner(label, 32, 10, 28)
    height = plot.h / len(found)
    for row, one in enumerate(found):
        bar = Box(plot.x, plot.y + row * height, plot.w, min(height * 0.8, 30))
        name = svg.fitting(one.name, label - 12)
        yield svg.words(plot.x - 6, bar.y + bar.h / 2 + 4, name, 11, svg.FAINT, anchor="end")
        for start, end, value in _runs(one.points):
            left, right = _x(plot, span, start), _x(plot, span, end)
            part = Box(left, bar.y, max(right - left, 1.5), bar.h)
            yield svg.rect(part, svg.ground(shown.colour(value)), radius=0)
            said = shown.said(value)
            if part.w > svg.width_of(said) + 8:
                yield svg.words(left + part.w / 2, bar.y + bar.h / 2 + 4, said, 11, "#ffffff", anchor="middle")
    yield from _times(plot, span)


def _runs(points: Points) -> Iterator[tuple[float, float, float]]:
    """Yield start, end and value of each stretch of one value."""
    usual = min((after - at for (at, _), (after, _) in itertools.pairwise(points)), default=0.0)
    start = points[0][0]
    for (at, value), (after, following) in itertools.pairwise(points):
        if value != following or after - at > 2 * usual:
            yield start, min(after, at + usual), value
            start = after
    yield start, points[-1][0], points[-1][1]


def _nothing(box: Box, said: str) -> Iterator[str]:
    yield svg.words(box.x + box.w / 2, box.y + box.h / 2 + 8, said, 16, svg.FAINT, anchor="middle")


def _spark(box: Box, points: Points, span: Span) -> Iterator[str]:
    plot = Box(box.x, box.y + box.h * 0.66, box.w, box.h * 0.34)
    finite = [(at, value) for at, value in points if math.isfinite(value)]
    top = max((value for _, value in finite), default=0) or 1.0
    yield from _curve(plot, finite, span, top * 1.1, "#ffffff", 0.18, 0.6)


def _curve(
    plot: Box, points: Points, span: Span, top: float, hue: str, opacity: float, width: float = 1.6
) -> Iterator[str]:
    for piece in _pieces(points, (span[1] - span[0]) * _GAP):
        drawn = _bends([(_x(plot, span, at), _y(plot, top, value)) for at, value in piece if math.isfinite(value)])
        if len(drawn) == 1:
            drawn.append((drawn[0][0] + 2, drawn[0][1]))
        if drawn:
            floor = plot.y + plot.h
            if opacity:
                yield svg.area(drawn, [(drawn[-1][0], floor), (drawn[0][0], floor)], hue, opacity)
            yield svg.line(drawn, hue, width)


def _bends(drawn: Points) -> Points:
    """Return a line without the points that lie on a level stretch of it."""
    inner = (
        here
        for before, here, after in zip(drawn, drawn[1:], drawn[2:], strict=False)
        if not before[1] == here[1] == after[1]
    )
    return [*drawn[:1], *inner, *drawn[max(len(drawn) - 1, 1) :]]


def _pieces(points: Points, gap: float) -> Iterator[Points]:
    piece: Points = []
    for at, value in points:
        if piece and at - piece[-1][0] > gap:
            yield piece
            piece = []
        piece.append((at, value))
    if piece:
        yield piece


def _stacked(found: Sequence[Series]) -> list[Points]:
    """Return the points of each series upon those before it."""
    below: dict[float, float] = {}
    made = []
    for one in found:
        for at, value in one.points:
            below[at] = below.get(at, 0.0) + value
        made.append([(at, below[at]) for at, _ in one.points])
    return made


def _is_stacked(panel: Mapping[str, Any]) -> bool:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    return bool(custom.get("stacking", {}).get("mode") == "normal")


def _grid(plot: Box, span: Span, top: float, unit: str) -> Iterator[str]:
    for part in range(5):
        y = plot.y + plot.h * (1 - part / 4)
        yield svg.line([(plot.x, y), (plot.x + plot.w, y)], svg.GRID, 1)
        yield svg.words(plot.x - 6, y + 4, written(top * part / 4, unit), 11, svg.FAINT, anchor="end")
    yield from _times(plot, span)


def _times(plot: Box, span: Span) -> Iterator[str]:
    count = max(2, min(6, int(plot.w / 110)))
    for part in range(count):
        at = span[0] + (span[1] - span[0]) * (part + 0.5) / count
        yield svg.words(_x(plot, span, at), plot.y + plot.h + 16, clock(at), 11, svg.FAINT, anchor="middle")


def _thresholds(plot: Box, steps: Sequence[Mapping[str, Any]], top: float) -> Iterator[str]:
    for step in steps:
        if step["value"] is not None and 0 < step["value"] <= top and step["color"] != "green":
            y = _y(plot, top, step["value"])
            yield svg.line([(plot.x, y), (plot.x + plot.w, y)], svg.colour(step["color"]), 1, dash="6,4")


def _legend_rows(box: Box, found: Sequence[Series], said: Any) -> int:
    return max((row for row, *_ in _placed(box, [(one.name, said(one.last)) for one in found])), default=0)


def _placed(box: Box, entries: Sequence[tuple[str, str]]) -> Iterator[tuple[int, float, str]]:
    """Yield row and left edge of each entry of a legend, with its text; three rows at most."""
    row, x = 0, box.x + 14
    for name, value in entries:
        said = f"{name}  {value}"
        width = svg.width_of(said, 11) + 30
        if x + width > box.x + box.w and x > box.x + 14:
            row, x = row + 1, box.x + 14
        if row > 2:
            return
        yield row, x, said
        x += width


def _legend(box: Box, entries: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    placed = list(_placed(box, [(name, value) for name, _, value in entries]))
    last = max((row for row, *_ in placed), default=0)
    for (_, hue, _), (row, x, said) in zip(entries, placed, strict=False):
        y = box.y + box.h - 8 - (last - row) * 16
        yield svg.rect(Box(x, y - 5, 12, 3), hue, radius=1)
        yield svg.words(x + 17, y, svg.fitting(said, box.x + box.w - x - 20, 11), 11)


def _x(plot: Box, span: Span, at: float) -> float:
    return plot.x + plot.w * min(max((at - span[0]) / (span[1] - span[0]), 0), 1)


def _y(plot: Box, top: float, value: float) -> float:
    return plot.y + plot.h * (1 - min(max(value / top, 0), 1))


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 8 and so on times a power of ten, so that quarters are short numbers."""
    if not math.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(size * power for size in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if size * power >= value)
