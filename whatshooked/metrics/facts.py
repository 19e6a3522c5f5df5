"""What is not counted but known: by Redis, the config, the clock or a disk.

Asked for at each scrape (`stream/standing.py`), so every process of every replica shows the same: ask for
`max by (...)` of these, never for a sum. What nobody knows at the moment is missing.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric


class Fact(NamedTuple):
    """A gauge: its name, what it says with its unit, and its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


class Known(NamedTuple):
    """One value of a fact, with the values of its labels."""

    fact: Fact
    labels: Sequence[str]
    value: float


# --- Redis ---

#: 0: intake answers 503 and nothing is delivered; see that Redis runs and has room.
REDIS_UP = Fact("whatshooked_redis_up", "Whether Redis answered this scrape (1 or 0)")
#: Near its limit: raise `maxmemory`, or see what grows (`whatshooked_cache_events`, `whatshooked_outbox_messages`).
REDIS_MEMORY = Fact("whatshooked_redis_memory_bytes", "Memory that Redis uses (bytes)")
#: At it intake answers 503, and workers drain and forget history.
REDIS_MEMORY_LIMIT = Fact("whatshooked_redis_memory_limit_bytes", "Redis' maxmemory (bytes, 0: none)")
#: 0: what was answered 200 may be lost with Redis: `appendonly yes`, `maxmemory-policy noeviction`, room on its disk.
REDIS_DURABLE = Fact(
    "whatshooked_redis_durable", "Whether the append-only file is on and written, and nothing is evicted (1 or 0)"
)
#: enabled 0: set `appendonly yes`; write_ok or rewrite_ok 0: Redis' disk is full or broken, see its log;
#: fsync_always 0: a power cut takes the last second's events.
REDIS_AOF = Fact("whatshooked_redis_aof", "The append-only file's state (1 or 0)", ("state",))

# --- the message cache ---

#: Grows while hooks do not take events; `dead` and `unmatched` wait for a replay, `poison` for a report.
CACHE_EVENTS = Fact("whatshooked_cache_events", "Events in the cache, by state", ("state",))
#: Above the hook's usual outage somebody should look: `whatshooked cache stats`.
CACHE_OLDEST = Fact("whatshooked_cache_oldest_seconds", "Age of the oldest cached event that a hook wanted (seconds)")
#: Parked events beyond it are pushed out, oldest first: mend what parks them, or raise `message_cache.max_events`.
CACHE_LIMIT = Fact("whatshooked_cache_limit_events", "Parked events that the cache keeps at most")
#: Grows when workers are too few or gone.
STREAM_LAG = Fact("whatshooked_stream_lag", "Events that no worker has read yet")
#: Not 0: somebody else acknowledged or deleted entries in Redis; `whatshooked fsck --repair`, and find out who.
UNACCOUNTED = Fact("whatshooked_events_unaccounted", "Events neither settled, nor in the cache, nor unread")
#: Waiting for a try, or in flight; grows at a hook that is slow or down.
HOOK_DUE = Fact("whatshooked_hook_due", "Events that a hook has yet to take", ("hook",))
#: 0 by `switch`: somebody turned it off, its events wait (`whatshooked hook list`); by `file`: the config says so.
HOOK_ACTIVE = Fact("whatshooked_hook_active", "Whether a hook gets events (1 or 0), and who says so", ("hook", "by"))

# --- processes ---

#: Fewer than were started: one died or hangs, see its log; 0: nothing is delivered, what comes in waits.
WORKERS = Fact("whatshooked_workers_alive", "Worker processes that showed a sign of life in the last 10 s")

# --- accounts ---

#: 0: Meta refuses the credentials: `whatshooked doctor` says what is wrong with them; webhooks still come in.
CONNECTED = Fact("whatshooked_account_connected", "Whether Meta accepts the credentials (1 or 0)", ("account",))
#: Below 14: make a token of a system user that never expires (+Inf here), set it, reload.
TOKEN_DAYS = Fact("whatshooked_token_days_left", "Days until the access token ends", ("account",))
#: Below 90: set `api_version` to a newer one; at 0 and below Meta answers with another version already.
VERSION_DAYS = Fact("whatshooked_api_version_days_left", "Days until Meta retires the API version", ("account",))
#: Above 0 on a number that is busy at this hour: `whatshooked doctor` finds what Meta stumbles over.
SILENT_HOURS = Fact(
    "whatshooked_account_silent_hours", "Hours without a message where there usually are some", ("account",)
)
#: new grows: Meta's rates or a pause hold messages back; unknown: see GET /api/messages?state=unknown.
OUTBOX_MESSAGES = Fact("whatshooked_outbox_messages", "Messages by state", ("account", "state"))
#: 1: `held` of GET /api/messages says why; a token that is refused wants another one.
PAUSED = Fact("whatshooked_account_paused", "Whether an account sends nothing now (1 or 0)", ("account",))

# --- the event log, files, disks ---

#: Grows while a target is down; beyond `event_logger.buffer_bytes` its oldest records are dropped.
LOG_LAG = Fact("whatshooked_log_lag_seconds", "Age of the oldest record not written yet (seconds)", ("target",))
#: Above 0: raise `event_logger.buffer_bytes`, or mend the target sooner.
LOG_DROPPED = Fact("whatshooked_log_dropped", "Records that the bound took before they were written", ("target",))
#: Grows faster than its disk: lower `media.max_age_days`, or set `media.max_total_bytes`.
MEDIA_BYTES = Fact("whatshooked_media_bytes", "Bytes of all stored contents, at upkeep's last look")
#: More files than bytes explain: one content went to many messages, and is stored once.
MEDIA_FILES = Fact("whatshooked_media_files", "Stored files, at upkeep's last look")
#: Little of the size: give that disk room, or shorten what is kept there (`history_bytes`, `media`, `event_logger`).
DISK_FREE = Fact("whatshooked_disk_free_bytes", "Room left on the disk of this machine's folder (bytes)", ("of",))
#: Beside it.
DISK_SIZE = Fact("whatshooked_disk_size_bytes", "Size of the disk of this machine's folder (bytes)", ("of",))


class Facts:
    """What is known at one scrape, as the metrics library wants it."""

    def __init__(self, known: Iterable[Known]) -> None:
        self._known = list(known)

    def collect(self) -> Iterable[Metric]:
        """Yield a gauge of each fact that is known; the metrics library calls this."""
        families: dict[Fact, GaugeMetricFamily] = {}
        for fact, labels, value in self._known:
            if fact not in families:
                families[fact] = GaugeMetricFamily(fact.name, fact.help, labels=fact.labels)
            families[fact].add_metric(labels, value)
        return families.values()
