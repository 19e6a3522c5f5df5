"""Every query of a dashboard's JSON, as Grafana would ask it: of its panels, its variables and its marks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from grafana.panels import LIVE

#: A variable in a query: $name or ${name}, perhaps with a format.
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_LABEL_VALUES = re.compile(r"label_values\((.+),\s*(\w+)\)")


@dataclass(frozen=True)
class Asked:
    """One query: where it stands, whether it asks for a range of time, how its series are called, and whom it asks.

    `is_live` ones ask the gateway itself, not Prometheus.
    """

    place: str
    expr: str
    is_range: bool = True
    name: str = ""
    letter: str = ""
    is_live: bool = False


def queries(dashboard: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Asked]:
    """Yield every query with `values` for its variables; raises KeyError without one, ValueError for a strange one."""
    for panel in panels(dashboard):
        yield from of_panel(panel, values)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = _LABEL_VALUES.fullmatch(variable["query"])
            if found is None:
                raise ValueError(f"variable {variable['name']}: expected label_values(..., label)")
            yield Asked(f"variable {variable['name']}", f"count by ({found[2]}) ({filled(found[1], values)})", False)
    for mark in dashboard["annotations"]["list"]:
        yield Asked(f"mark {mark['name']}", filled(mark["expr"], values))


def of_panel(panel: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Asked]:
    """Yield the queries of one panel."""
    for target in panel.get("targets", ()):
        name, letter, is_live = target.get("legendFormat", ""), target["refId"], target["datasource"]["uid"] == LIVE.uid
        expr, is_range = filled(target["expr"], values), bool(target.get("range"))
        yield Asked(f"{panel['title']} {letter}", expr, is_range, name, letter, is_live)


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all panels, rows too, in their order; those of a folded row are behind it."""
    found: list[dict[str, Any]] = []
    for panel in dashboard["panels"]:
        found += [panel, *panel.get("panels", ())]
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables filled in; raises KeyError."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)
