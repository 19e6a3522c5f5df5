"""What stands on several dashboards: the alarms of now, the hooks and the accounts as tables."""

from grafana_foundation_sdk.builders import common

from grafana import promql
from grafana.panels import ON_OFF, ORANGE, RED, Column, Names, Panel, Told, rising, rows

#: Below this part of attempts accepted a hook counts as failing.
FAILING = 0.5
HOOK_LINK = "/d/whatshooked-hook?var-hook=${__value.raw}&${__url_time_range}"
ACCOUNT_LINK = "/d/whatshooked-account?var-account=${__value.raw}&${__url_time_range}"
CONNECTED: Names = {"1": ("yes", "green"), "0": ("NO", RED)}
DAYS: Names = {"10000+": ("never", "green")}
#: Labels by which alarms say whom they concern.
_WHOM = "alertname, alertstate, severity, hook, account, target"


def refused(by: str = "hook", where: str = "") -> str:
    """Return which part of the attempts at hooks was not accepted."""
    return promql.part("attempts", 'result!="accepted"', by, where=where)


def alarms() -> Panel:
    """Return the alarms that are on or about to be, and for how long they have been."""
    told = Told(
        "Alarms that fire, or wait to (pending), since when, and whom they concern. A click leads to the runbook.",
        "empty.",
        "open the alarm's section of the runbook and do what it says, `page` before `warn`.",
    )
    since = "(ALERTS * 0) + ignoring (alertstate) group_left () (time() - ALERTS_FOR_STATE)"
    columns = [Column("for", f"max by ({_WHOM}) ({since})", "s")]
    link = "${runbook:raw}#${__value.raw}"
    return rows("Alarms", told, "alertname", columns, link=link).span(12).height(8).no_value("no alarm")


def hooks() -> Panel:
    """Return a row for each hook: is it on, does it take events, what does it owe?"""
    told = Told(
        "Every hook: whether it is on, how much it owes, how it answers. A click shows it alone.",
        "on; owes what it takes in seconds; hardly anything not accepted; a receipt moments ago while events come.",
        "click the hook. Red in *not accepted*: its receiver fails. Much *owed* without it: it is slow.",
        "HookFailing",
    )
    owes = promql.fact("hook_due", "hook", where='hook!="_media"')
    columns = [
        Column("on", promql.least("hook_active", "hook"), names=ON_OFF, steps=((None, RED), (1, "green"))),
        Column("owes", owes, steps=rising(1_000, 10_000)),
        Column("in flight", promql.added("hook_in_flight", "hook", where='hook!="_media"')),
        Column("accepted", promql.rate("attempts", "hook", where='result="accepted"'), "eps"),
        Column("not accepted", refused(), "percentunit", rising(0.05, FAILING)),
        Column("answers in (p95)", promql.within(0.95, "attempt", "hook"), "s", rising(2, 10)),
        Column("receipt after (p95)", promql.within(0.95, "delivery", "hook"), "s", rising(5, 60)),
        Column("retries", promql.rate("retries", "hook"), "eps"),
        Column("given up", promql.rise("dead", "hook"), steps=rising(1)),
        Column("last receipt", last_receipt(), "s"),
    ]
    most = common.TableSortByFieldState().display_name("owes").desc(True)
    return rows("Hooks", told, "hook", columns, link=HOOK_LINK).sort_by([most])


def last_receipt(where: str = "") -> str:
    """Return how long ago each hook last accepted an event, as far as the shown time reaches."""
    chosen = f'result="accepted", {where}' if where else 'result="accepted"'
    return promql.ago(f"{promql.rate('attempts', 'hook', where=chosen)} > 0")


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
        Column("connected", promql.least("account_connected", "account"), names=CONNECTED, steps=_ON),
        Column("held", promql.fact("account_paused", "account"), names=HELD, steps=rising(1)),
        Column("token days", promql.least("token_days_left", "account"), "none", _DAYS, DAYS),
        Column("API version days", promql.least("api_version_days_left", "account"), "none", _VERSION),
        Column("silent hours", promql.fact("account_silent_hours", "account"), "h", rising(1, 3)),
        Column("to send", promql.fact(outbox, "account", where='state="new"'), steps=rising(1_000, 10_000)),
        Column("unknown", promql.fact(outbox, "account", where='state="unknown"'), steps=rising(1)),
    ]
    return rows("Accounts", told, "account", columns, link=ACCOUNT_LINK).height(6)


HELD: Names = {"0": ("no", "green"), "1": ("HELD", RED)}
_ON = ((None, RED), (1.0, "green"))
_DAYS = ((None, RED), (14.0, ORANGE), (30.0, "green"))
_VERSION = ((None, RED), (30.0, ORANGE), (90.0, "green"))
