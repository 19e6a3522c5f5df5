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
