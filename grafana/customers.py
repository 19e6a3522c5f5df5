"""*Customers*: whom it concerns that something waits or failed; asked of the gateway itself, for no metric has them."""

from grafana_foundation_sdk.builders import common

from grafana.board import Board, Row
from grafana.panels import (
    BLUE,
    GREEN,
    ORANGE,
    PLAIN,
    RED,
    Column,
    Names,
    Panel,
    Query,
    Told,
    figure,
    rising,
    rows,
    words,
)
from grafana.shared import alarms

_HOOK, _ACCOUNT = '{hook="$hook"}', '{account="$account"}'
_STATES: Names = {
    "unread": ("unread", ORANGE),
    "waiting": ("waiting", BLUE),
    "dead": ("dead", RED),
    "poison": ("poison", "purple"),
    "off": ("off", ORANGE),
    "no_file": ("no_file", ORANGE),
    "unsent": ("unsent", BLUE),
    "unknown": ("unknown", RED),
    "failed": ("failed", RED),
}
_WHOLE: Names = {"1": ("all", GREEN), "0": ("not all", ORANGE)}
_DO = """\
Each alarm's section of the runbook (*Whom*) names the state; a click on the alarm opens it.

| State | Whom it concerns |
|---|---|
| unread | what they wrote, no worker has looked at: all who wrote while there is no worker |
| waiting | a hook has not taken it yet and is tried again: it fails, is slow, or is off |
| off | they wrote while the hook was switched off, and it will not get that unless you replay it |
| dead, poison | nobody tries it any more: given up after three days, or set aside |
| no_file | handed on without their file |
| unsent | a message of yours to them waits: the account is held, or Meta refuses its token |
| unknown, failed | a message of yours may not, or did not, reach them |

**Nobody here, though an alarm is on?** Redis down or full, no web process, wrong signatures, a silent number: what they
write is still with Meta, which resends it for seven days; nobody knows whom it concerns until it comes. The event log's
alarms concern nobody. What limits threw away: `whatshooked log --type event.pushed_out`.

In a terminal: `whatshooked customers --hook $hook`; with `--all` however many they are.
"""


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        "customers", "Customers", "Whom it concerns, now: whose events wait, at which hook, since when, and why."
    )
    made.choose("hook", "label_values(whatshooked_hook_active, hook)", "Hook")
    made.choose("account", "label_values(whatshooked_account_paused, account)", "Account")
    made.asks_customers()
    hook = _table("At the hook $hook", _HOOK, "HookFailing")
    account = _table("At the account $account", _ACCOUNT, "AccountHeld")
    return made.rows(
        Row("Now", [*_now(), alarms().span(12).height(12), words("Whom it concerns", _DO).span(12).height(12)]),
        Row("One hook", [hook]),
        Row("One account", [account]),
        Row("Everybody", [_table("Everybody", "", "DeliveriesLate")]),
    )


def _now() -> list[Panel]:
    people = Told(
        "Customers with something that waits or failed; what came in or was sent in the last half minute is left out.",
        "0, or few who wait.",
        "the tables below name them; the alarms say why.",
    )
    what = Told(
        "Their events and messages, at each hook.", "0, or few that wait.", "mend what the alarms name; see *State*."
    )
    whole = Told(
        "Whether one look saw everything; it takes in 5,000 events or messages of each kind, for a second.",
        "all.",
        "those who are named are concerned, and there are more: `whatshooked customers --all` tells all.",
    )
    return [
        figure("Customers concerned", people, Query("whatshooked_customers", live=True), steps=rising(1, 100)).span(5),
        figure(
            "Events and messages", what, Query("whatshooked_customers_count", live=True), steps=rising(1, 1_000)
        ).span(5),
        figure("At this hook", people, Query(f"whatshooked_customers{_HOOK}", live=True), steps=rising(1, 100)).span(5),
        figure(
            "At this account", people, Query(f"whatshooked_customers{_ACCOUNT}", live=True), steps=rising(1, 100)
        ).span(5),
        figure(
            "All of them?", whole, Query("whatshooked_customers_complete", live=True), steps=PLAIN, names=_WHOLE
        ).span(4),
    ]


def _table(title: str, where: str, alarm: str) -> Panel:
    told = Told(
        "Customers, who has waited longest first, 200 at most: at which hook and account, in which state, how many "
        "events or messages, since when, and what was said against one of them last. Of now, whatever time is shown.",
        "empty.",
        "mend what the alarms name; once it is mended tell these first. All of them: `whatshooked customers --json`.",
        alarm,
    )
    columns = [
        Column("count", f"whatshooked_customer_count{where}"),
        Column("since", f"whatshooked_customer_since_ms{where}", "dateTimeAsIso"),
    ]
    order = ("customer", "name", "account", "hook", "state", "count", "since", "error")
    longest = common.TableSortByFieldState().display_name("since").desc(False)
    made = rows(title, told, "customer", columns, named={"state": _STATES}, order=order, live=True)
    return made.sort_by([longest]).height(10).no_value("nobody")
