"""The rules with their times made short; pure.

A minute lasts a second, in `for`, in windows and in ages; an age written in hours (`4 * 3600`) is as many seconds. What
is no time, such as a share, and the seconds that one attempt takes, stay.
"""

import re
from collections.abc import Iterable
from typing import Any

import yaml

#: By how much every time is divided; ages in hours are divided by an hour.
SCALE = 60
#: Seconds that a window has at least: four scrapes.
SHORTEST_WINDOW = 2.0

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_WINDOW = re.compile(r"(?<=\[)(\d+)([smh])(?=\])")
_DURATION = re.compile(r"(\d+)([smh])")
_AGE = re.compile(r"(\d+(?:\.\d+)?) \* (?:60|3600)\b")


def shrink(rules: str) -> str:
    """Return a file of rules with its times made short."""
    document = yaml.safe_load(rules)
    for rule in every(document):
        rule["expr"] = _WINDOW.sub(_window, _AGE.sub(r"\1 * 1", rule["expr"]))
        if "for" in rule:
            rule["for"] = shrink_duration(rule["for"])
    return yaml.safe_dump(document, sort_keys=False)


def shrink_duration(text: str) -> str:
    """Return a duration as Prometheus writes it, made short; raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"not a duration: {text!a}")
    return f"{round(int(found[1]) * _SECONDS[found[2]] * 1000 / SCALE)}ms"


def every(document: Any) -> Iterable[dict[str, Any]]:
    """Return the rules of a file, in their order."""
    return (rule for group in document["groups"] for rule in group["rules"])


def _window(found: re.Match[str]) -> str:
    seconds = max(int(found[1]) * _SECONDS[found[2]] / SCALE, SHORTEST_WINDOW)
    return f"{round(seconds * 1000)}ms"
