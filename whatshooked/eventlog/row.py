"""One line of the event log, and which lines somebody asks for; pure."""

import re
from typing import NamedTuple

import msgspec

from whatshooked.keys import FIRST_SHARD

_id = re.compile(r"(?:(.+):)?([0-9]{1,15})-([0-9]{1,15})", re.DOTALL)


class Place(NamedTuple):
    """Where a row stands: rows are ordered by it, and no two have the same. `ms` is unix milliseconds."""

    ms: int
    seq: int
    shard: str = FIRST_SHARD


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened; what does not apply is empty. The columns of the databases and the keys of a line.

    `id` is that of the activity stream, with the shard in front unless it is the first; `at` is RFC 3339 with
    milliseconds, UTC.
    """

    id: str
    at: str
    #: One of the events, or outbox.*, media.*, event.*, config.*, person.*
    type: str
    account_id: str = ""
    #: The customer: phone digits, else user id.
    conversation: str = ""
    #: The event in the stream that it is about.
    event_id: str = ""
    #: Meta's id of the message, or ours of one that is not sent yet.
    message_id: str = ""
    message_type: str = ""
    hook_id: str = ""
    state: str = ""
    attempt: int = 0
    #: HTTP status of a hook's answer, or Meta's error code.
    status: int = 0
    duration_ms: float = 0  # the very object: only it is left out of a line
    error: str = ""
    #: Who asked for it, when it was somebody.
    actor: str = ""
    text: str = ""
    #: More, as a JSON object; "" when there is none.
    data: str = ""


#: Columns that hold text of any length, beside those of `Place`.
TEXT_COLUMNS = (
    "type",
    "account_id",
    "conversation",
    "event_id",
    "message_id",
    "message_type",
    "hook_id",
    "state",
    "error",
    "actor",
    "text",
    "data",
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: an empty condition is none, all that are given must hold.

    Times are unix ms, from `since` to before `until`. `types` may end in `.*`. `text` is part of an error, in any case
    of letters. `after` is the place of the last row seen: only those behind it, in the order asked for, are wanted.
    """

    since: int | None = None
    until: int | None = None
    account_id: str = ""
    conversation: str = ""
    types: tuple[str, ...] = ()
    hook_id: str = ""
    states: tuple[str, ...] = ()
    event_id: str = ""
    text: str = ""
    newest_first: bool = True
    after: Place | None = None


class Tally(msgspec.Struct, frozen=True):
    """How many rows of one kind fell into one span of time, which begins at `ms`; `duration_ms` is their sum."""

    ms: int
    type: str
    account_id: str
    hook_id: str
    state: str
    count: int
    duration_ms: float


def place_of(row_id: str) -> Place | None:
    """Return where the row of an id stands, None when it is no such id."""
    found = _id.fullmatch(row_id)
    return Place(int(found[2]), int(found[3]), found[1] or FIRST_SHARD) if found else None


def place(row: Row) -> Place:
    """Return where a row stands; raises ValueError when its id is none of ours."""
    ms, dash, seq = row.id.partition("-")
    if dash and ms.isdecimal() and seq.isdecimal():  # the first shard's: written out, once per row that is written
        return Place(int(ms), int(seq))
    found = place_of(row.id)
    if found is None:
        raise ValueError(f"{row.id!r} is no id of the event log")
    return found


def id_of(where: Place) -> str:
    """Return the id of the row at a place."""
    shard = "" if where.shard == FIRST_SHARD else f"{where.shard}:"
    return f"{shard}{where.ms}-{where.seq}"


def is_wanted(row: Row, wanted: Wanted) -> bool:
    """Return whether a row is one of those asked for."""
    where = place(row)
    if (wanted.since is not None and where.ms < wanted.since) or (
        wanted.until is not None and where.ms >= wanted.until
    ):
        return False
    if wanted.after is not None and (where >= wanted.after if wanted.newest_first else where <= wanted.after):
        return False
    exact = (
        (wanted.account_id, row.account_id),
        (wanted.conversation, row.conversation),
        (wanted.hook_id, row.hook_id),
        (wanted.event_id, row.event_id),
    )
    if any(asked and asked != has for asked, has in exact):
        return False
    if wanted.states and row.state not in wanted.states:
        return False
    if wanted.types and not any(covers(pattern, row.type) for pattern in wanted.types):
        return False
    return wanted.text.lower() in row.error.lower()


def covers(pattern: str, row_type: str) -> bool:
    """Return whether a type is the one asked for, or of the family (`message.*`)."""
    return pattern in ("*", row_type) or (pattern.endswith(".*") and row_type.startswith(pattern[:-1]))
