"""*Path*: what comes from Meta, followed to its end, row by row; the first row says where to look."""

from grafana import shared
from grafana.board import Board, Row
from grafana.panels import BLUE, GREEN, ORANGE, RED, Names, Panel, Query, Told, figure, lines, rising, states
from grafana.promql import fact, least, none_is_zero, rate, rise, seen, within

_REDIS: Names = {"0": ("DOWN", RED), "1": ("not durable", ORANGE), "2": ("up, durable", GREEN)}
ANSWERS = {"accepted": GREEN, "refused": ORANGE, "failed": RED}
#: `hook.*` and `whatsapp.*` are events of our own.
_FROM_META = 'type!~"hook[.].*|whatsapp[.].*"'
_OWED = fact("hook_due", "hook", where='hook!="_media"')


def board() -> Board:
    """Return the dashboard."""
    shows = "The path of every event: Meta, intake, stream, routing, files, hooks, cache, outbox, event log, accounts."
    return Board("path", "Path", shows).rows(
        Row("Now", [*_now(), shared.alarms(), late()]),
        Row("1 · Meta", _meta()),
        Row("2 · Intake: signature, never twice, safe in Redis, 200", _intake()),
        Row("3 · Stream: waiting for a worker", _stream()),
        Row("4 · Routing: which hook wants it", _routing()),
        Row("5 · Files of messages", _files()),
        Row("6 · Hooks", [shared.hooks(), *_hooks()]),
        Row("7 · Cache: what some hook has not taken", _cache()),
        Row("8 · Replies and outbox", [shared.accounts(), *_outbox()]),
        Row("9 · Event log", _log()),
        Row("10 · Is everything accounted for?", _accounted()),
    )


def late() -> Panel:
    """Return who takes how long: Meta, we, or the hooks."""
    told = Told(
        "Where a message's time goes: from Meta's own timestamp to us, then into Redis, then to the hooks' 2xx.",
        "Meta a second or two, we under 0.25 s, the hooks as fast as they are.",
        "the line on top is the one who is late: Meta (row 1), we (rows 2 and 3), or a hook (row 6).",
        "MetaBacksOff",
    )
    meta, appended = within(0.95, "meta_lag", where='kind="message"'), within(0.99, "append")
    names = ("Meta, until it tells us (p95)", "we, until Redis has it (p99)", "hooks, until they took it (p95)")
    queries = [Query(meta, names[0]), Query(appended, names[1]), Query(within(0.95, "delivery"), names[2])]
    return lines("Who is late?", told, *queries, unit="s").span(12).height(8)


def _now() -> list[Panel]:
    return [unaccounted(), _given_up(), _owed(), _oldest(), _failing(), _accounts_out(), redis(), workers()]


def unaccounted() -> Panel:
    """Return how many events are neither delivered nor in the cache."""
    told = Told(
        "Events that were taken in and are neither delivered nor in the cache.",
        "0: nothing is lost.",
        "`whatshooked fsck` names them, `whatshooked fsck --repair` brings back what can be; report it.",
        "EventsUnaccounted",
    )
    return figure("Unaccounted for", told, Query(fact("events_unaccounted")), steps=rising(1))


def _given_up() -> Panel:
    told = Told(
        "Events in the cache that nobody tries any more: given up by a hook after three days, or set aside as poison.",
        "0.",
        "row 7 says which; mend the hook, then `whatshooked cache replay`.",
        "EventsGivenUp",
    )
    return figure(
        "Given up, kept", told, Query(f"sum({fact('cache_events', 'state', where=_GIVEN_UP)})"), steps=rising(1)
    )


_GIVEN_UP = 'state=~"dead|poison"'


def _owed() -> Panel:
    told = Told(
        "Deliveries that hooks have yet to take, of all hooks: waiting for a try or in flight.",
        "what comes in within seconds.",
        "row 6: the hook that owes most is failing, slow, or off.",
        "DeliveriesLate",
    )
    return figure("Owed to hooks", told, Query(f"sum({_OWED})"), steps=rising(1_000, 10_000))


def _oldest() -> Panel:
    told = Told(
        "How long the oldest event has waited in the cache.",
        "seconds; as long as the outage while a hook is down.",
        "`whatshooked cache list` opens with it and says which hook has not taken it, and why.",
        "CacheOld",
    )
    return figure("Oldest in cache", told, Query(fact("cache_oldest_seconds")), unit="s", steps=rising(900, 14_400))


