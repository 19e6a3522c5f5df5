"""Every metric, with its unit and what to do about it.

Counters and histograms are kept by each process in a shared folder (`PROMETHEUS_MULTIPROC_DIR`, set by `boot.py` before
the first import) and added up when `/metrics` is read; what only Redis knows (cache sizes,
ages) is asked for at that moment and stands in `CacheGauges`.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import REGISTRY as PROCESS
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
_SLOW = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, 604_800)

#: Falls to nothing on a busy number: see whether Meta reaches us and the WABA is subscribed.
EVENTS = Counter("whatshooked_events_received", "Events taken into the stream, by type", ["type"])
#: A few are normal (Meta resends); many mean that our answers come too late for Meta.
DUPLICATES = Counter("whatshooked_events_duplicate", "Events that were in the stream already, by type", ["type"])
#: bad_signature: a wrong app_secret, or somebody knocks; unavailable: look at Redis; not_json: not Meta;
#: slow: a sender that takes its time to use up memory, or a bad line;
#: bug: report it, with the traceback of the log.
REJECTED = Counter("whatshooked_webhooks_rejected", "Webhook requests not taken, by cause", ["cause"])
#: Events of numbers that are not ours, dropped because `accept_foreign_numbers` is false.
FOREIGN_DROPPED = Counter("whatshooked_events_foreign_dropped", "Events of foreign numbers dropped", ["account"])
#: Above a second for more than 1 % Meta backs off: look at Redis' disk, then add web processes.
APPEND_SECONDS = Histogram(
    "whatshooked_append_seconds", "One append of all that waits to Redis (seconds)", buckets=_FAST
)
#: refused: the hook answered no 2xx; failed: no answer at all; see the hook's own log.
ATTEMPTS = Counter("whatshooked_attempts", "Attempts at hooks, by result", ["hook", "result"])
#: A slow hook: raise its `concurrency`, or mend it; the others are not touched by it.
ATTEMPT_SECONDS = Histogram("whatshooked_attempt_seconds", "Time of one attempt (seconds)", ["hook"], buckets=_FAST)
#: Grows while deliveries wait: too few workers, or a hook that is slow or down.
DELIVERY_SECONDS = Histogram(
    "whatshooked_delivery_seconds", "From the event's append to the hook's 2xx (seconds)", ["hook"], buckets=_FAST
)
#: Events given up after the last retry; they wait in the cache: mend the hook, then replay.
DEAD = Counter("whatshooked_dead", "Events given up at a hook", ["hook"])
#: Events that no hook wanted: a hook is off, or its `events` do not name the type.
UNMATCHED = Counter("whatshooked_unmatched", "Events that no hook wanted, by type", ["type"])
#: too_old, too_many: raise the limits or mend the hook; cache_off, hook_removed: as the config says.
LEFT_CACHE = Counter("whatshooked_cache_removed", "Events that upkeep removed from the cache", ["reason"])
#: Entries taken over from processes that died: each rise is a crash.
RECOVERED = Counter("whatshooked_recovered", "Entries taken over from dead workers")
#: Poison: report it, with the entry.
POISONED = Counter("whatshooked_poisoned", "Entries set aside: they kept killing their worker, or cannot be read")
#: Leases whose time was up before the POST could start: too much work for this machine.
LEASES_LATE = Counter("whatshooked_leases_late", "Leases given back unused", ["hook"])
#: Redis is away, full or refuses: see its log; intake answers 503 meanwhile and Meta resends.
REDIS_ERRORS = Counter("whatshooked_redis_errors", "Calls to Redis that failed, by part", ["part"])
#: `hook.*` events that could not be told.
UNTOLD = Counter("whatshooked_hook_events_lost", "Events about deliveries that were dropped", ["reason"])
#: Entries deleted from history because it was full or over.
FORGOTTEN = Counter("whatshooked_history_forgotten", "Finished entries deleted from history")
#: The hourly self-check found keys that disagree: run `whatshooked fsck --repair` and report it.
DISAGREEMENTS = Counter("whatshooked_disagreements", "Disagreements between keys found by the self-check")
#: again: Meta asked for patience, or was away; failed: see the message's error (GET /api/messages/ID).
SENT = Counter("whatshooked_messages", "Sends of messages, by kind and what came of them", ["kind", "result"])
#: Grows when Meta is slow, or when its rates hold messages back.
SENT_SECONDS = Histogram(
    "whatshooked_send_seconds",
    "From a message's entry into the outbox to Meta's acceptance (seconds)",
    buckets=(*_FAST, 300, 900, 3_600),
)
#: See the code's hint in GET /api/messages?state=failed; 131047 wants a template, 131026 has no WhatsApp, 0: no code.
FAILED = Counter("whatshooked_messages_refused", "Messages that Meta refused, at once or later, by code", ["code"])
#: By Meta's own time of the status. Grows for delivered: phones that are off; for read: people.
STATUS_SECONDS = Histogram(
    "whatshooked_status_seconds",
    "From a message's entry into the outbox to Meta's status of it (seconds)",
    ["status"],
    buckets=_SLOW,
)
#: Nobody knows whether these were sent: list them with GET /api/messages?state=unknown.
OUTBOX_UNKNOWN = Counter("whatshooked_messages_unknown", "Messages whose send had no answer", ["account"])
#: stored is what should be; gone, too_large, wrong_hash, wrong_type: see the message's `media.error` in the cache and
#: replay it while Meta has the file and we the event; http, network, late: Meta's file host; graph, budget: see the log
#: and `doctor`; no_account: this config; redis: whether it is there; store: the disk or bucket; killed: report it.
MEDIA_FETCHES = Counter("whatshooked_media_fetches", "Tries to fetch a file, by result", ["result"])
#: Grows with Meta's file host, or the store's disk.
MEDIA_SECONDS = Histogram("whatshooked_media_seconds", "Time to fetch and store a file (seconds)", buckets=_FAST)
#: Against the disk's room: `media.max_age_days` and `media.max_total_bytes` bound what is kept.
MEDIA_FETCHED_BYTES = Counter("whatshooked_media_fetched_bytes", "Bytes of files fetched")
#: line, account: a hook or a client of the API asks for more than Meta lets through; memory: give Redis more;
#: replies: a hundred thousand wait and no worker moves them on, see the workers' log.
OUTBOX_REFUSED = Counter("whatshooked_messages_turned_away", "Messages that found no room", ["account", "bound"])
#: too_old: after their week, as usual; too_many, no_memory: before it, see MOST_FINISHED and Redis' memory.
MESSAGES_FORGOTTEN = Counter("whatshooked_messages_forgotten", "Finished messages deleted, by reason", ["reason"])
#: Messages that failed since no process has their account in its config any more.
OUTBOX_DROPPED = Counter("whatshooked_messages_dropped", "Messages of removed accounts given up", ["account"])
#: Hooks asked to send what cannot be sent: see the log line, and the contract's page on replies.
REPLIES = Counter("whatshooked_replies", "Answers of hooks that ask to send, by result", ["hook", "result"])
#: Calls to Graph, by error code (0: fine, -1: no answer, `http 503`: an answer without a code).
GRAPH = Counter("whatshooked_graph_calls", "Calls to Meta's Graph API, by answer", ["code"])
#: Stands still while events come in: see `whatshooked_log_lag_seconds` and the workers' log.
LOG_ROWS = Counter("whatshooked_log_rows", "Rows written to the event log, by target", ["target"])
#: The target is down or full: see the workers' log, which names place and remedy.
LOG_ERRORS = Counter("whatshooked_log_errors", "Tries to write the event log that failed, by target", ["target"])
#: too_old, too_many_bytes: as `max_age_days` and `max_bytes` of the target say.
LOG_REMOVED = Counter("whatshooked_log_removed", "Rows removed from the event log", ["target", "reason"])
#: refused: a link is over (`media.link_ttl`) or was changed; missing: retention took the file, or it never came;
#: unavailable: see the log, which names disk or bucket and the remedy.
MEDIA_SERVED = Counter("whatshooked_media_served", "Requests for stored files, by what came of them", ["result"])
#: too_old, too_many_bytes: as `media.max_age_days` and `media.max_total_bytes` say.
MEDIA_REMOVED = Counter("whatshooked_media_removed", "Stored files removed, by reason", ["reason"])
#: Beside it: a file whose content others share frees none.
MEDIA_REMOVED_BYTES = Counter("whatshooked_media_removed_bytes", "Bytes freed by removing stored files")
#: Grows faster than its disk: lower `media.max_age_days`, or set `media.max_total_bytes`.
MEDIA_BYTES = Gauge(
    "whatshooked_media_bytes", "Bytes of all stored contents, at upkeep's last look", multiprocess_mode="mostrecent"
)
#: More files than bytes explain: one content went to many messages, and is stored once.
MEDIA_FILES = Gauge("whatshooked_media_files", "Stored files, at upkeep's last look", multiprocess_mode="mostrecent")
#: Below 14: make a token of a system user that never expires (+Inf here), set it, reload.
TOKEN_DAYS = Gauge(
    "whatshooked_token_days_left", "Days until the access token ends", ["account"], multiprocess_mode="mostrecent"
)
#: Below 90: set `api_version` to a newer one; at 0 and below Meta answers with another version already.
VERSION_DAYS = Gauge(
    "whatshooked_api_version_days_left",
    "Days until Meta retires the API version",
    ["account"],
    multiprocess_mode="mostrecent",
)
#: Above 0 on a number that is busy at this hour: `whatshooked doctor` finds what Meta stumbles over.
SILENT_HOURS = Gauge(
    "whatshooked_account_silent_hours",
    "Hours without a message where there usually are some",
    ["account"],
    multiprocess_mode="mostrecent",
)


class CacheGauges:
    """What only Redis knows, as it was at the last look; missing when Redis did not answer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._families: list[GaugeMetricFamily] = []

    def collect(self) -> Iterable[Metric]:
        """Return the gauges; the metrics library calls this."""
        #: 0: intake answers 503 and nothing is delivered; see that Redis runs and has room.
        up = GaugeMetricFamily("whatshooked_redis_up", "Whether Redis answered this scrape")
        up.add_metric([], float(bool(self._families)))
        return [up, *self._families]

    def clear(self) -> None:
        """Redis did not answer."""
        self._families = []

    def set(self, sizes: Mapping[str, int], oldest_seconds: float, lag: int, due: Mapping[str, int]) -> None:
        """Show one look at Redis."""
        #: Grows while hooks do not take events; `dead` and `unmatched` wait for a replay.
        size = GaugeMetricFamily("whatshooked_cache_events", "Events in the cache, by state", labels=["state"])
        for state, count in sizes.items():
            size.add_metric([state], count)
        #: Seconds; above the hook's usual outage somebody should look.
        oldest = GaugeMetricFamily("whatshooked_cache_oldest_seconds", "Age of the oldest cached event")
        oldest.add_metric([], oldest_seconds)
        #: Grows when workers are too few or gone.
        unread = GaugeMetricFamily("whatshooked_stream_lag", "Events that no worker has read yet")
        unread.add_metric([], lag)
        #: Waiting for a try, or in flight.
        waiting = GaugeMetricFamily("whatshooked_hook_due", "Events that a hook has yet to take", labels=["hook"])
        for hook, count in due.items():
            waiting.add_metric([hook], count)
        self._families = [size, oldest, unread, waiting]

    def add_outbox(self, sizes: Mapping[str, Mapping[Any, int]], paused: Mapping[str, bool]) -> None:
        """Show the outbox beside it: messages by account and state, and which accounts send nothing now."""
        #: new grows: Meta's rates or a pause hold messages back; unknown: see GET /api/messages?state=unknown.
        size = GaugeMetricFamily("whatshooked_outbox_messages", "Messages by state", labels=["account", "state"])
        for account, counts in sizes.items():
            for state, count in counts.items():
                size.add_metric([account, state], count)
        #: 1: `held` of GET /api/messages says why; a token that is refused wants another one.
        pause = GaugeMetricFamily(
            "whatshooked_account_paused", "Whether an account sends nothing now", labels=["account"]
        )
        for account, is_paused in paused.items():
            pause.add_metric([account], float(is_paused))
        self._families += [size, pause]

    def add_log(self, lags: Mapping[str, tuple[float, int]]) -> None:
        """Show how far each target of the event log is behind (seconds), and how many records it lost."""
        #: Grows while a target is down; beyond `event_logger.buffer_bytes` its oldest records are dropped.
        lag = GaugeMetricFamily(
            "whatshooked_log_lag_seconds", "Age of the oldest record not written yet (seconds)", labels=["target"]
        )
        #: Above 0: raise `event_logger.buffer_bytes`, or mend the target sooner.
        dropped = GaugeMetricFamily(
            "whatshooked_log_dropped", "Records that the bound took before they were written", labels=["target"]
        )
        for target, (seconds, lost) in lags.items():
            lag.add_metric([target], seconds)
            dropped.add_metric([target], lost)
        self._families += [lag, dropped]


def exposition(gauges: CacheGauges) -> bytes:
    """Return the Prometheus text of all processes that share this process's folder, and of the gauges."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    else:
        registry = PROCESS
    return generate_latest(registry) + generate_latest(gauges.registry)
