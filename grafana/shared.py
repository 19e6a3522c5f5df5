"""What stands on several dashboards: alarms, hooks and accounts as tables, Redis, workers, who is late."""

from grafana_foundation_sdk.builders import common

from grafana import runbook
from grafana.panels import (
    BLUE,
    GREEN,
    ON_OFF,
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
    section_anchor,
    section_id,
)
from grafana.promql import RATE, added, ago, fact, least, none_is_zero, part, rate, rise, within

#: Below this part of attempts accepted a hook counts as failing.
FAILING = 0.5
#: How far back that looks where it is a figure: attempts grow rare while a hook fails.
LATELY = "15m"
_REDIS: Names = {"0": ("DOWN", RED), "1": ("not durable", ORANGE), "2": ("up, durable", GREEN)}
#: What each hook owes; `_media` is the fetching of files.
OWED = fact("hook_due", "hook", where='hook!="_media"')
HOOK_LINK = "/d/whatshooked-hook?var-hook=${__value.raw}&${__url_time_range}"
ACCOUNT_LINK = "/d/whatshooked-account?var-account=${__value.raw}&${__url_time_range}"
CONNECTED: Names = {"1": ("yes", GREEN), "0": ("NO", RED)}
HELD: Names = {"0": ("no", GREEN), "1": ("HELD", RED)}
DAYS: Names = {"10000+": ("never", GREEN)}
_STATES: Names = {"firing": ("FIRING", RED), "pending": ("pending", ORANGE)}
#: Labels by which alarms say whom they concern.
_WHOM = "alertname, alertstate, severity, hook, account, target, loop, of, instance, sign, reason"
#: The heading at which each alarm is explained. VolumeFills stands in ops/k8s; "*" are alarms of others.
_HEADINGS = {alarm: alarm for alarm in runbook.alarms(runbook.SOURCE.read_text())}
_HEADINGS |= {"VolumeFills": "DiskFills", "*": runbook.ALARMS}
#: Where that is: its panel in the runbook's dashboard, its name on a page.
_SECTIONS: dict[str, Names] = {
    "panel": {alarm: (str(section_id(heading)), BLUE) for alarm, heading in _HEADINGS.items()},
    "anchor": {alarm: (section_anchor(heading), BLUE) for alarm, heading in _HEADINGS.items()},
}
_SECTION = "${runbook:raw}?viewPanel=${__data.fields.panel.text}#${__data.fields.anchor.text}"
#: What the cache's limits threw away though a hook was to have it: given up, or set aside.
DROPPED = 'reason=~"too_old|too_many", state!="unmatched"'
_ON = ((None, RED), (1.0, GREEN))


def refused(by: str = "hook", where: str = "", during: str = RATE) -> str:
    """Return which part of the attempts at hooks was not accepted."""
    return part("attempts", 'result!="accepted"', by, where=where, during=during)


def failing() -> str:
    """Return the hooks that fail, as the alarm HookFailing has it: one that is seldom tried fails all the same."""
    return f"{refused(during=LATELY)} > {FAILING} and {OWED} > 0"


def alarms() -> Panel:
    """Return the alarms that are on or about to be, and for how long they have been."""
    told = Told(
        "Alarms that fire, or wait to (pending), since when, and whom they concern. A click leads to the runbook.",
        "empty.",
        "open the alarm's section of the runbook and do what it says, `page` before `warn`.",
    )
    since = "(ALERTS * 0) + ignoring (alertstate) group_left () (time() - ALERTS_FOR_STATE)"
    found = f"max by ({_WHOM}) ({since})"
    for label in _SECTIONS:
        found = f'label_join({found}, "{label}", "", "alertname")'
    named, columns = {"alertstate": _STATES}, [Column("for", found, "s")]
    made = rows("Alarms", told, "alertname", columns, link=_SECTION, named=named, hidden=_SECTIONS)
    return made.span(12).height(8).no_value("no alarm")


