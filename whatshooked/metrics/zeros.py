"""What a process shows before anything has happened: a series that begins at 1 hides its first event from Prometheus.

Only labels from fixed sets and from the config stand here.
"""

import time
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from whatshooked import __version__, metrics

_STARTED = time.time()
#: Why a webhook is not taken, as `REJECTED` has it.
CAUSES = (
    *("unknown_account", "method", "verify_token", "no_signature", "bad_signature", "not_json", "too_large", "slow"),
    *("broken_off", "unavailable", "bug"),
)
_TYPES = ("message.received", "message.sent", "message.delivered", "message.read", "message.failed")
_FETCHES = (
    *("stored", "gone", "too_large", "wrong_hash", "wrong_type", "redirect", "http", "network", "late", "graph"),
    *("budget", "no_account", "redis", "store", "killed"),
)
#: Where a web process and a worker speak to Redis, as `REDIS_ERRORS` has it.
WEB_PARTS = ("intake", "web", "live", "metrics")
WORKER_PARTS = (
    *("start", "stop", "consumer", "claim", "settle", "recover", "upkeep", "switches", "accounts", "media", "outbox"),
    *("eventlog", "metrics"),
)


def web(accounts: Iterable[str]) -> None:
    """Show what a web process of this config will count."""
    _began()
    _show(metrics.REJECTED, CAUSES)
    _show(metrics.EVENTS, _TYPES)
    _show(metrics.DUPLICATES, _TYPES)
    _show(metrics.META_LAG, metrics.LAG_KINDS)
    _show(metrics.LEFTOVERS, metrics.LEFTOVER_KINDS)
    _show(metrics.FOREIGN_DROPPED, accounts)
    _show(metrics.REDIS_ERRORS, WEB_PARTS)


def worker(hooks: Iterable[str], accounts: Iterable[str], targets: Iterable[str]) -> None:
    """Show what a worker of this config will count; `targets` are those of the event log."""
    _began()
    each = tuple(hooks)
    for result in ("accepted", "refused", "failed"):
        _show(metrics.ATTEMPTS, each, result)
    for result in ("kept", "unusable", "circular"):
        _show(metrics.REPLIES, each, result)
    of_hook = (metrics.RETRIES, metrics.DEAD, metrics.LEASES_LATE, metrics.LEASES_EXPIRED, metrics.IN_FLIGHT)
    for metric in (*of_hook, metrics.ATTEMPT_SECONDS, metrics.DELIVERY_SECONDS):
        _show(metric, each)
    logged = tuple(targets)
    _show(metrics.LOG_ROWS, logged)
    _show(metrics.LOG_ERRORS, logged)
    for reason in ("too_old", "too_many_bytes"):
        _show(metrics.LOG_REMOVED, logged, reason)
    for account in accounts:
        _show(metrics.OUTBOX_UNKNOWN, (account,))
        _show(metrics.OUTBOX_DROPPED, (account,))
    _show(metrics.MESSAGES_FORGOTTEN, ("too_old", "too_many", "no_memory"))
    _show(metrics.UNMATCHED, _TYPES)
    for state in ("dead", "unmatched", "poison"):
        _show(metrics.LEFT_CACHE, ("too_old", "too_many", "cache_off"), state)
    for state in ("waiting", "dead", "poison"):
        _show(metrics.LEFT_CACHE, ("hook_removed",), state)
    _show(metrics.MEDIA_FETCHES, _FETCHES)
    _show(metrics.MEDIA_REMOVED, ("too_old", "too_many_bytes"))
    _show(metrics.GRAPH, ("0",))
    _show(metrics.UNTOLD, ("redis",))
    _show(metrics.REDIS_ERRORS, WORKER_PARTS)


def _began() -> None:
    metrics.STARTED.set(_STARTED)
    metrics.BUILD.labels(__version__).set(1)
    _show(metrics.RELOADS, ("ok", "refused"))


def _show(metric: Counter | Gauge | Histogram, values: Iterable[str], *more: str) -> None:
    for value in values:
        metric.labels(value, *more)
