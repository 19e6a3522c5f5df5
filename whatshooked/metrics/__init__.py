"""Every metric, with its unit and what to do about it.

Here stands what processes count, each in its share of a common folder (`folder.py`; `PROMETHEUS_MULTIPROC_DIR`, set by
`boot.py` before the first import), added up when it is shown (`shown.py`). What Redis, the config or a disk knows
stands in `facts.py` and is asked for at that moment, so that every process of every replica shows the same.
"""

from prometheus_client import Counter, Gauge, Histogram

from whatshooked.metrics import folder

folder.join()  # before the first metric is made: the library then gives it its place

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
_LATER = (300, 900, 3_600, 14_400, 86_400)
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
    "whatshooked_delivery_seconds",
    "From the event's append to the hook's 2xx (seconds)",
    ["hook"],
    buckets=(*_FAST, *_LATER),
)
#: Events given up after the last retry; they wait in the cache: mend the hook, then replay.
DEAD = Counter("whatshooked_dead", "Events given up at a hook", ["hook"])
#: Events that no hook wanted: a hook is off, or its `events` do not name the type.
UNMATCHED = Counter("whatshooked_unmatched", "Events that no hook wanted, by type", ["type"])
#: too_old, too_many: raise the limits or mend the hook; cache_off, hook_removed: as the config says. By what they were
#: in it: an `unmatched` one was wanted by no hook, a `dead` one is lost to its hook.
LEFT_CACHE = Counter(
    "whatshooked_cache_removed", "Events that upkeep removed from the cache, by reason and state", ["reason", "state"]
)
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
    buckets=(*_FAST, *_LATER),
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

# --- the path, beside what stands above ---

#: Minutes and more on message or status: Meta backs off since our answers came late, failed or never reached it; see
#: `whatshooked_webhooks_rejected_total` and what stands in front of us. By Meta's own time, in whole seconds.
META_LAG = Histogram(
    "whatshooked_meta_lag_seconds",
    "From Meta's time of the oldest new event of an append to it (seconds), by kind",
    ["kind"],
    buckets=_SLOW,
)
LAG_KINDS = ("message", "status", "other")
#: Nothing is lost: it reaches the hooks as it came, under `raw` or as `meta.*`. unknown_type, unknown_status,
#: unknown_field: Meta has something new, see the event and update; unknown_part, unreadable_item: not as Meta documents
#: it; no_id: it can be told from its redelivery by its bytes alone; no_owner: a number that no account here has.
LEFTOVERS = Counter("whatshooked_decode_leftovers", "Events kept without being understood, by kind", ["kind"])
LEFTOVER_KINDS = (
    *("unknown_type", "unknown_status", "unknown_field", "unknown_part", "unreadable_item", "no_id", "no_owner"),
)
#: Rises with `whatshooked_attempts_total{result!="accepted"}`: mend the hook; what is due goes out by itself.
RETRIES = Counter("whatshooked_retries", "Attempts that will be made again", ["hook"])
#: A process died or hung with these in hand, and another took them: see the workers' log and the machine's memory.
LEASES_EXPIRED = Counter("whatshooked_leases_expired", "Leases that ended without an outcome, taken anew", ["hook"])
#: At the hook's `concurrency` times the workers for long: it is slow, or wants a higher one.
IN_FLIGHT = Gauge("whatshooked_hook_in_flight", "Attempts being made (sampled)", ["hook"], multiprocess_mode="livesum")
#: Somebody deleted entries of the stream in Redis while hooks still waited for them; they are lost: find out who.
VANISHED = Counter("whatshooked_events_vanished", "Due events that were gone from the stream, once a hook")

# --- processes ---

#: Fewer than there are workers: one of them is starting, stopping, or has lost a loop and ends; see its log.
LOOPS = Gauge("whatshooked_worker_loops", "Processes in which a loop turns", ["loop"], multiprocess_mode="livesum")
#: Behind the clock by minutes (`files`: an hour): that loop hangs; see the worker's log, and restart it.
LOOP_TURN = Gauge(
    "whatshooked_loop_turn_timestamp_seconds",
    "When the loop last came round, in the process where that is longest ago (unix seconds)",
    ["loop"],
    multiprocess_mode="livemin",
)
#: refused: the log names every fault, and the old config stays in force; `whatshooked check` says it too.
RELOADS = Counter("whatshooked_config_reloads", "Reloads of the config, once a process", ["result"])
#: Changes without a deployment: something restarts; see the supervisor's log.
STARTED = Gauge(
    "whatshooked_process_start_time_seconds",
    "When the youngest process started (unix seconds)",
    multiprocess_mode="livemax",
)
#: Two versions for longer than a deployment: some process was not restarted.
BUILD = Gauge("whatshooked_build_info", "1, by the version that runs", ["version"], multiprocess_mode="livemax")
