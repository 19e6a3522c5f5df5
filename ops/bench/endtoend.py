"""Events a second that go in, through Redis and out to the hook with a backlog that stays flat, and their delay."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ops.bench.load import Order, Report
from ops.bench.plan import Plan
from ops.bench.stage import OURS, PLAIN, Stage
from ops.bench.waiting import arrived

#: Share of the planned, and of the answered, that must be sent and received for a rate to be held.
_SHARE = 0.98
#: Seconds' worth of events that may be on their way at the end.
_BACKLOG_SECONDS = 1.0
#: From one tried rate to the next, and half-way back when that was too much.
_STEP = 1.3
#: Further tries of the long run, each 7 % lower.
_TRIES = 3


@dataclass(frozen=True)
class Run:
    """One run at a rate: was it held, how long events took (ms, sorted), and the CPU seconds of each process."""

    rate: float
    held: bool
    backlog: int
    delays: Sequence[float]
    cpu: dict[str, float]
    redis_micros: float
    lost: int

    def delay(self, share: float) -> float:
        """Return the delay (ms) that this share of the events did not exceed."""
        return self.delays[min(int(len(self.delays) * share), len(self.delays) - 1)]


class Path:
    """One program from its intake to the hook."""

    def __init__(self, stage: Stage, port: int, path: str) -> None:
        self._stage = stage
        self._port = port
        self._path = path

    def run(self, rate: float, seconds: float) -> Run:
        """Send at a rate, wait until all has arrived, and look back."""
        before, micros = self._stage.cpu(), self._stage.redis_micros()
        order, report = self._stage.send(self._port, self._path, int(rate * seconds), seconds, rate=rate)
        missing = arrived(self._stage, order, report)
        after = self._stage.cpu()
        used = {name: after[name] - before[name] for name in after} | {"sender": report.cpu}
        spent = (self._stage.redis_micros() - micros) / max(report.ok, 1)
        return self._judge(order, report, used, spent, missing)

    def highest(self, start: float, plan: Plan) -> Run:
        """Return the run at the highest rate that was held for the plan's whole time."""
        rate = start
        while self.run(rate * _STEP, plan.probe_seconds).held:
            rate *= _STEP
        if self.run(rate * math.sqrt(_STEP), plan.probe_seconds).held:
            rate *= math.sqrt(_STEP)
        run = self.run(rate, plan.hold_seconds)
        for _ in range(_TRIES):
            if run.held:
                break
            rate *= 0.93
            run = self.run(rate, plan.hold_seconds)
        return run

    def _judge(self, order: Order, report: Report, cpu: dict[str, float], micros: float, missing: int) -> Run:
        ledger, places = self._stage.ledger, slice(order.first, order.first + report.sent)
        sent, answered, received = (list(column[places]) for column in (ledger.sent, ledger.answered, ledger.received))
        end = min(sent) + order.seconds
        half = end - order.seconds / 2
        taken = sum(half <= at < end for at in answered)
        told = sum(half <= at < end for at in received)
        backlog = sum(0 < at < end for at in answered) - sum(0 < at < end for at in received)
        held = (
            report.ok >= _SHARE * order.rate * order.seconds
            and told >= _SHARE * taken
            and backlog <= _BACKLOG_SECONDS * order.rate
        )
        delays = sorted((b - a) * 1000 for a, b in zip(answered, received, strict=True) if a and b)
        return Run(order.rate, held, backlog, delays, cpu, micros, missing)


def ours(stage: Stage, plan: Plan, start: float = 1_000.0) -> tuple[Run, Run]:
    """Return the gateway's highest held run, and one at half its rate."""
    path = Path(stage, stage.ours(stage.hook()), OURS)
    path.run(start / 2, 2.0)
    best = path.highest(start, plan)
    relaxed = path.run(best.rate / 2, plan.delay_seconds)
    stage.end_all()
    return best, relaxed


def arq(stage: Stage, plan: Plan, start: float = 150.0) -> Run:
    """Return the highest held run of FastAPI + arq."""
    path = Path(stage, stage.arq(stage.hook()), PLAIN)
    path.run(start / 2, 2.0)
    best = path.highest(start, plan)
    stage.end_all()
    return best
