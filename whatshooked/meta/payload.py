"""A webhook body -> its items: every entry, change and array walked, nothing lost.

Most bodies hold messages or statuses and no key that we do not know: one typed decode takes them, about as fast as
JSON can be read. Any other body, in whatever way it is other, goes the careful way of `change`, which finds the same
items in those.
"""

from typing import Annotated, Literal

import msgspec

from whatshooked.errors import NotAWebhook
from whatshooked.meta import change, lenient
from whatshooked.meta.items import LONGEST_ID, REPEATABLE, Contacts, Item, digits
from whatshooked.meta.scan import REFUSALS

__all__ = ["Item", "NotAWebhook", "walk"]

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]


class _Metadata(msgspec.Struct, forbid_unknown_fields=True):
    display_phone_number: _Id
    phone_number_id: _Id


class _Value(msgspec.Struct, forbid_unknown_fields=True):
    metadata: _Metadata
    messaging_product: Literal["whatsapp"] = "whatsapp"
    contacts: list[msgspec.Raw] = []
    messages: list[msgspec.Raw] = []
    statuses: list[msgspec.Raw] = []


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    field: Literal["messages"]
    value: _Value


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    id: _Id
    changes: list[_Change]
    time: int = 0


class _Webhook(msgspec.Struct, forbid_unknown_fields=True):
    entry: list[_Entry]
    object: str = ""


_decoder = msgspec.json.Decoder(_Webhook)


def walk(body: bytes) -> list[Item]:
    """Return the items of a body, in its order; raises NotAWebhook if it is no JSON object with an `entry`."""
    try:
        webhook = _decoder.decode(body)
    except REFUSALS:
        return change.items(body)
    found: list[Item] = []
    for entry in webhook.entry:
        for part in entry.changes:
            if not _take(found, entry, part.value):
                return change.items(body)
    return found


def _take(found: list[Item], entry: _Entry, value: _Value) -> bool:
    """Append the value's items; False when it holds something that is not plain."""
    contact = bytes(value.contacts[0]) if len(value.contacts) == 1 else b""
    if contact and (contact[:1] != b"{" or len(contact) > REPEATABLE):
        return False
    several = Contacts([bytes(raw) for raw in value.contacts]) if len(value.contacts) > 1 else None
    metadata, time = value.metadata, lenient.seconds(entry.time) if entry.time else 0
    to = digits(metadata.display_phone_number)
    before = len(found)
    for kind, raws in (("message", value.messages), ("status", value.statuses)):
        for part in raws:
            raw = bytes(part)
            if raw[:1] != b"{":
                return False
            person = contact if several is None else several.of(raw)
            found.append(Item(kind, "messages", raw, entry.id, metadata.phone_number_id, to, person, b"", time))
    return len(found) > before and not (several and several.left())
