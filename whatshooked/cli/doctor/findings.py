"""What a check of `doctor` says; pure."""

from typing import Literal

from msgspec import Struct

from whatshooked.cli.doctor.facts import Facts
from whatshooked.meta.failure import GraphFailure


class Finding(Struct, frozen=True):
    """What one check found; `remedy` is the command or the step that mends it."""

    level: Literal["ok", "warn", "fail"]
    check: str
    text: str
    remedy: str = ""
    account: str = ""


def unseen(check: str, failure: GraphFailure | None, blocked: bool) -> Finding:
    """Return what is said of something that Meta does not show."""
    if blocked or failure is None:
        return Finding("warn", check, "could not be looked at: mend what stands above first")
    return Finding("fail", check, failure.line, failure.hint)


def command(action: str, facts: Facts) -> str:
    """Return the command that mends something of this account."""
    return f"whatshooked account {action} --account {facts.account.id}"


def as_app(facts: Facts) -> str:
    """Return what lets Meta show what an app alone may see."""
    if not facts.api.app_secret:
        return "set app_secret (app dashboard > App settings > Basic)" + ("" if facts.app_id else " and app_id")
    if not facts.app_id:
        return "set app_id (app dashboard > App settings > Basic)"
    return "mend app_secret or app_id first: see the line app"
