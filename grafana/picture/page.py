"""Draws a whole dashboard: its title, its variables, and each panel at its place in Grafana's grid."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grafana.asked import Asked, filled, of_panel, panels, queries
from grafana.picture import charts, svg, tables
from grafana.picture.source import Series, Source
from grafana.picture.svg import Box
from grafana.picture.units import clock

#: Grafana's grid: 24 columns; width of one, height of a unit, and what stays free between panels (px).
_COLUMN, _UNIT, _FREE = 62.0, 34.0, 6.0
_HEAD = 56.0
_MARGIN = 12.0
Marks = list[tuple[float, str]]


def draw(dashboard: Mapping[str, Any], source: Source, chosen: Mapping[str, str]) -> str:
    """Return the picture (SVG) of a dashboard with the data of a Prometheus."""
    values = values_of(dashboard, source, chosen)
    marks = _marks(dashboard, source, values)
    width = 24 * _COLUMN + 2 * _MARGIN
    height = _HEAD + _UNIT * max(_bottom(panel) for panel in panels(dashboard)) + _MARGIN
    drawn = [_head(dashboard, source, values)]
    for panel in panels(dashboard):
        drawn += _panel(panel, source, values, marks)
    style = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {style} font-family="Inter, Helvetica, Arial, sans-serif">'
    return "\n".join([opening, svg.rect(Box(0, 0, width, height), svg.GROUND, radius=0), *drawn, "</svg>\n"])


def values_of(dashboard: Mapping[str, Any], source: Source, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return a value for every variable: the chosen one, all of several, or the first that Prometheus knows."""
    values = source.variables() | {"datasource": "", "runbook": ""}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values[variable["name"]] = ".*"
    for asked in queries(dashboard, values):
        kind, _, name = asked.place.partition(" ")
        if kind == "variable" and not _takes_several(dashboard, name):
            found = source.series(asked)
            values[name] = chosen.get(name) or (found[0].name if found else "")
    return values


def _takes_several(dashboard: Mapping[str, Any], name: str) -> bool:
    return any(one["name"] == name and one["multi"] for one in dashboard["templating"]["list"])


def _panel(panel: Mapping[str, Any], source: Source, values: Mapping[str, str], marks: Marks) -> Iterator[str]:
    box = _box(panel)
    title = filled(panel["title"], values)
    if panel["type"] == "row":
        yield svg.words(box.x, box.y + box.h * 0.7, f"▾  {title}", 15, bold=True)
        return
    yield svg.rect(box, svg.PANEL, edge=svg.EDGE)
    if panel["type"] != "stat":
        yield svg.words(box.x + 10, box.y + 20, title, 13, bold=True)
    else:
        yield svg.words(box.x + 8, box.y + 18, svg.fitting(title, box.w - 12))
    found = {asked.letter: source.series(asked) for asked in of_panel(panel, values)}
    yield from _inside(panel, box, found, values, (source.start, source.end), marks)


def _inside(
    panel: Mapping[str, Any],
    box: Box,
    found: Mapping[str, Sequence[Series]],
    values: Mapping[str, str],
    span: tuple[float, float],
    marks: Marks,
) -> Iterator[str]:
    together = [one for series in found.values() for one in series]
    match panel["type"]:
        case "stat":
            yield from charts.figure(panel, box, together, span)
        case "timeseries":
            yield from charts.lines(panel, box, together, span, marks)
        case "state-timeline":
            yield from charts.states(panel, box, together, span)
        case "table":
            yield from tables.table(panel, box, found)
        case "text":
            yield from tables.text(box, filled(panel["options"]["content"], values))
        case other:
            raise ValueError(f"panel {panel['title']}: nobody draws a {other}")


def _marks(dashboard: Mapping[str, Any], source: Source, values: Mapping[str, str]) -> Marks:
    """Return when something is marked, and in which colour: where each stretch of its series begins."""
    made: Marks = []
    for mark in dashboard["annotations"]["list"]:
        for one in source.series(Asked(mark["name"], filled(mark["expr"], values))):
            starts = [at for at, _ in one.points if at > source.start]
            made += [(at, mark["iconColor"]) for at in _begins(starts)]
    return made


def _begins(times: Sequence[float]) -> Iterator[float]:
    for number, at in enumerate(times):
        if number == 0 or at - times[number - 1] > 15:
            yield at


def _head(dashboard: Mapping[str, Any], source: Source, values: Mapping[str, str]) -> str:
    shown = [f"{one['name']}: {values[one['name']]}" for one in dashboard["templating"]["list"] if _is_told(one)]
    told = "   ".join([*shown, f"{clock(source.start)} to {clock(source.end)} UTC"])
    right = 24 * _COLUMN + _MARGIN - _FREE
    title = svg.words(_MARGIN + 4, 34, dashboard["title"], 20, bold=True)
    return title + svg.words(right, 34, told, 13, svg.FAINT, anchor="end")


def _is_told(variable: Mapping[str, Any]) -> bool:
    return bool(variable["type"] == "query" and not variable["multi"])


def _box(panel: Mapping[str, Any]) -> Box:
    grid = panel["gridPos"]
    x, y = _MARGIN + grid["x"] * _COLUMN, _HEAD + grid["y"] * _UNIT
    return Box(x, y, grid["w"] * _COLUMN - _FREE, grid["h"] * _UNIT - _FREE)


def _bottom(panel: Mapping[str, Any]) -> int:
    return int(panel["gridPos"]["y"] + panel["gridPos"]["h"])
