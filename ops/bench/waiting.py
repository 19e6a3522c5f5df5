"""Waits until all that was sent has been received."""

import time

from ops.bench.load import Order, Report
from ops.bench.stage import Stage

_SECONDS = 60.0


def arrived(stage: Stage, order: Order, report: Report) -> int:
    """Return how many events of an order have not been received within a minute."""
    received = stage.ledger.received[order.first : order.first + report.sent]
    deadline = time.monotonic() + _SECONDS
    while (missing := sum(1 for at in received if not at)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return missing
