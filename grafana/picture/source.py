"""Asks a Prometheus as Grafana would: ranges for lines, the value of now for tables and variables."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from grafana.asked import Asked

_LABEL = re.compile(r"\{\{ *(\w+) *\}\}")
#: Points that a line has at most.
_POINTS = 160


@dataclass(frozen=True)
class Series:
    """One series: its labels, its name, and its points (unix seconds, value)."""

    labels: Mapping[str, str]
    name: str
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


class Source:
    """A Prometheus, and the time that is shown: `seconds` up to `end` (unix), scraped each `scrape` seconds."""

    def __init__(self, url: str, end: float, seconds: float, scrape: float) -> None:
        self.start, self.end = end - seconds, end
        self._step = max(scrape, seconds / _POINTS)
        self._rate = max(self._step + scrape, 4 * scrape)
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def variables(self) -> dict[str, str]:
        """Return the values of Grafana's own variables for this range."""
        whole, step = round(self.end - self.start), max(1, round(self._step))
        ranges = {"__range": f"{whole}s", "__range_s": str(whole)}
        steps = {"__interval": f"{step}s", "__interval_ms": str(step * 1000)}
        return ranges | steps | {"__rate_interval": f"{round(self._rate)}s"}

    def series(self, asked: Asked) -> list[Series]:
        """Return what a query finds, by name; raises RuntimeError with Prometheus' own words."""
        if asked.is_range:
            span = {"start": self.start, "end": self.end, "step": self._step}
            found = self._ask("query_range", {"query": asked.expr} | span)
        else:
            found = self._ask("query", {"query": asked.expr, "time": self.end})
        made = [_series(one, asked) for one in found]
        return sorted((one for one in made if one.points), key=lambda one: one.name)

    def _ask(self, path: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self._client.post(f"/api/v1/{path}", data=parameters).json()
        if answer["status"] != "success":
            raise RuntimeError(f"{parameters['query']}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


def _series(found: dict[str, Any], asked: Asked) -> Series:
    labels = {name: value for name, value in found["metric"].items() if name != "__name__"}
    values = found.get("values") or [found["value"]]
    points = [(float(at), float(value)) for at, value in values]
    points = [(at, value) for at, value in points if not math.isnan(value)]  # nothing was seen
    return Series(labels, _name(asked.name, labels), points)


def _name(pattern: str, labels: Mapping[str, str]) -> str:
    if pattern in ("", "__auto"):
        return ", ".join(labels.values()) or "value"
    return _LABEL.sub(lambda found: labels.get(found[1], ""), pattern)
