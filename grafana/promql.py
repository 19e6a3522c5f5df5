"""The few shapes of our queries.

Metrics of processes are added up over all instances; facts of Redis are the same on every instance, so `max` picks one.
"""

RATE = "$__rate_interval"
RANGE = "$__range"


def rate(counter: str, *by: str, where: str = "") -> str:
    """Return how often a second a counter of processes rises (`counter` without prefix and `_total`)."""
    return f"sum{_by(by)}(rate(whatshooked_{counter}_total{_where(where)}[{RATE}]))"


def seen(counter: str, *by: str, where: str = "") -> str:
    """Return the same, of those alone that rose within the shown time: counters begin at 0, and most stay there."""
    return f"{rate(counter, *by, where=where)} and {rise(counter, *by, where=where)} > 0"


def rise(counter: str, *by: str, where: str = "", during: str = RANGE) -> str:
    """Return by how much a counter of processes rose within the shown time."""
    return f"sum{_by(by)}(increase(whatshooked_{counter}_total{_where(where)}[{during}]))"


def added(gauge: str, *by: str, where: str = "") -> str:
    """Return a gauge of processes, added up."""
    return f"sum{_by(by)}(whatshooked_{gauge}{_where(where)})"


def fact(gauge: str, *by: str, where: str = "") -> str:
    """Return a gauge that every instance reads from Redis."""
    return f"max{_by(by)}(whatshooked_{gauge}{_where(where)})"


def least(gauge: str, *by: str, where: str = "") -> str:
    """Return the worst that any instance says of a gauge where less is worse."""
    return f"min{_by(by)}(whatshooked_{gauge}{_where(where)})"


def within(share: float, histogram: str, *by: str, where: str = "") -> str:
    """Return the seconds within which a share (0.95) of what a histogram of processes saw was done."""
    grouped = ", ".join((*by, "le"))
    buckets = f"rate(whatshooked_{histogram}_seconds_bucket{_where(where)}[{RATE}])"
    return f"histogram_quantile({share}, sum by ({grouped}) ({buckets}))"


def part(counter: str, bad: str, *by: str, where: str = "", during: str = RATE) -> str:
    """Return which part (0 to 1) of a counter's rises are those of a selector; nothing where it did not rise."""
    whole = rise(counter, *by, where=where, during=during)
    taken = rise(counter, *by, where=f"{where}, {bad}" if where else bad, during=during)
    return f"({taken} or {whole} * 0) / ({whole} > 0)"


def ago(condition: str) -> str:
    """Return how many seconds ago a condition last gave a series, as far as the shown time reaches."""
    return f"time() - max_over_time(timestamp({condition})[{RANGE}:$__interval])"


def none_is_zero(expr: str) -> str:
    """Return 0 where an expression finds nothing."""
    return f"{expr} or vector(0)"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else " "


def _where(selectors: str) -> str:
    return f"{{{selectors}}}" if selectors else ""
