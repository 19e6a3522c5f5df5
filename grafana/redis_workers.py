"""*Redis & workers*: is there room, is it durable, do all processes live and all loops turn?"""

from grafana.board import Board, Row
from grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    Column,
    Names,
    Panel,
    Query,
    Told,
    falling,
    figure,
    lines,
    rising,
    rows,
    states,
)
from grafana.promql import added, fact, least, none_is_zero, rate, within
from grafana.shared import alarms, redis, unaccounted, workers

_HERE = 'instance=~"$instance"'
_UP: Names = {"1": ("up", GREEN), "0": ("DOWN", RED)}
_OK: Names = {"1": ("yes", GREEN), "0": ("NO", RED)}
#: Seconds after which a loop that did not come round hangs.
_HANGS = 600
#: Loops that may be asked so: `files` walks through all files, an hour is usual for it.
_SWIFT = 'loop!="files"'


def board() -> Board:
    """Return the dashboard."""
    shows = "Has Redis room, is it durable, do disks fill, do all processes live and all loops turn?"
    made = Board("redis-workers", "Redis & workers", shows)
    made.choose("instance", 'label_values(up{job=~"whatshooked.*"}, instance)', "Instance", several=True)
    return made.rows(
        Row("Now", [*_now(), alarms(), _answering()]),
        Row("Redis", _redis()),
        Row("Disks", _disks()),
        Row("Processes", _processes()),
        Row("Loops of the workers", _loops()),
        Row("Crashes and work in flight", _work()),
    )


def _now() -> list[Panel]:
    room = Told(
        "How much of its memory Redis uses; nothing without a limit.",
        "below 80 %.",
        "full: intake answers 503, Meta keeps the events, workers drain. Give it memory.",
        "RedisFull",
    )
    disk = Told(
        "The least room of any disk we write to.",
        "above 20 %.",
        "row *Disks* says which; give it room, or lower what is kept.",
        "DiskFills",
    )
    hangs = Told(
        "Loops that have not come round for ten minutes, in each worker; without `files`, where an hour is usual.",
        "0.",
        "row *Loops of the workers* says which; restart that worker, its work is taken over.",
        "WorkerLoopHangs",
    )
    targets = Told(
        "Processes that answer Prometheus.", "all.", "*Processes* below says which is down.", "WhatsHookedDown"
    )
    turned = least("loop_turn_timestamp_seconds", "loop", "instance", where=_SWIFT)
    return [
        redis(),
        figure("Memory used", room, Query(_MEMORY), unit="percentunit", steps=rising(0.8, 0.9)),
        figure("Least disk room", disk, Query(f"min({_DISK})"), unit="percentunit", steps=falling(0.1, 0.2)),
        workers(),
        figure("Loops that hang", hangs, Query(none_is_zero(f"count(time() - {turned} > {_HANGS})")), steps=rising(1)),
        figure("Answering", targets, Query('avg(up{job=~"whatshooked.*"})'), unit="percentunit", steps=falling(0.5, 1)),
        unaccounted(),
        _reloads(),
    ]


_MEMORY = f"{fact('redis_memory_bytes')} / ({fact('redis_memory_limit_bytes')} > 0)"
_DISK = f"{least('disk_free_bytes', 'of', 'instance')} / {fact('disk_size_bytes', 'of', 'instance')}"


def _reloads() -> Panel:
    told = Told(
        "Configs that were read again and refused, since the processes started; the old one holds meanwhile.",
        "0.",
        "the log names the fault; `whatshooked check` too. Mend it, SIGHUP again.",
    )
    query = none_is_zero(added("config_reloads_total", where='result="refused"'))
    return figure("Reloads refused", told, Query(query), steps=rising(1))


def _redis() -> list[Panel]:
    memory = Told(
        "Memory Redis uses, and its limit (0: none).",
        "well below the limit.",
        "what grows: the cache (dashboard Path, row 7), or history (`message_cache.history_bytes`).",
        "RedisFull",
    )
    durable = Told(
        "Whether Redis keeps through a crash what it took: AOF on, its last write and rewrite good, noeviction.",
        "yes.",
        "its disk first (row *Disks*), then `CONFIG GET appendonly maxmemory-policy` against ops/redis.conf.",
        "RedisNotDurable",
    )
    append = Told("How long an append takes.", "p99 below 0.25 s.", "Redis' disk, or its CPU.", "MetaBacksOff")
    errors = Told(
        "Calls to Redis that failed, by part of us; each is made again.",
        "none.",
        "is it there, has it room? Its log.",
        "RedisDown",
    )
    up = [Query(least("redis_up"), "up"), Query(least("redis_durable"), "durable")]
    quick = [Query(within(share, "append"), f"p{share * 100:g}") for share in (0.5, 0.99)]
    used, limit = Query(fact("redis_memory_bytes"), "used"), Query(fact("redis_memory_limit_bytes"), "limit")
    aof = Query(least("redis_aof", "state"), "AOF {{state}}")
    colours = {"limit": RED}
    return [
        lines("Memory", memory, used, limit, unit="bytes", colours=colours).span(6),
        states("Up and durable", durable, *up, aof, names=_OK).span(6),
        lines("Append", append, *quick, unit="s", steps=rising(0.25, 1)).span(6),
        lines("Errors, by part", errors, Query(rate("redis_errors", "part"), "{{part}}"), unit="ops").span(6),
    ]


