"""Our mark in `biz_opaque_callback_data`, which Meta echoes in every status of a message: whose message is it? Pure."""

import re
from typing import NamedTuple

_ours = re.compile(
    r"wh:(?P<id>(?P<cause>[0-9]+-[0-9]+)\.[^|]+\.[0-9]+\.[0-9]+|m[0-9]+-[0-9a-f]+)(?:\|(?P<theirs>.*))?", re.DOTALL
)


class Mark(NamedTuple):
    """What our mark says: the message's id in the outbox, the event whose reply it is, and what the sender had put."""

    message_id: str
    #: "" for a message that no hook's answer asked for.
    cause: str
    theirs: str


def mark(message_id: str, theirs: str = "") -> str:
    """Return the callback data of a message of ours, what the sender put there behind our own."""
    return f"wh:{message_id}|{theirs}" if theirs else f"wh:{message_id}"


def read(data: object) -> Mark | None:
    """Return the mark in a status's callback data, None when the message is none of ours."""
    found = _ours.fullmatch(data) if isinstance(data, str) and data.startswith("wh:") else None
    return Mark(found["id"], found["cause"] or "", found["theirs"] or "") if found else None


def reply_id(name: str, place: int) -> str:
    """Return the id of the message at a place of a reply; `name` is the reply's own, `<event>.<hook>.<ms>`."""
    return f"{name}.{place}"


def of_reply(name: str) -> str:
    """Return the event of a reply's name."""
    return name.partition(".")[0]