def _failing() -> Panel:
    told = Told(
        "Hooks of whose attempts more than half are not accepted now.",
        "0.",
        "row 6 names them; click one to see since when.",
        "HookFailing",
    )
    query = none_is_zero(f"count({shared.refused()} > {shared.FAILING})")
    return figure("Hooks failing", told, Query(query), steps=rising(1))


def _accounts_out() -> Panel:
    told = Told(
        "Accounts that Meta does not let in, or that send nothing now.",
        "0.",
        "row 8 names them; click one.",
        "AccountDisconnected",
    )
    out = f"({least('account_connected', 'account')} == 0) or ({fact('account_paused', 'account')} == 1)"
    return figure("Accounts out", told, Query(none_is_zero(f"count({out})")), steps=rising(1))


def redis() -> Panel:
    """Return whether Redis is there and keeps what it took."""
    told = Told(
        "Whether Redis answers, and keeps every event through a crash (AOF on and written, noeviction).",
        "up, durable.",
        "down: intake answers 503 and Meta keeps the events, start it. Not durable: the dashboard Redis & workers.",
        "RedisDown",
    )
    query = f"{least('redis_up')} + ({least('redis_durable')} or vector(0))"
    return figure("Redis", told, Query(query), steps=((None, RED), (1, ORANGE), (2, GREEN)), names=_REDIS)


def workers() -> Panel:
    """Return how many workers live."""
    told = Told(
        "Worker processes whose heartbeat lives.",
        "as many as you started.",
        "0: nothing is delivered, all is kept. See the workers' log; start `whatshooked worker`.",
        "WorkersGone",
    )
    return figure("Workers", told, Query(fact("workers_alive")), steps=((None, RED), (1, GREEN)))


def _meta() -> list[Panel]:
    come = Told(
        "Events taken in a second, by type.",
        "the usual course of the day.",
        "nothing on a busy number: `whatshooked doctor`. Much less than usual: Meta's status page.",
        "NumberSilent",
    )
    delay = Told(
        "From Meta's own timestamp to us. Statuses and old messages may come late by Meta's own choice.",
        "a second or two for messages.",
        "if *Append to Redis* is fast, Meta is late, or resends what we did not answer in time: look at row 2.",
        "MetaBacksOff",
    )
    silent = Told(
        "Hours without a message on a number that usually has some at this time of the week.",
        "0.",
        "`whatshooked doctor`: is the app subscribed, does the callback URL reach us?",
        "NumberSilent",
    )
    return [
        lines(
            "Events from Meta",
            come,
            Query(rate("events_received", "type", where=_FROM_META), "{{type}}"),
            unit="eps",
            stacked=True,
        ),
        lines(
            "Meta's delay",
            delay,
            Query(within(0.5, "meta_lag", "kind"), "{{kind}} p50"),
            Query(within(0.95, "meta_lag", "kind"), "{{kind}} p95"),
            unit="s",
        ),
        lines("Silent numbers", silent, Query(fact("account_silent_hours", "account"), "{{account}}"), unit="h"),
    ]


def _intake() -> list[Panel]:
    rejected = Told(
        "Webhooks not taken, by cause.",
        "none; now and then a stranger's.",
        "bad_signature: `app_secret` is not the app's. unavailable: Redis. slow: a bad line. bug: report it. "
        "Meta resends for seven days what was answered 503.",
        "WebhooksRefused",
    )
    append = Told(
        "How long Redis takes to keep what came; the 200 waits for it.",
        "p99 below 0.25 s: above a second Meta begins to back off.",
        "Redis' disk (AOF waits for it), then more web processes.",
        "MetaBacksOff",
    )
    again = Told(
        "Events that Meta sent though we had them, by type. They are not delivered again.",
        "a few.",
        "many: our answers reach Meta too late, or not at all. See *Append to Redis*, and the proxy in front.",
        "MetaBacksOff",
    )
    odd = Told(
        "What came and was not understood to the last bit (kept and delivered as it came), and events of numbers that "
        "are no account of ours.",
        "none.",
        "leftovers: Meta has something new, report it. Foreign: add the account.",
    )
    leftovers = Query(seen("decode_leftovers", "kind"), "{{kind}}")
    foreign = Query(rate("events_foreign_dropped"), "foreign")
    quick = [Query(within(share, "append"), f"p{share * 100:g}") for share in (0.5, 0.99)]
    rejects = Query(seen("webhooks_rejected", "cause"), "{{cause}}")
    bad = {"unavailable": RED, "bug": RED, "bad_signature": ORANGE}
    return [
        lines("Refused webhooks", rejected, rejects, unit="reqps", colours=bad).span(6),
        lines("Append to Redis", append, *quick, unit="s", steps=rising(0.25, 1)).span(6),
        lines("Sent again by Meta", again, Query(seen("events_duplicate", "type"), "{{type}}"), unit="eps").span(6),
        lines("Not understood, not ours", odd, leftovers, foreign, unit="eps").span(6),
    ]


