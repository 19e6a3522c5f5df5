"""How a panel wants its values shown: colours by thresholds, names of values, fixed colours of series."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafana.picture.svg import SERIES, colour
from grafana.picture.units import written


@dataclass(frozen=True)
class Look:
    """What the JSON says of a field (a column, or all of a panel): unit, thresholds, names of values."""

    unit: str
    steps: list[dict[str, Any]]
    mappings: list[dict[str, Any]]

    def said(self, value: float) -> str:
        """Return a value in words."""
        mapped = self._mapped(value)
        return str(mapped["text"]) if mapped else written(value, self.unit)

    def colour(self, value: float) -> str:
        """Return Grafana's name of the colour of a value, "" without thresholds."""
        mapped = self._mapped(value)
        if mapped:
            return str(mapped["color"])
        reached = [step for step in self.steps if step["value"] is None or value >= step["value"]]
        return str(reached[-1]["color"]) if reached else ""

    def word(self, text: str) -> tuple[str, str]:
        """Return how a label's value is called, and Grafana's name of its colour ("" for none)."""
        for mapping in self.mappings:
            if mapping["type"] == "value" and text in mapping["options"]:
                found = mapping["options"][text]
                return str(found["text"]), str(found["color"])
        return text, ""

    def _mapped(self, value: float) -> dict[str, Any] | None:
        for mapping in self.mappings:
            options = mapping["options"]
            if mapping["type"] == "value" and f"{value:g}" in options:
                return dict(options[f"{value:g}"])
            if mapping["type"] == "range" and value >= options["from"]:
                return dict(options["result"])
        return None


def look(panel: Mapping[str, Any]) -> Look:
    """Return how all of a panel's values look."""
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    steps = (defaults.get("thresholds") or {}).get("steps", [])
    return Look(defaults.get("unit", "short"), steps, defaults.get("mappings") or [])


def column(panel: Mapping[str, Any], name: str) -> Look:
    """Return how a table's column looks."""
    said = _overrides(panel, name)
    steps = said.get("thresholds", {}).get("steps", []) if "custom.cellOptions" in said else []
    return Look(said.get("unit", "short"), steps, said.get("mappings", []))


def is_hidden(panel: Mapping[str, Any], name: str) -> bool:
    """Return whether a table's column is there for links alone."""
    return bool(_overrides(panel, name).get("custom.hidden"))


def series_colours(panel: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """Return the colour of each series: a fixed one, or the next of the palette."""
    wanted = {name: _overrides(panel, name).get("color", {}).get("fixedColor", "") for name in names}
    fixed = {name: colour(one) for name, one in wanted.items() if one}
    free = itertools.cycle([one for one in SERIES if one not in fixed.values()])
    return {name: fixed.get(name) or next(free) for name in names}


def _overrides(panel: Mapping[str, Any], name: str) -> dict[str, Any]:
    said = panel.get("fieldConfig", {}).get("overrides") or []
    rules = [rule["properties"] for rule in said if rule["matcher"] == {"id": "byName", "options": name}]
    return {one["id"]: one["value"] for properties in rules for one in properties}