def hooks() -> Panel:
    """Return a row for each hook: is it on, does it take events, what does it owe?"""
    told = Told(
        "Every hook: whether it is on, how much it owes, how it answers. A click shows it alone.",
        "on; owes what it takes in seconds; hardly anything not accepted in 15 minutes; a receipt moments ago.",
        "click the hook. Red in *not accepted*: its receiver fails. Much *owed* without it: it is slow.",
        "HookFailing",
    )
    columns = [
        Column("on", least("hook_active", "hook"), names=ON_OFF, steps=_ON),
        Column("owes", OWED, steps=rising(1_000, 10_000)),
        Column("in flight", added("hook_in_flight", "hook", where='hook!="_media"')),
        Column("accepted", rate("attempts", "hook", where='result="accepted"'), "eps"),
        Column("not accepted", refused(during=LATELY), "percentunit", rising(0.05, FAILING)),
        Column("answers in (p95)", within(0.95, "attempt", "hook"), "s", rising(2, 10)),
        Column("receipt after (p95)", within(0.95, "delivery", "hook"), "s", rising(5, 60)),
        Column("retries", rate("retries", "hook"), "eps"),
        Column("given up", rise("dead", "hook"), steps=rising(1)),
        Column("last receipt", last_receipt(), "s"),
    ]
    most = common.TableSortByFieldState().display_name("owes").desc(True)
    return rows("Hooks", told, "hook", columns, link=HOOK_LINK).sort_by([most])


def last_receipt(where: str = "") -> str:
    """Return how long ago each hook last accepted an event, as far as the shown time reaches."""
    chosen = f'result="accepted", {where}' if where else 'result="accepted"'
    return ago(f"{rate('attempts', 'hook', where=chosen)} > 0")


def accounts() -> Panel:
    """Return a row for each account: does Meta let us in, does it send, is it silent?"""
    told = Told(
        "Every account: whether Meta accepts its credentials, how long yet, and what waits to be sent.",
        "connected, not held, no silent hours, a token that never ends, nothing unknown.",
        "click the account; `whatshooked doctor` finds what is wrong between Meta and us.",
        "AccountDisconnected",
    )
    outbox = "outbox_messages"
    columns = [
        Column("connected", least("account_connected", "account"), names=CONNECTED, steps=_ON),
        Column("held", fact("account_paused", "account"), names=HELD, steps=rising(1)),
        Column("token days", least("token_days_left", "account"), "none", falling(14, 30), DAYS),
        Column("API version days", least("api_version_days_left", "account"), "none", falling(30, 90)),
        Column("silent hours", fact("account_silent_hours", "account"), "h", rising(1, 3)),
        Column("to send", fact(outbox, "account", where='state="new"'), steps=rising(1_000, 10_000)),
        Column("unknown", fact(outbox, "account", where='state="unknown"'), steps=rising(1)),
    ]
    return rows("Accounts", told, "account", columns, link=ACCOUNT_LINK).height(6)


def late() -> Panel:
    """Return who takes how long: Meta, we, or the hooks."""
    told = Told(
        "Where a message's time goes: from Meta's own timestamp to us, then into Redis, then to the 2xx of the hook "
        "that takes longest.",
        "Meta a second or two, we under 0.25 s, the hook as fast as it is.",
        "the line on top is the one who is late: Meta (row 1), we (rows 2 and 3), or a hook (row 6).",
        "MetaBacksOff",
    )
    meta, appended = within(0.95, "meta_lag", where='kind="message"'), within(0.99, "append")
    slowest = f"max({within(0.95, 'delivery', 'hook')})"
    names = (
        "Meta, until it tells us (p95)",
        "we, until Redis has it (p99)",
        "the slowest hook, until it took it (p95)",
    )
    queries = [Query(meta, names[0]), Query(appended, names[1]), Query(slowest, names[2])]
    return lines("Who is late?", told, *queries, unit="s").span(12).height(8)


def unaccounted() -> Panel:
    """Return how many events are lost: neither delivered nor in the cache, or no more there."""
    told = Told(
        "Events that were taken in and are neither delivered nor in the cache, by Redis' own counts; and within the "
        "shown time: those that were gone from Redis when they were due, and those that the cache's limits threw away "
        "though a hook was to have them.",
        "0: nothing is lost.",
        "row 10 of the dashboard Path says which of the three. `whatshooked fsck` says how many lost their way, and "
        "`whatshooked fsck --repair` brings back what can be; report it.",
        "EventsUnaccounted",
    )
    gone = [rise("events_vanished"), rise("cache_removed", where=DROPPED)]
    whole = " + ".join([f"clamp_min({fact('events_unaccounted')}, 0)", *(f"({none_is_zero(one)})" for one in gone)])
    return figure("Unaccounted for", told, Query(whole), steps=rising(1))


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
    return figure("Workers", told, Query(fact("workers_alive")), steps=_ON)