def _stream() -> list[Panel]:
    unread = Told(
        "Events that no worker has read yet.",
        "close to 0.",
        "grows: workers are too few, gone, or hang (dashboard Redis & workers); `docker compose up --scale worker=4`.",
        "DeliveriesLate",
    )
    flow = Told(
        "Events taken in, and deliveries accepted by hooks (one for each hook that wants the event).",
        "both go up and down together.",
        "in without out: rows 4 to 6.",
        "DeliveriesLate",
    )
    crashes = Told(
        "What dead or hung processes left behind and others took over: entries read, attempts begun.",
        "none, but after a crash.",
        "a rise is a crash: the workers' log, the machine's memory.",
        "WorkersGone",
    )
    return [
        lines("Unread", unread, Query(fact("stream_lag"), "unread"), steps=rising(1_000, 10_000)),
        lines(
            "In and out",
            flow,
            Query(rate("events_received"), "in"),
            Query(rate("attempts", where='result="accepted"'), "deliveries accepted"),
            unit="eps",
            colours={"in": BLUE, "deliveries accepted": GREEN},
        ),
        lines(
            "Taken over",
            crashes,
            Query(rate("recovered"), "entries of the dead"),
            Query(rate("leases_expired"), "attempts of the dead"),
            unit="eps",
        ),
    ]


def _routing() -> list[Panel]:
    switched = Told(
        "Whether each hook is on; the dashboard Hook says who decided it: the config's file, or a switch at run time.",
        "on.",
        "off by switch: somebody ran `whatshooked hook disable`; `enable` it, what it owes goes out by itself.",
        "HookOff",
    )
    unwanted = Told(
        "Events that no hook wanted, by type; they wait in the cache for a replay.",
        "none, or types that are of no use to you.",
        "a hook is off, or its `events` do not name the type: mend it, then `whatshooked cache replay`.",
        "HookOff",
    )
    on = Query(least("hook_active", "hook"), "{{hook}}")
    return [
        states("Hooks on and off", switched, on).span(12),
        lines("Wanted by no hook", unwanted, Query(seen("unmatched", "type"), "{{type}}"), unit="eps").span(12),
    ]


def _files() -> list[Panel]:
    fetched = Told(
        "Files fetched from Meta, by result; only `stored` is good. A message waits for its file a while at most.",
        "stored.",
        "store: our disk. graph, budget: the token, `whatshooked doctor`. http, network, late: Meta's file host. "
        "What went out without its file is fetched anew by a replay, for seven days.",
        "MediaFails",
    )
    quick = Told(
        "How long fetching and storing takes.",
        "seconds.",
        "Meta's file host, or our disk; see *Files waited for*.",
        "MediaFails",
    )
    waited = Told(
        "Messages whose hooks wait for a file.",
        "a handful.",
        "stays high: raise `media.concurrency`, or start more workers.",
        "MediaFails",
    )
    due = Query(fact("hook_due", where='hook="_media"'), "waiting, in flight")
    stored = Told(
        "Bytes of all stored files.",
        "bounded by `media.max_age_days` and `media.max_total_bytes`.",
        "lower them, or give the disk room.",
        "DiskFills",
    )
    shares = [Query(within(share, "media"), f"p{share * 100:g}") for share in (0.5, 0.95)]
    results = Query(seen("media_fetches", "result"), "{{result}}")
    return [
        lines("Fetches", fetched, results, unit="ops", colours={"stored": GREEN}).span(6),
        lines("Time of a fetch", quick, *shares, unit="s").span(6),
        lines("Files waited for", waited, due).span(6),
        lines("Stored", stored, Query(fact("media_bytes"), "bytes"), unit="bytes").span(6),
    ]


