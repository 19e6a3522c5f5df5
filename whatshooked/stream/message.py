"""A message of the outbox: what is sent, what is known of it, and what may come of a send; pure."""

from typing import Any, Literal

import msgspec

State = Literal["new", "sending", "sent", "failed", "unknown"]
STATES: tuple[State, ...] = ("new", "sending", "sent", "failed", "unknown")
FINISHED: tuple[State, ...] = ("sent", "failed", "unknown")
Decision = Literal["resend", "drop"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send: `body` is Graph's, `cause` the event and `hook_id` the hook whose answer asked for it."""

    id: str
    recipient: str
    kind: str
    body: bytes
    #: The sender's own biz_opaque_callback_data.
    callback: str = ""
    cause: str = ""
    hook_id: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the outbox knows of a message; times are unix ms, `times` by status."""

    id: str
    state: State
    at: int
    to: str
    kind: str
    body: bytes
    callback: str = ""
    cause: str = ""
    hook: str = ""
    attempts: int = 0
    #: When an operator last put it into its line again, 0 if none did.
    since: int = 0
    wamid: str = ""
    status: str = ""
    code: int = 0
    error: str = ""
    times: dict[str, int] = {}


class Lease(msgspec.Struct, frozen=True):
    """The right to send a message once, until it ends; `token` tells it from any other lease of the message."""

    account_id: str
    token: str
    message: Record


class Claimed(msgspec.Struct, frozen=True):
    """What OUTBOX_CLAIM gave: leases, and messages that became unknown or turned out to be sent.

    `wait_ms`: when the number may pass the next message, 0 when its rate keeps nothing back.
    """

    leases: list[Lease]
    unknown: list[str]
    settled: list[str]
    wait_ms: int


class Sent(msgspec.Struct, frozen=True):
    """Graph accepted the message."""

    wamid: str


class Failed(msgspec.Struct, frozen=True):
    """Graph refused it for good."""

    code: int
    error: str


class Unknown(msgspec.Struct, frozen=True):
    """The bytes left and no answer came; with `resend` it is sent again after the delay."""

    error: str
    resend: bool = False
    delay_ms: int = 0


class Again(msgspec.Struct, frozen=True):
    """It was not sent: due again after the delay; `hold_ms` keeps the account back, `tried` counts the attempt."""

    delay_ms: int
    error: str = ""
    code: int = 0
    hold_ms: int = 0
    tried: bool = True
    #: The account waits until its credentials are accepted again.
    bad_token: bool = False


Outcome = Sent | Failed | Unknown | Again


class Told(msgspec.Struct, frozen=True):
    """A status webhook of a message of ours; `fields` are written when it is news (wamid, code, error)."""

    account_id: str
    message_id: str
    status: str
    at_ms: int
    fields: dict[str, str]
    #: The event whose reply it is, "" for a message that no hook's answer asked for.
    cause: str = ""


def written(outcome: Outcome) -> tuple[str, int, int, dict[str, str]]:
    """Return how OUTBOX_SETTLE calls an outcome: kind, delay, hold, fields."""
    match outcome:
        case Sent():
            return "sent", 0, 0, {"wamid": outcome.wamid, "code": "0", "error": ""}
        case Failed():
            return "failed", 0, 0, {"code": str(outcome.code), "error": outcome.error}
        case Unknown():
            return "resend" if outcome.resend else "unknown", outcome.delay_ms, 0, {"error": outcome.error}
        case Again():
            kind = "again" if outcome.tried else "free"
            fields = {"code": str(outcome.code), "error": outcome.error} if outcome.error else {}
            return kind, outcome.delay_ms, outcome.hold_ms, fields


def record(message_id: str, rows: Any) -> Record:
    """Return the record of a hash as Redis answers it: names and values in turn."""
    fields = {rows[i].decode(): rows[i + 1] for i in range(0, len(rows), 2)}
    times = {name.removeprefix("at:"): int(value) for name, value in fields.items() if name.startswith("at:")}
    plain = {name: value.decode() for name, value in fields.items() if name != "body" and name in _TEXTS}
    return Record(
        id=message_id,
        state=msgspec.convert(fields["state"].decode(), State),
        at=int(fields["at"]),
        attempts=int(fields.get("attempts", 0)),
        code=int(fields.get("code", 0)),
        since=int(fields.get("since", 0)),
        body=fields.get("body", b""),
        times=times,
        **plain,
    )


_TEXTS = frozenset(("to", "kind", "callback", "cause", "hook", "wamid", "status", "error"))
