"""The second half of *Path*: hooks, what they have not taken, what is sent back, what is logged, and the sum."""

from grafana_foundation_sdk.builders import timeseries

from grafana import shared
from grafana.panels import BLUE, GREY, ORANGE, RED, Panel, Query, Told, lines
from grafana.promql import RATE, fact, rate, rise, seen, within


def hooks() -> list[Panel]:
    """Return what each hook owes, and how it answers."""
    owed = Told(
        "Deliveries that each hook has yet to take.",
        "falls as fast as it rises.",
        "click the hook in the table above.",
        "DeliveriesLate",
    )
    share = Told(
        "Which part of the attempts each hook did not accept.",
        "close to 0 %.",
        "the receiver answers no 2xx, or not at all: its log. Attempts go on for three days, all is kept.",
        "HookFailing",
    )
    slow = Told(
        "From an event's append to the hook's 2xx, 95 of 100.",
        "about the hook's own time to answer.",
        "much more than that: it owes much. Raise its `concurrency`, or make it faster.",
        "HookSlow",
    )
    return [
        lines("Owed, by hook", owed, Query(shared.OWED, "{{hook}}")),
        lines("Not accepted", share, Query(shared.refused(), "{{hook}}"), unit="percentunit"),
        lines("Receipt after (p95)", slow, Query(within(0.95, "delivery", "hook"), "{{hook}}"), unit="s"),
    ]


def cache() -> list[Panel]:
    """Return what some hook has not taken."""
    held = Told(
        "Events in the cache by state: waiting for a hook, given up (dead), wanted by nobody (unmatched), poison; and "
        "the limit.",
        "few, waiting.",
        "dead, unmatched: mend the hook, then `whatshooked cache replay`. The limit counts dead, unmatched and poison: "
        "beyond it the oldest of these go, never what waits.",
        "CacheGrows",
    )
    age = Told(
        "How long the oldest event has waited.",
        "rises only while a hook is down.",
        "`whatshooked cache list`, `whatshooked cache stats`: replay, delete, or wait.",
        "CacheOld",
    )
    gone = Told(
        "Events that upkeep took out of the cache undelivered, by reason; `unmatched` are those that no hook wanted.",
        "none.",
        "too_old, too_many: these are lost to their hook; raise `message_cache`'s limits, mend the hook.",
        "CacheDropped",
    )
    by_state = Query(fact("cache_events", "state", where='state!="all"'), "{{state}}")
    colours = {"dead": RED, "poison": "purple", "unmatched": ORANGE, "waiting": BLUE, "limit": GREY}
    limit = Query(fact("cache_limit_events"), "limit")
    oldest = Query(fact("cache_oldest_seconds"), "oldest")
    return [
        lines("In the cache", held, by_state, limit, colours=colours),
        lines("Age of the oldest", age, oldest, unit="s"),
        lines("Pushed out", gone, Query(rate("cache_removed", "reason", "state"), "{{state}}: {{reason}}"), unit="eps"),
    ]


def outbox() -> list[Panel]:
    """Return what is sent back."""
    replies = Told(
        "What hooks answered to have sent.",
        "kept.",
        "unusable: `whatshooked messages refused` says event, hook and reason.",
    )
    sent = Told(
        "Sends to Meta, and what came of them.",
        "sent.",
        "failed: `whatshooked messages list --state failed` has Meta's code and a hint for each.",
    )
    waits = Told(
        "Messages in the outbox by state.",
        "new falls as fast as it rises; unknown 0.",
        "unknown: a status settles most, for the rest ask the customer, then `whatshooked messages resend` or `drop`.",
        "MessagesUnknown",
    )
    graph = Told(
        "Calls to Meta's Graph, by the code it answered; 0 is good.",
        "0.",
        "190: the token. 4, 80007, 130429: its rates. -1: no answer. `whatshooked doctor` knows the others.",
        "AccountDisconnected",
    )
    states_ = Query(fact("outbox_messages", "state"), "{{state}}")
    return [
        lines("Replies of hooks", replies, Query(rate("replies", "result"), "{{result}}"), unit="mps").span(6),
        lines("Sends", sent, Query(rate("messages", "result"), "{{result}}"), unit="mps").span(6),
        lines("Outbox", waits, states_, colours={"unknown": RED}).span(6),
        lines("Graph, by code", graph, Query(seen("graph_calls", "code"), "{{code}}"), unit="ops").span(6),
    ]


