"""*Hook*: one hook under the glass: does it take events, since when not, what does it owe, what to do."""

from grafana.board import Board, Row
from grafana.panels import (
    BLUE,
    GREEN,
    ON_OFF,
    ORANGE,
    RED,
    Names,
    Panel,
    Query,
    Told,
    figure,
    lines,
    rising,
    states,
    words,
)
from grafana.promql import added, ago, fact, least, rate, rise, within
from grafana.shared import FAILING, LATELY, alarms, last_receipt, refused

_THIS = 'hook="$hook"'
_DUE = fact("hook_due", where=_THIS)
_ANSWERS = {"accepted": GREEN, "refused": ORANGE, "failed": RED}
_TAKES: Names = {"1": ("yes", GREEN), "0": ("NO", RED)}
_DO = """\
**Whom it concerns**: [the dashboard Customers](/d/whatshooked-customers?var-hook=$hook) has their numbers.

**It fails** (*Not accepted* is red): the receiver of `$hook` answers no 2xx, or nothing. Mend it; what it owes goes out
by itself, tried for three days. Each event with its age and last error:

    whatshooked cache list --state waiting --hook $hook

**It is slow** (*Answers in* is high, *Owes* grows): make it faster, or raise its `concurrency` and SIGHUP.

**It is off** (*On* is red): `whatshooked hook enable $hook`, or `active` in the config. It keeps what it owes.

**Events were given up**: once it works, `whatshooked cache replay` sends what hooks have not taken.
"""


def board() -> Board:
    """Return the dashboard."""
    shows = "One hook: is it on, does it take events, since when not, how much does it owe, and what to do."
    made = Board("hook", "Hook", shows)
    made.choose("hook", "label_values(whatshooked_hook_active, hook)", "Hook")
    return made.rows(
        Row("$hook now", _now()),
        Row("Since when?", [_since(), alarms().span(8).height(7), words("What to do", _DO)]),
        Row("Does it take events?", _answers()),
        Row("What does it owe?", _owes()),
        Row("What is not as it should be", _trouble()),
    )


def _now() -> list[Panel]:
    return [*_debt(), *_receipts()]


def _debt() -> list[Panel]:
    off = Told(
        "Whether the hook is on, and who decided it: the config's file, or a switch thrown at run time.",
        "on.",
        "`whatshooked hook enable $hook`; what it owes goes out by itself.",
        "HookOff",
    )
    owes = Told(
        "Deliveries it has yet to take.", "what comes in within seconds.", "see *What to do*.", "DeliveriesLate"
    )
    for_ = Told(
        "Since when it has owed something without a pause: its oldest event is no older than that (or than the "
        "shown time; its exact age: `whatshooked cache list`).",
        "seconds.",
        "see *What to do*.",
        "DeliveriesLate",
    )
    on = Query(least("hook_active", "by", where=_THIS), "by {{by}}")
    owing = f"{ago(f'{_DUE} == 0')} or vector($__range_s)"
    return [
        figure("On", off, on, steps=((None, RED), (1, GREEN)), names=ON_OFF),
        figure("Owes", owes, Query(_DUE), steps=rising(1_000, 10_000)),
        figure("Owing for at most", for_, Query(owing), unit="s", steps=rising(300, 3_600)),
    ]


def _receipts() -> list[Panel]:
    share = Told(
        "Which part of its attempts it did not accept, in 15 minutes.", "close to 0 %.", "its log.", "HookFailing"
    )
    last = Told(
        "How long ago it last accepted an event, as far as the shown time reaches.",
        "moments ago, while events come.",
        "this is since when it fails.",
        "HookFailing",
    )
    answers = Told("How long it takes to answer, 95 of 100.", "below 2 s.", "make it faster.", "HookSlow")
    after = Told("From an event's append to its 2xx, 95 of 100.", "as *Answers in*.", "it owes much.", "HookSlow")
    given = Told(
        "Events given up after its last retry, within the shown time; they wait in the cache.",
        "0.",
        "mend it, then `whatshooked cache replay`.",
        "EventsGivenUp",
    )
    silent = f"max ({last_receipt(_THIS)}) or ({_DUE} > 0) * 0 + $__range_s"
    refusals, times = Query(refused(where=_THIS, during=LATELY)), Query(within(0.95, "attempt", where=_THIS))
    receipts = Query(within(0.95, "delivery", where=_THIS))
    return [
        figure("Not accepted", share, refusals, unit="percentunit", steps=rising(0.05, FAILING)),
        figure("Last receipt, ago", last, Query(silent), unit="s", steps=rising(300, 3_600)),
        figure("Answers in (p95)", answers, times, unit="s", steps=rising(2, 10)),
        figure("Receipt after (p95)", after, receipts, unit="s", steps=rising(5, 60)),
        figure("Given up", given, Query(rise("dead", where=_THIS)), steps=rising(1)),
    ]


