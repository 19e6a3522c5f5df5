"""What is left of a row when the person it concerns is forgotten; pure."""

from msgspec import structs

from whatshooked.eventlog.row import Row
from whatshooked.meta.person import FORGOTTEN, Person

#: Columns in which a person can stand; the others hold our own words, ids and numbers.
_THEIRS = ("conversation", "message_id", "text", "data")
_PERSONAL = ("conversation", "message_id", "error", "actor", "text", "data")


def masked(row: Row, person: Person) -> Row:
    """Return a row without the person, or the row itself when it does not concern them.

    What was said goes whole, since it is theirs; what remains keeps counts true.
    """
    named = {column for column in _PERSONAL if person.is_named(getattr(row, column))}
    if row.conversation in person.names:
        named.add("conversation")
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
