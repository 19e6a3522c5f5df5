"""The first half of *Path*: from Meta to the hooks' doors."""

from grafana.panels import BLUE, GREEN, ORANGE, RED, Panel, Query, Told, lines, rising, states
from grafana.promql import fact, least, rate, seen, within

#: `hook.*` and `whatsapp.*` are events of our own.
_FROM_META = 'type!~"hook[.].*|whatsapp[.].*"'


def meta() -> list[Panel]:
    """Return what comes from Meta, and how late."""
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


def intake() -> list[Panel]:
    """Return what is refused, repeated or strange, and how long a 200 takes."""
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


def stream() -> list[Panel]:
    """Return what waits for a worker, and what dead workers left."""
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


def routing() -> list[Panel]:
    """Return which hooks are on, and what none of them wanted."""
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


def files() -> list[Panel]:
    """Return how files of messages are fetched and kept."""
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
