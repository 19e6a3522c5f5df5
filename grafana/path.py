"""*Path*: what comes from Meta, followed to its end, row by row; the first row says where to look."""

from grafana import path_in, path_out, shared
from grafana.board import Board, Row
from grafana.panels import Panel, Query, Told, figure, rising
from grafana.promql import fact, least, none_is_zero


def board() -> Board:
    """Return the dashboard."""
    shows = "The path of every event: Meta, intake, stream, routing, files, hooks, cache, outbox, event log, accounts."
    return Board("path", "Path", shows).rows(
        Row("Now", [*_now(), shared.alarms(), shared.late()]),
        Row("1 · Meta", path_in.meta()),
        Row("2 · Intake: signature, never twice, safe in Redis, 200", path_in.intake()),
        Row("3 · Stream: waiting for a worker", path_in.stream()),
        Row("4 · Routing: which hook wants it", path_in.routing()),
        Row("5 · Files of messages", path_in.files()),
        Row("6 · Hooks", [shared.hooks(), *path_out.hooks()]),
        Row("7 · Cache: what some hook has not taken", path_out.cache()),
        Row("8 · Replies and outbox", [shared.accounts(), *path_out.outbox()]),
        Row("9 · Event log", path_out.log()),
        Row("10 · Is everything accounted for?", path_out.accounted()),
    )


def _now() -> list[Panel]:
    return [
        shared.unaccounted(),
        _given_up(),
        _owed(),
        _oldest(),
        _failing(),
        _accounts_out(),
        shared.redis(),
        shared.workers(),
    ]


def _given_up() -> Panel:
    told = Told(
        "Events in the cache that nobody tries any more: given up by a hook after three days, or set aside as poison.",
        "0.",
        "row 7 says which; mend the hook, then `whatshooked cache replay`.",
        "EventsGivenUp",
    )
    count = fact("cache_events", "state", where='state=~"dead|poison"')
    return figure("Given up, kept", told, Query(f"sum({count})"), steps=rising(1))


def _owed() -> Panel:
    told = Told(
        "Deliveries that hooks have yet to take, of all hooks: waiting for a try or in flight.",
        "what comes in within seconds.",
        "row 6: the hook that owes most is failing, slow, or off.",
        "DeliveriesLate",
    )
    return figure("Owed to hooks", told, Query(f"sum({shared.OWED})"), steps=rising(1_000, 10_000))


def _oldest() -> Panel:
    told = Told(
        "How long the oldest event has waited in the cache.",
        "seconds; as long as the outage while a hook is down.",
        "`whatshooked cache list --state waiting --hook HOOK`, with the hook of row 6 that owes most, says why.",
        "CacheOld",
    )
    return figure("Oldest in cache", told, Query(fact("cache_oldest_seconds")), unit="s", steps=rising(900, 14_400))


def _failing() -> Panel:
    told = Told(
        "Hooks that owe something and did not accept more than half of the attempts of the last 15 minutes.",
        "0.",
        "row 6 names them; click one to see since when.",
        "HookFailing",
    )
    query = none_is_zero(f"count({shared.failing()})")
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
