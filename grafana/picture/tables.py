"""Draws tables and texts."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grafana.picture import svg
from grafana.picture.shown import column, is_hidden
from grafana.picture.source import Series
from grafana.picture.svg import Box

_LINE = 26.0
#: Letters of a label that are shown, if others want room.
_LETTERS = 60


def table(panel: Mapping[str, Any], box: Box, found: Mapping[str, Sequence[Series]]) -> Iterator[str]:
    """Draw a row for each set of labels; `found` maps a query's letter to its series."""
    names = _columns(panel, list(found))
    labels = _labels(panel, found)
    table_rows = _sorted(panel, _rows(found, labels), names)
    if not table_rows:
        yield svg.words(box.x + box.w / 2, box.y + box.h / 2 + 8, "none", 16, svg.FAINT, anchor="middle")
        return
    cells = _across(box, labels, _letters(panel, names, table_rows), [key for key, _ in table_rows], _order(panel))
    for heading, cell in cells.items():
        yield svg.words(cell.x + 4, cell.y, svg.fitting(heading, cell.w - 4), 12, "#6e9fff", bold=True)
    for number, (key, values) in enumerate(table_rows[: int((box.h - 60) / _LINE)]):
        y = box.y + 56 + number * _LINE
        yield svg.line([(box.x + 8, y), (box.x + box.w - 8, y)], svg.GRID, 1)
        for label, text in zip(labels, key, strict=True):
            said, named = column(panel, label).word(text)
            hue, cell = "#6e9fff" if label == labels[0] else svg.colour(named) or svg.INK, cells[label]
            yield svg.words(cell.x + 4, y + 18, svg.fitting(said, cell.w - 4), 12, hue)
        for letter, name in names.items():
            cell = Box(cells[name].x, y + 2, cells[name].w, _LINE - 4)
            yield from _cell(panel, name, cell, values.get(letter))


def _letters(
    panel: Mapping[str, Any], names: Mapping[str, str], table_rows: Sequence[tuple[tuple[str, ...], dict[str, float]]]
) -> dict[str, int]:
    """Return how many letters the longest value of each column has, a few at least."""
    return {
        name: max(8, *(len(column(panel, name).said(values[letter])) for _, values in table_rows if letter in values))
        for letter, name in names.items()
    }


def _across(
    box: Box, labels: Sequence[str], names: Mapping[str, int], keys: Sequence[tuple[str, ...]], order: Sequence[str]
) -> dict[str, Box]:
    """Return the place of each column's heading: as wide as its longest word wants, in proportion.

    `names` are the headings of values, with the letters of the longest.
    """
    longest = {label: max(len(key[place]) for key in keys) for place, label in enumerate(labels)}
    wanted = {label: max(len(label), min(letters, _LETTERS)) for label, letters in longest.items()}
    wanted |= {name: max(len(name), letters) for name, letters in names.items()}
    if order:
        wanted = {heading: wanted[heading] for heading in sorted(wanted, key=order.index)}
    whole, x = sum(wanted.values()), box.x + 8
    made = {}
    for heading, letters in wanted.items():
        width = (box.w - 16) * letters / whole
        made[heading] = Box(x, box.y + 48, width - 4, _LINE)
        x += width
    return made


def text(box: Box, markdown: str) -> Iterator[str]:
    """Draw a Markdown text: paragraphs wrapped, indented lines as code; what finds no room is left out."""
    y = box.y + 44
    for paragraph in markdown.strip().split("\n\n"):
        is_code = paragraph.startswith("    ")
        width = int((box.w - 24) / 6.0)
        said = paragraph.split("\n") if is_code else _wrapped(paragraph, width)
        if paragraph.startswith("|"):
            said = [one for row in paragraph.split("\n") if not row.startswith("|---") for one in _wrapped(row, width)]
        for one in said:
            if y > box.y + box.h - 6:
                return
            yield svg.code(box.x + 20, y, one.strip()) if is_code else svg.words(box.x + 12, y, one, 11.5)
            y += 15
        y += 5


def _wrapped(paragraph: str, width: int) -> list[str]:
    plain = re.sub(r"[*`]+|\]\(\S+\)|\[", "", paragraph.replace("\n", " ")).strip("| ").replace(" | ", " · ")
    return textwrap.wrap(plain, width)


def _cell(panel: Mapping[str, Any], name: str, cell: Box, value: float | None) -> Iterator[str]:
    if value is None:
        return
    shown = column(panel, name)
    hue = shown.colour(value)
    if hue and shown.steps:
        yield svg.rect(cell, svg.ground(hue), radius=0)
    yield svg.words(cell.x + 4, cell.y + 16, shown.said(value), 12)


def _columns(panel: Mapping[str, Any], letters: Sequence[str]) -> dict[str, str]:
    """Return the heading of each query's values."""
    renamed = _organized(panel).get("renameByName", {})
    return {letter: renamed.get(f"Value #{letter}") or renamed.get("Value", letter) for letter in letters}


def _labels(panel: Mapping[str, Any], found: Mapping[str, Sequence[Series]]) -> list[str]:
    hidden = _organized(panel).get("excludeByName", {})
    seen = (name for series in found.values() for one in series for name in one.labels)
    return [name for name in dict.fromkeys(seen) if name not in hidden and not is_hidden(panel, name)]


def _rows(
    found: Mapping[str, Sequence[Series]], labels: Sequence[str]
) -> list[tuple[tuple[str, ...], dict[str, float]]]:
    """Return what Grafana's `merge` makes of several answers: a row for each set of labels that all of them have."""
    known = [{name for one in series for name in one.labels} for series in found.values()]
    shared = set.intersection(*known)
    values: dict[tuple[str, ...], dict[str, float]] = {}
    told: dict[tuple[str, ...], dict[str, str]] = {}
    for letter, series in found.items():
        for one in series:
            key = tuple(one.labels.get(name, "") for name in labels if name in shared)
            values.setdefault(key, {})[letter] = one.last
            told.setdefault(key, {}).update(one.labels)
    made = {tuple(told[key].get(name, "") for name in labels): found_values for key, found_values in values.items()}
    return sorted(made.items())


def _sorted(
    panel: Mapping[str, Any], table_rows: list[tuple[tuple[str, ...], dict[str, float]]], names: Mapping[str, str]
) -> list[tuple[tuple[str, ...], dict[str, float]]]:
    """Return the rows by the column that the panel names; else by their labels."""
    by = {one["displayName"]: -1 if one["desc"] else 1 for one in (panel.get("options") or {}).get("sortBy") or []}
    letters = {letter: by[name] for letter, name in names.items() if name in by}
    if not letters:
        return table_rows
    return sorted(table_rows, key=lambda row: [sign * row[1].get(letter, 0.0) for letter, sign in letters.items()])


def _order(panel: Mapping[str, Any]) -> list[str]:
    """Return the headings in the order that the panel gives them, none when it gives none."""
    renamed = _organized(panel).get("renameByName", {})
    placed = _organized(panel).get("indexByName", {})
    return [renamed.get(name, name) for name in sorted(placed, key=placed.__getitem__)]


def _organized(panel: Mapping[str, Any]) -> dict[str, Any]:
    steps = [one["options"] for one in panel.get("transformations", []) if one["id"] == "organize"]
    return dict(steps[0]) if steps else {}