def _since() -> Panel:
    told = Told(
        "Whether it is on, takes more than half of five minutes' attempts, and owes little; red begins where it began.",
        "green.",
        "see *What to do*; the marks of restarts and config reloads show what happened then.",
        "HookFailing",
    )
    return states(
        "On, takes events, up to date",
        told,
        Query(least("hook_active", where=_THIS), "on"),
        Query(f"{refused(where=_THIS, during='5m')} < bool {FAILING}", "takes events"),
        Query(f"{fact('hook_due', where=_THIS)} < bool 1000", "up to date"),
        names=_TAKES,
    )


def _answers() -> list[Panel]:
    results = Told(
        "Attempts a second: accepted (2xx), refused (another answer), failed (no answer).",
        "accepted.",
        "refused: its log. failed: is it there, do name, port and certificate hold?",
        "HookFailing",
    )
    share = Told("Which part was not accepted.", "close to 0 %.", "as in *Attempts*.", "HookFailing")
    time = Told(
        "How long one attempt takes.",
        "below 2 s; a receiver that works first and answers then is slow.",
        "answer first, work then; or raise `concurrency`.",
        "HookSlow",
    )
    shares = [Query(within(one, "attempt", where=_THIS), f"p{one * 100:g}") for one in (0.5, 0.95, 0.99)]
    by_result = Query(rate("attempts", "result", where=_THIS), "{{result}}")
    return [
        lines("Attempts", results, by_result, unit="eps", colours=_ANSWERS, stacked=True),
        lines("Not accepted", share, Query(refused(where=_THIS), "not accepted"), unit="percentunit"),
        lines("Time of an attempt", time, *shares, unit="s", steps=rising(2, 10)),
    ]


def _owes() -> list[Panel]:
    owes = Told(
        "Deliveries it has yet to take.",
        "falls as fast as it rises.",
        "rises and never falls: it is slower than what comes in. Stands still: it is off.",
        "DeliveriesLate",
    )
    flight = Told(
        "Attempts being made at this moment, by all workers.",
        "below its `concurrency`.",
        "at it all the time: raise `concurrency`, or make the receiver faster.",
        "HookSlow",
    )
    after = Told("From an event's append to its 2xx.", "as *Time of an attempt*.", "it owes much.", "HookSlow")
    shares = [Query(within(one, "delivery", where=_THIS), f"p{one * 100:g}") for one in (0.5, 0.95)]
    return [
        lines("Owes", owes, Query(fact("hook_due", where=_THIS), "owes"), colours={"owes": BLUE}),
        lines("In flight", flight, Query(added("hook_in_flight", where=_THIS), "in flight")),
        lines("Receipt after", after, *shares, unit="s"),
    ]


def _trouble() -> list[Panel]:
    again = Told("Attempts that will be made again.", "none.", "its answers: row *Does it take events?*", "HookFailing")
    leases = Told(
        "Attempts whose process died or hung, and leases given back unused.",
        "none.",
        "expired: the workers' log. late: the workers lack CPU, start more.",
        "WorkersGone",
    )
    replies = Told(
        "What it answered to have sent.",
        "kept.",
        "`whatshooked messages refused` says event and reason; mend its answer.",
    )
    return [
        lines(
            "Retries", again, Query(rate("retries", where=_THIS), "retries"), unit="eps", colours={"retries": ORANGE}
        ),
        lines(
            "Leases",
            leases,
            Query(rate("leases_expired", where=_THIS), "expired"),
            Query(rate("leases_late", where=_THIS), "late"),
            unit="eps",
        ),
        lines("Replies", replies, Query(rate("replies", "result", where=_THIS), "{{result}}"), unit="mps"),
    ]
