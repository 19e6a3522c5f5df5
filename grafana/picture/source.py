"""Asks a Prometheus as Grafana would: ranges for lines, the value of now for tables and variables; and the gateway."""

import math
import re
import time
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
    """A Prometheus, and the time that is shown: `seconds` up to `end` (unix), scraped each `scrape` seconds.

    `gateway` is the address of one, and a key of its customers, where they may be asked for.
    """

    def __init__(
        self, url: str, end: float, seconds: float, scrape: float, gateway: tuple[str, str] | None = None
    ) -> None:
        self.start, self.end = end - seconds, end
        self._step = max(scrape, seconds / _POINTS)
        self._rate = max(self._step + scrape, 4 * scrape)
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._gateway: httpx.Client | None = None
        if gateway is not None:
            address, key = gateway
            headers = {"x-api-key": key}
            self._gateway = httpx.Client(
                base_url=f"{address}/api/customers", timeout=30, trust_env=False, headers=headers
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._gateway is not None:
            self._gateway.close()

    @property
    def knows_customers(self) -> bool:
        """Return whether customers may be asked for."""
        return self._gateway is not None

    def variables(self) -> dict[str, str]:
        """Return the values of Grafana's own variables for this range."""
        whole, step = round(self.end - self.start), max(1, round(self._step))
        ranges = {"__range": f"{whole}s", "__range_s": str(whole)}
        steps = {"__interval": f"{step}s", "__interval_ms": str(step * 1000)}
        return ranges | steps | {"__rate_interval": f"{round(self._rate)}s"}

    def series(self, asked: Asked) -> list[Series]:
        """Return what a query finds, by name; raises RuntimeError with Prometheus' own words."""
        if asked.is_live:
            if self._gateway is None:
                raise RuntimeError(f"{asked.place}: no gateway to ask for customers")
            found = _ask(self._gateway, "query", {"query": asked.expr, "time": time.time()})
        elif asked.is_range:
            span = {"start": self.start, "end": self.end, "step": self._step}
            found = _ask(self._client, "query_range", {"query": asked.expr} | span)
        else:
            found = _ask(self._client, "query", {"query": asked.expr, "time": self.end})
        made = [_series(one, asked) for one in found]
        return sorted((one for one in made if one.points), key=lambda one: one.name)


def _ask(client: httpx.Client, path: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(f"/api/v1/{path}", data=parameters).json()
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
