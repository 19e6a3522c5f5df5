"""Texts beside files: how much longer a text takes to its hook when hundreds of files are fetched at the same time."""

import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ops.bench.load import Order, Report
from ops.bench.plan import Plan
from ops.bench.stage import OURS, Stage
from ops.bench.waiting import arrived

#: Messages: texts, spread over the seconds, and files, all at once.
TEXTS, FILES, SECONDS = 5_000, 500, 5.0


@dataclass(frozen=True)
class Beside:
    """Medians from 200 to receipt (ms) of texts alone and beside files, by round; files that did not come."""

    alone: list[float]
    beside: list[float]
    missing: int

    @property
    def ratio(self) -> float:
        """How many times longer a text takes."""
        return statistics.median(self.beside) / statistics.median(self.alone)


def measure(stage: Stage, plan: Plan) -> Beside:
    """Send texts alone and beside files, in processes of their own each time: a burst is judged by those before it."""
    alone, beside, missing = [], [], 0
    for _ in range(plan.rounds):
        files = stage.file_host()
        port = stage.ours(stage.hook(), graph=files)
        stage.send(port, OURS, 500, 1.0, rate=500.0)
        alone.append(_median(stage, *_texts(stage, port)))
        with ThreadPoolExecutor() as pool:
            texts = pool.submit(_texts, stage, port)
            order, report = stage.send(port, OURS, FILES, SECONDS, files=files)
            beside.append(_median(stage, *texts.result()))
        missing += arrived(stage, order, report)
        stage.end_all()
    return Beside(alone, beside, missing)


def _texts(stage: Stage, port: int) -> tuple[Order, Report]:
    return stage.send(port, OURS, TEXTS, SECONDS, rate=TEXTS / SECONDS)


def _median(stage: Stage, order: Order, report: Report) -> float:
    arrived(stage, order, report)
    places = slice(order.first, order.first + report.sent)
    pairs = zip(stage.ledger.answered[places], stage.ledger.received[places], strict=True)
    return statistics.median((b - a) * 1000 for a, b in pairs if a and b)
