"""What the event log costs: the speed of the whole path with the log in a file, and without, in turns."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.bench.plan import Plan
from ops.bench.stage import OURS, Stage
from ops.bench.waiting import arrived
from whatshooked.config import KeptFiles
from whatshooked.eventlog.files.target import FileTarget
from whatshooked.eventlog.row import Wanted

#: Events of a round, for each second that a round of the plan has.
_A_SECOND = 5_000
#: Rows that an event with one hook leaves: it came in, the attempt began, it was accepted.
ROWS = 3
#: Seconds in which the log has to have caught up.
_PATIENCE = 60.0


@dataclass
class Logged:
    """Events a second by round, CPU microseconds an event by process, and how far the log was behind (seconds)."""

    off: list[float]
    on: list[float]
    off_micros: dict[str, float]
    on_micros: dict[str, float]
    rows: int = 0
    behind: float = 0.0

    @property
    def ratio(self) -> float:
        """Return which share of its speed the path keeps."""
        return statistics.median(on / off for on, off in zip(self.on, self.off, strict=True))


def measure(stage: Stage, plan: Plan) -> Logged:
    """Send as fast as answers come, and divide by the time until the last event is at its hook."""
    result = Logged([], [], {}, {})
    count = int(plan.round_seconds * _A_SECOND)
    for number in range(plan.rounds):
        folder = stage.folder / f"log-{number}"
        section = {"enabled": True, "targets": ["file"], "file_dir": str(folder)}
        rate, result.off_micros = _round(stage, count, {"enabled": False})
        result.off.append(rate)
        stage.end_all()
        rate, result.on_micros = _round(stage, count, section)
        result.on.append(rate)
        result.rows, result.behind = _caught_up(folder, count * ROWS)
        stage.end_all()
    return result


def _round(stage: Stage, count: int, section: dict[str, Any]) -> tuple[float, dict[str, float]]:
    port = stage.ours(stage.hook(), event_logger=section)
    stage.send(port, OURS, 500, 1.0, rate=500.0)
    before = stage.cpu()
    order, report = stage.send(port, OURS, count, 60.0)
    arrived(stage, order, report)
    after = stage.cpu()
    places = slice(order.first, order.first + report.sent)
    ended = max(stage.ledger.received[places])
    started = min(at for at in stage.ledger.sent[places] if at)
    micros = {name: (after[name] - before[name]) / count * 1e6 for name in after}
    return report.ok / (ended - started), micros


def _caught_up(folder: Path, least: int) -> tuple[int, float]:
    """Wait until the log holds so many rows; return how many it has, and the seconds that this took."""
    started = time.monotonic()
    while (found := _rows(folder)) < least and time.monotonic() < started + _PATIENCE:
        time.sleep(0.2)
    return found, time.monotonic() - started


def _rows(folder: Path) -> int:
    target = FileTarget(folder, KeptFiles())
    try:
        return sum(1 for _ in target.rows(Wanted(types=("message.*", "hook.*"))))
    finally:
        target.close()