def _hooks() -> list[Panel]:
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
        lines("Owed, by hook", owed, Query(_OWED, "{{hook}}")),
        lines("Not accepted", share, Query(shared.refused(), "{{hook}}"), unit="percentunit"),
        lines("Receipt after (p95)", slow, Query(within(0.95, "delivery", "hook"), "{{hook}}"), unit="s"),
    ]


def _cache() -> list[Panel]:
    held = Told(
        "Events in the cache by state: waiting for a hook, given up (dead), wanted by nobody (unmatched), poison; and "
        "the limit.",
        "few, waiting.",
        "dead, unmatched: mend the hook, then `whatshooked cache replay`. At the limit the oldest parked ones go.",
        "CacheGrows",
    )
    age = Told(
        "How long the oldest event has waited.",
        "rises only while a hook is down.",
        "`whatshooked cache list`, `whatshooked cache stats`: replay, delete, or wait.",
        "CacheOld",
    )
    gone = Told(
        "Events that upkeep took out of the cache undelivered, by reason.",
        "none.",
        "too_old, too_many: these are lost to their hook; raise `message_cache`'s limits, mend the hook.",
        "CacheGrows",
    )
    by_state = Query(fact("cache_events", "state", where='state!="all"'), "{{state}}")
    colours = {"dead": RED, "poison": "purple", "unmatched": ORANGE, "waiting": BLUE, "limit": "#8e8e8e"}
    limit = Query(fact("cache_limit_events"), "limit")
    oldest = Query(fact("cache_oldest_seconds"), "oldest")
    return [
        lines("In the cache", held, by_state, limit, colours=colours),
        lines("Age of the oldest", age, oldest, unit="s"),
        lines("Pushed out", gone, Query(rate("cache_removed", "reason"), "{{reason}}"), unit="eps"),
    ]


def _outbox() -> list[Panel]:
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


def _log() -> list[Panel]:
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
    errors = Query(rise("log_errors", "target", during="$__rate_interval"), "failed tries: {{target}}")
    return [
        lines("Behind", behind, Query(fact("log_lag_seconds", "target"), "{{target}}"), unit="s"),
        lines("Rows written", written, Query(rate("log_rows", "target"), "{{target}}"), unit="wps"),
        lines("Dropped, failed", dropped, lost, errors),
    ]


def _accounted() -> list[Panel]:
    sums = Told(
        "Entries ever added, less those acknowledged, pending and unread; entries that were due and gone from the "
        "stream; keys that disagreed at the hourly self-check.",
        "0 all the time.",
        "somebody touched Redis, or a bug: `whatshooked fsck --repair`, and report what it said.",
        "EventsUnaccounted",
    )
    aside = Told(
        "Entries set aside since they kept killing their worker, and events given up at hooks, within the shown time.",
        "0.",
        "they are kept: `whatshooked cache list`; mend, then `whatshooked cache replay`.",
        "EventsSetAside",
    )
    chosen = Told(
        "What left by a limit of the config within the shown time: from cache, history, outbox, event log, files.",
        "only what is finished or too old: history, too_old of log and files.",
        "cache: undelivered events went, row 7. messages too_many, no_memory: Redis' memory.",
        "CacheGrows",
    )
    gone = [
        Query(rise("cache_removed", "reason"), "cache: {{reason}}"),
        Query(rise("history_forgotten"), "history"),
        Query(rise("hook_events_lost", "reason"), "hook.* events: {{reason}}"),
        Query(rise("messages_turned_away", "account", "bound"), "turned away: {{account}}, {{bound}}"),
    ]
    return [
        lines(
            "Lost?",
            sums,
            Query(fact("events_unaccounted"), "unaccounted for"),
            Query("sum (whatshooked_events_vanished_total)", "vanished since the start"),
            Query("sum (whatshooked_disagreements_total)", "disagreements since the start"),
        ),
        lines(
            "Set aside, given up",
            aside,
            Query(rise("poisoned"), "poison"),
            Query(rise("dead", "hook"), "given up: {{hook}}"),
        ),
        lines("Gone by a limit", chosen, *gone),
    ]
