"""Counts of the event log -> what accounts and hooks did in a span of time; pure."""

from collections.abc import Iterable

import msgspec

from whatshooked.eventlog.row import Tally


class Period(msgspec.Struct, frozen=True):
    """A span of time and how it is divided: unix ms, and `bars` parts of `bar_ms` each, up to `until`."""

    name: str
    until: int
    bar_ms: int
    bars: int

    @property
    def since(self) -> int:
        """Return where it begins (unix ms)."""
        return self.until - self.bar_ms * self.bars


class Account(msgspec.Struct):
    """What passed through an account; `received_bars` is how many came in each part of the period."""

    received: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    replies: int = 0
    received_bars: list[int] = []


class Hook(msgspec.Struct):
    """What a hook did: events it accepted, attempts that failed, events given up, and how long attempts took."""

    accepted: int = 0
    failed: int = 0
    dead: int = 0
    mean_ms: float | None = None
    accepted_bars: list[int] = []


class Figures(msgspec.Struct):
    """A period's accounts and hooks, by id."""

    accounts: dict[str, Account]
    hooks: dict[str, Hook]


def hour(now: int) -> Period:
    """Return the hour before `now` (unix ms), in parts of 5 minutes."""
    return Period("last hour, per 5 minutes", now, 300_000, 12)


def day(now: int) -> Period:
    """Return the day before `now` (unix ms), in hours."""
    return Period("last day, per hour", now, 3_600_000, 24)


def figures(tallies: Iterable[Tally], period: Period) -> Figures:
    """Return what counts say of a period; they may begin before it, and be of a part of a bar each."""
    tallies = [one for one in tallies if one.ms >= period.since]
    accounts = sorted({one.account_id for one in tallies if _is_traffic(one) and one.account_id})
    hooks = sorted({one.hook_id for one in tallies if one.type.startswith("hook.") and one.hook_id})
    return Figures(
        {name: _account([one for one in tallies if one.account_id == name], period) for name in accounts},
        {name: _hook([one for one in tallies if one.hook_id == name], period) for name in hooks},
    )


def _account(tallies: list[Tally], period: Period) -> Account:
    def count(kind: str) -> int:
        return sum(one.count for one in tallies if one.type == kind)

    return Account(
        received=count("message.received"),
        # A message of ours is in the outbox, and has statuses; one that another program sent has statuses alone.
        sent=max(count("message.sent"), count("outbox.sent")),
        delivered=count("message.delivered"),
        read=count("message.read"),
        failed=max(count("message.failed"), count("outbox.failed")),
        replies=sum(one.count for one in tallies if one.type == "outbox.new" and one.hook_id),
        received_bars=_bars((one for one in tallies if one.type == "message.received"), period),
    )


def _hook(tallies: list[Tally], period: Period) -> Hook:
    accepted = [one for one in tallies if one.type == "hook.success"]
    failed = [one for one in tallies if one.type == "hook.failed"]
    attempts = sum(one.count for one in (*accepted, *failed))
    took = sum(one.duration_ms for one in (*accepted, *failed))
    return Hook(
        accepted=sum(one.count for one in accepted),
        failed=sum(one.count for one in failed),
        dead=sum(one.count for one in failed if one.state == "dead"),
        mean_ms=round(took / attempts, 1) if attempts else None,
        accepted_bars=_bars(accepted, period),
    )


def _bars(tallies: Iterable[Tally], period: Period) -> list[int]:
    bars = [0] * period.bars
    for one in tallies:
        bars[(one.ms - period.since) // period.bar_ms] += one.count
    return bars


def _is_traffic(tally: Tally) -> bool:
    return tally.type.startswith(("message.", "outbox."))
