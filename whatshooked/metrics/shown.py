"""The text that Prometheus reads: the counts of all processes of this machine, and what is known at this moment."""

from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from whatshooked.metrics import folder
from whatshooked.metrics.facts import Facts, Known


class _Sum:
    """The counts in the folder, added up."""

    def collect(self) -> Iterable[Metric]:
        """Return them; the metrics library calls this."""
        there = folder.given()
        if there is None:
            return REGISTRY.collect()
        found: Iterable[Metric] = MultiProcessCollector.merge(folder.counts(there))  # type: ignore[no-untyped-call] # it has no types
        return found


def exposition(known: Iterable[Known]) -> bytes:
    """Return the text; reads a file or more of each process, so ask for it beside the event loop."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sum())
    registry.register(Facts(known))
    return generate_latest(registry)