def _disks() -> list[Panel]:
    free = Told(
        "Room on the disks we write to: Redis' own, files of messages, the event log.",
        "above 20 %.",
        "media: `media.max_total_bytes`. log: `max_bytes` of its target. redis: a larger disk.",
        "DiskFills",
    )
    share = f"{least('disk_free_bytes', 'of')} / {fact('disk_size_bytes', 'of')}"
    files = Told("Stored files.", "bounded by `media.max_age_days`.", "lower it, or set `media.max_total_bytes`.")
    return [
        lines("Room left", free, Query(share, "{{of}}"), unit="percentunit").span(8),
        lines("Bytes left", free, Query(least("disk_free_bytes", "of"), "{{of}}"), unit="bytes").span(8),
        lines("Stored files", files, Query(fact("media_files"), "files")).span(8),
    ]


def _answering() -> Panel:
    told = Told(
        "Which processes answer Prometheus; a bar turns red when one stops.",
        "up.",
        "see its log; others go on meanwhile and take over what it had.",
        "WhatsHookedDown",
    )
    scraped = f'up{{job=~"whatshooked.*", {_HERE}}}'
    query = Query(f"max by (job, instance) ({scraped})", "{{job}} {{instance}}")
    return states("Processes", told, query, names=_UP).span(12).height(8)


def _processes() -> list[Panel]:
    alive = Told("Workers whose heartbeat lives.", "as many as you started.", "see their log.", "WorkersGone")
    shown = Told(
        "Every version that runs, and for how long its youngest process has.",
        "one version, but during an upgrade.",
        "two for long: a process was forgotten.",
    )
    since = "time() - max by (instance) (whatshooked_process_start_time_seconds{" + _HERE + "})"
    columns = [
        Column("youngest process for", since, "s"),
        Column("reloads", added("config_reloads_total", "instance", where=_HERE)),
    ]
    version = Query("count by (version) (whatshooked_build_info)", "{{version}}")
    return [
        lines("Workers alive", alive, Query(fact("workers_alive"), "alive"), colours={"alive": GREEN}),
        lines("Versions, by instances", shown, version),
        rows("Started", shown, "instance", columns).span(8).height(7),
    ]


def _loops() -> list[Panel]:
    turning = Told(
        "In how many processes each loop turns.",
        "as many as there are workers, each line the same.",
        "one is lower: that worker starts anew by itself; its log says why.",
        "WorkersGone",
    )
    hung = Told(
        "How long ago each loop last came round, in each worker; without `files`, where an hour is usual.",
        "seconds.",
        f"above {_HANGS} s it hangs: restart that worker, its work is taken over.",
        "WorkerLoopHangs",
    )
    age = f"time() - {least('loop_turn_timestamp_seconds', 'loop', 'instance', where=f'{_HERE}, {_SWIFT}')}"
    return [
        lines("Loops turning", turning, Query(added("worker_loops", "loop", where=_HERE), "{{loop}}")).span(12),
        lines("Last turn, ago", hung, Query(age, "{{loop}} {{instance}}"), unit="s", steps=rising(60, _HANGS)).span(12),
    ]


def _work() -> list[Panel]:
    flying = Told("Attempts being made now, by hook.", "below `concurrency`.", "the dashboard Hook.", "HookSlow")
    unread = Told("Events that no worker has read.", "close to 0.", "more workers.", "DeliveriesLate")
    dead = Told(
        "Entries and attempts taken over from processes that died or hung.",
        "none.",
        "the workers' log, the machine's memory.",
        "WorkersGone",
    )
    return [
        lines("In flight", flying, Query(added("hook_in_flight", "hook", where=_HERE), "{{hook}}")),
        lines("Unread", unread, Query(fact("stream_lag"), "unread"), steps=rising(1_000, 10_000)),
        lines(
            "Taken over",
            dead,
            Query(rate("recovered"), "entries"),
            Query(rate("leases_expired"), "attempts"),
            unit="eps",
            colours={"entries": ORANGE, "attempts": RED},
        ),
    ]