def log() -> list[Panel]:
    """Return how far the event log is."""
    behind = Told(
        "How far each target of the event log is behind.",
        "seconds.",
        "the target is down or full: the workers' log names place and remedy. It is made up for, in order.",
        "LogBehind",
    )
    written = Told("Rows written a second.", "as events come and go.", "nothing while they do: *Behind*.", "LogBehind")
    dropped = Told(
        "Records that a target lost since its buffer was full, and tries that failed.",
        "0.",
        "raise `event_logger.buffer_bytes`, or mend the target sooner. Deliveries are not touched by it.",
        "LogDropped",
    )
    lost = Query(fact("log_dropped", "target"), "dropped: {{target}}")
    errors = Query(rise("log_errors", "target", during=RATE), "failed tries: {{target}}")
    return [
        lines("Behind", behind, Query(fact("log_lag_seconds", "target"), "{{target}}"), unit="s"),
        lines("Rows written", written, Query(rate("log_rows", "target"), "{{target}}"), unit="wps"),
        lines("Dropped, failed", dropped, lost, errors),
    ]


def accounted() -> list[Panel]:
    """Return what should stay at 0 for ever, and what left by a limit."""
    return [_lost().span(12), _aside().span(12), _limits().span(24)]


def _lost() -> timeseries.Panel:
    told = Told(
        "Entries ever added, less those acknowledged, pending and unread; and within the shown time: entries that were "
        "due and gone from the stream, events given up or set aside that the cache's limits threw away, and keys that "
        "disagreed at the hourly self-check.",
        "0 all the time.",
        "somebody touched Redis, or a bug: `whatshooked fsck --repair`, and report what it said. thrown away: row 7.",
        "EventsUnaccounted",
    )
    return lines(
        "Lost?",
        told,
        Query(fact("events_unaccounted"), "unaccounted for"),
        Query(rise("events_vanished"), "gone when due"),
        Query(rise("cache_removed", "reason", where=shared.DROPPED), "thrown away: {{reason}}"),
        Query(rise("disagreements"), "disagreements"),
    )


def _aside() -> timeseries.Panel:
    told = Told(
        "Entries set aside since they kept killing their worker, and events given up at hooks, within the shown time.",
        "0.",
        "they are kept: `whatshooked cache list --state dead` or `poison`; mend, then `whatshooked cache replay`.",
        "EventsSetAside",
    )
    given = Query(rise("dead", "hook"), "given up: {{hook}}")
    return lines("Set aside, given up", told, Query(rise("poisoned"), "poison"), given)


def _limits() -> timeseries.Panel:
    told = Told(
        "What left by a limit within the shown time: events from the cache and from history, messages that were "
        "finished or whose account is gone, rows of the event log, files; and what found no room: `hook.*` events, "
        "messages turned away.",
        "only what is finished or old: history, and too_old of messages, log and files.",
        "cache: undelivered events went, row 7. messages too_many, no_memory: Redis' memory. removed accounts: put the "
        "account back. log, files too_many_bytes: raise `max_bytes` of the target, `media.max_total_bytes`.",
        "CacheDropped",
    )
    return lines(
        "Gone by a limit",
        told,
        Query(rise("cache_removed", "reason"), "cache: {{reason}}"),
        Query(rise("history_forgotten"), "history"),
        Query(rise("messages_forgotten", "reason"), "messages: {{reason}}"),
        Query(rise("messages_dropped"), "messages: removed accounts"),
        Query(rise("log_removed", "target", "reason"), "log {{target}}: {{reason}}"),
        Query(rise("media_removed", "reason"), "files: {{reason}}"),
        Query(rise("hook_events_lost", "reason"), "hook.* events: {{reason}}"),
        Query(rise("messages_turned_away", "account", "bound"), "turned away: {{account}}, {{bound}}"),
    )
