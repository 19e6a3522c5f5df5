"""Requests a second of one web process: the gateway against a server that does nothing and against FastAPI + Celery.

The programs run at the same time and are loaded in turn, round after round, so that what else the machine does falls
on all of them; medians count.
"""

from dataclasses import dataclass
from statistics import median

from ops.bench.load import Report
from ops.bench.plan import Plan
from ops.bench.stage import OURS, PLAIN, Stage

#: Requests a second that no program here reaches: so many are made ahead.
_MOST = {"raw": 1_000, "ours": 16_000, "celery": 3_000, "bulk": 800}
#: Messages of a large body.
BULK = 100


@dataclass(frozen=True)
class Intake:
    """Median events a second of each program, CPU shares of the last round, and what an event costs."""

    rates: dict[str, float]
    #: Share of a core that the sender used, by program.
    sender: dict[str, float]
    #: Microseconds per event: CPU of the web process, and Redis in our scripts.
    web_micros: dict[str, float]
    redis_micros: dict[str, float]


def measure(stage: Stage, plan: Plan) -> Intake:
    """Load the three programs and the large bodies in turn."""
    ports = {"raw": stage.raw(), "ours": stage.ours(), "celery": stage.celery()}
    turns = {name: _Turn(stage, name, port) for name, port in ports.items()}
    turns["bulk"] = _Turn(stage, "bulk", ports["ours"])
    for turn in turns.values():
        turn.load(0.5)
        turn.forget()
    for _ in range(plan.rounds):
        for turn in turns.values():
            turn.load(plan.round_seconds)
            stage.redis.flushall()
    stage.end_all()
    return Intake(
        {name: median(turn.rates) for name, turn in turns.items()},
        {name: median(turn.sender) for name, turn in turns.items()},
        {name: median(turn.web) for name, turn in turns.items()},
        {name: median(turn.redis) for name, turn in turns.items()},
    )


class _Turn:
    """One program's rounds."""

    def __init__(self, stage: Stage, name: str, port: int) -> None:
        self._stage = stage
        self._name = name
        self._port = port
        self._process = {"bulk": "web", "ours": "web"}.get(name, name)
        self.forget()

    def forget(self) -> None:
        """Drop the rounds so far."""
        self.rates: list[float] = []
        self.sender: list[float] = []
        self.web: list[float] = []
        self.redis: list[float] = []

    def load(self, seconds: float) -> None:
        """Send for `seconds` and note the round."""
        cpu, micros = self._stage.cpu()[self._process], self._stage.redis_micros()
        report = self._send(seconds)
        events = report.ok * (BULK if self._name == "bulk" else 1)
        self.rates.append(events / report.seconds)
        self.sender.append(report.cpu / report.seconds)
        self.web.append((self._stage.cpu()[self._process] - cpu) / events * 1e6)
        self.redis.append((self._stage.redis_micros() - micros) / events)

    def _send(self, seconds: float) -> Report:
        path = OURS if self._process == "web" else PLAIN
        count = round(_MOST[self._name] * seconds)
        messages = BULK if self._name == "bulk" else 1
        _, report = self._stage.send(self._port, path, count, seconds, messages=messages, cycle=self._name == "raw")
        if report.refused:
            raise RuntimeError(f"{self._name} refused {report.refused} of {report.sent} requests")
        return report
