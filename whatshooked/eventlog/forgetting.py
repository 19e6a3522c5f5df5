"""What is left of a row when the person it concerns is forgotten; pure."""

import re

from msgspec import structs

from whatshooked.eventlog.row import Row
from whatshooked.meta.person import FORGOTTEN, Person

#: Columns in which a person can stand; the others hold our own words, ids and numbers.
#: Meta's id of a person who shows no number; a group's looks otherwise.
_user_id = re.compile(r"[A-Z]{2}(?:\.[A-Z]{2,10})?\.[A-Za-z0-9]{6,128}")
_THEIRS = ("conversation", "message_id", "text", "data")
_PERSONAL = ("conversation", "message_id", "error", "actor", "text", "data")


def beside(row: Row, person: Person) -> str:
    """Return the user id that a row tells beside a number by which the person is known, "" when there is none."""
    name = row.conversation
    if name in person.names or not _user_id.fullmatch(name):
        return ""
    return name if person.is_named(row.message_id) else ""


def masked(row: Row, person: Person) -> Row:
    """Return a row without the person, or the row itself when it does not concern them.

    What was said goes whole, since it is theirs; what remains keeps counts true.
    """
    named = {column for column in _PERSONAL if person.is_named(getattr(row, column))}
    if row.conversation in person.names:
        named.add("conversation")
    if "message_id" in named and row.conversation:
        named.add("conversation")  # by whichever name: Meta's id says whose message it is
    if row.event_id in person.event_ids:  # a log that hides numbers knows its rows by their event alone
        named |= {column for column in _THEIRS if getattr(row, column) not in ("", FORGOTTEN)}
    if not named:
        return row
    return structs.replace(
        row,
        conversation=FORGOTTEN if "conversation" in named else row.conversation,
        message_id="" if "message_id" in named else row.message_id,
        error="" if "error" in named else row.error,
        actor=FORGOTTEN if "actor" in named else row.actor,
        text="",
        data="",
    )
