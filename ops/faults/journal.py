"""What a process writes down about its attempts, one JSON line each, so that it outlives a kill.

A line is one write() to a file opened for appending: what was written stands there even when SIGKILL comes next. Times
are time.monotonic() seconds, which all processes of a machine share.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

#: Names the file a launched process writes to.
VARIABLE = "WHATSHOOKED_FAULTS_JOURNAL"

What = Literal["post", "settled", "fault", "thawed"]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing a process did; `attempt` names a POST, `pair` the event and hook it is about, `step` a fault's."""

    what: What
    at: float
    attempt: str = ""
    pair: tuple[str, str] = ("", "")
    step: str = ""


class Journal:
    """The journal of this process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._name = path.stem
        self._count = 0

    def post(self, pair: tuple[str, str]) -> str:
        """Write down that a POST begins; returns the attempt's name."""
        self._count += 1
        attempt = f"{self._name}.{self._count}"
        self._write(Line("post", time.monotonic(), attempt, pair))
        return attempt

    def settled(self, pair: tuple[str, str]) -> None:
        """Write down that Redis has the outcome of an attempt."""
        self._write(Line("settled", time.monotonic(), "", pair))

    def fault(self, step: str) -> None:
        """Write down that this process dies or freezes now."""
        self._write(Line("fault", time.monotonic(), step=step))

    def thawed(self, step: str) -> None:
        """Write down that the process goes on after a freeze."""
        self._write(Line("thawed", time.monotonic(), step=step))

    def _write(self, line: Line) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def read(path: Path) -> list[Line]:
    """Return a process's journal so far; it may not have one yet."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(row, type=Line) for row in text.splitlines() if row]


def of_kind(lines: Iterable[Line], *kinds: str) -> list[Line]:
    """Return the lines about attempts at these hooks, or kinds of work, and all that stopped the process."""
    return [line for line in lines if line.pair[1] in kinds or not any(line.pair)]


def unrecorded(lines: Iterable[Line]) -> set[str]:
    """Return the attempts whose outcome was never recorded."""
    return {attempt for attempt, (_, recorded) in _spans(lines)[0].items() if recorded is None}


def named(lines: Iterable[Line]) -> dict[str, tuple[str, str]]:
    """Return what each attempt was about."""
    return {line.attempt: line.pair for line in lines if line.what == "post"}


def cut_off(
    lines: Iterable[Line], *, killed: bool, outages: Iterable[tuple[float, float]] = (), lease: float = 0.0
) -> set[str]:
    """Return the attempts that a fault cut off between the POST's begin and the recorded outcome.

    Only such an attempt may have been accepted without anybody knowing. Faults are: the process was killed before it
    could record (`killed`); or it was frozen meanwhile, or Redis was away meanwhile (`outages`, from and until), and
    that took so long that the lease may have ended: it lasts at least `lease` seconds from the POST's begin.
    """
    spans, freezes = _spans(lines)
    windows = [*outages, *freezes]
    found = set()
    for attempt, (begun, recorded) in spans.items():
        ended = float("inf") if recorded is None else recorded
        met = ended - begun > lease and any(begun < until and ended > since for since, until in windows)
        if met or (killed and recorded is None):
            found.add(attempt)
    return found


def _spans(lines: Iterable[Line]) -> tuple[dict[str, tuple[float, float | None]], list[tuple[float, float]]]:
    """Return when each attempt began and was recorded, and when the process was frozen."""
    spans: dict[str, tuple[float, float | None]] = {}
    waiting: dict[tuple[str, str], list[str]] = {}
    freezes: list[tuple[float, float]] = []
    frozen_at = 0.0
    for line in lines:
        if line.what == "post":
            spans[line.attempt] = (line.at, None)
            waiting.setdefault(line.pair, []).append(line.attempt)
        elif line.what == "settled" and waiting.get(line.pair):
            attempt = waiting[line.pair].pop(0)
            spans[attempt] = (spans[attempt][0], line.at)
        elif line.what == "fault":
            frozen_at = line.at
        elif line.what == "thawed":
            freezes.append((frozen_at, line.at))
    return spans, freezes
