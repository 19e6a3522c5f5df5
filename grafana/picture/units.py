"""Numbers as people read them, by Grafana's names of units."""

import math
import time

_TIMES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))
#: Units of so much a second.
_RATES = {"eps": "/s", "reqps": "/s", "ops": "/s", "mps": "/s", "wps": "/s"}


def written(value: float, unit: str) -> str:
    """Return a value with its unit."""
    if math.isinf(value):
        return "∞"
    if unit == "percentunit":
        return f"{_short(value * 100)} %"
    if unit == "s":
        return _scaled(value, _TIMES)
    if unit == "bytes":
        return _scaled(value, _BYTES)
    if unit == "dateTimeAsIso":
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(value / 1000))
    if unit == "h":
        return f"{_short(value)} h"
    return _scaled(value, _COUNTS).strip() + _RATES.get(unit, "")


def clock(at: float) -> str:
    """Return a unix time as hours, minutes and seconds (UTC)."""
    return time.strftime("%H:%M:%S", time.gmtime(at))


def _scaled(value: float, scales: tuple[tuple[float, str], ...]) -> str:
    if value == 0:
        return "0"
    for size, name in scales:
        if abs(value) >= size * 0.9995:
            return f"{_short(value / size)} {name}"
    size, name = scales[-1]
    return f"{_short(value / size)} {name}"


def _short(value: float) -> str:
    """Return three figures or so, without zeros at the end."""
    digits = 0 if abs(value) >= 100 or value == round(value) else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
