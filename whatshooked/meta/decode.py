"""An item -> the event that enters the stream, with the identity by which its redeliveries are known.

Meta resends for seven days whatever it got no 200 for, and a failing app makes duplicates for a healthy one. The same
thing must then have the same identity, and two things never: see `_identity`.
"""

import hashlib
import re
from typing import Any

import msgspec

from whatshooked.events import ENTRY_VERSION, Event
from whatshooked.meta import attachment, lenient
from whatshooked.meta.items import Item
from whatshooked.meta.scan import REFUSALS

_DAY = 86_400
_OTHERS = ("text", "location", "contacts", "interactive", "button", "reaction", "order", "system", "edit", "revoke")
#: The types of messages that we know, as Meta's reference has them.
MESSAGE_TYPES = attachment.KINDS.union(_OTHERS, ("request_welcome", "unsupported"))
#: The same of statuses, and of fields: but for `group_*`, which are all of one shape.
_STATUSES = frozenset({"sent", "delivered", "read", "failed", "played", "deleted", "warning", "pending"})
_FIELDS = frozenset(
    (
        *("errors", "user_actions", "calls", "user_preferences", "standby", "messaging_handovers", "automatic_events"),
        *("message_echoes", "smb_message_echoes", "smb_app_state_sync", "history", "tracking_events", "flows"),
        *("message_template_status_update", "message_template_quality_update", "message_template_components_update"),
        *("template_category_update", "account_update", "account_alerts", "account_review_update", "security"),
        *("account_settings_update", "phone_number_quality_update", "phone_number_name_update", "partner_solutions"),
        *("business_capability_update", "business_username_update", "business_status_update", "consumer_profile"),
        *("campaign_status_update", "payment_configuration_update", "user_id_update"),
    )
)
#: What a status or field may be called to stand in an event's name.
_status_name = re.compile(r"[a-z0-9_]{1,32}")
_field_name = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Incoming(msgspec.Struct):
    """An event on its way into the stream."""

    event: Event
    #: 16 bytes, the same for every redelivery of the event and for no other.
    identity: bytes
    #: Day of Meta's own time (days since 1970), 0 without: it chooses the bucket in which redeliveries are looked up.
    day: int
    #: message, status or other.
    kind: str
    #: Meta's own time (unix seconds), 0 without. Of what is no message and no status it is when Meta sent it: there the
    #: item's own may be of another year.
    when: int
    #: What was kept without being understood, as the metric names it; "" when all was.
    leftover: str


class _Head(msgspec.Struct):
    """What of a message, status or other item tells which one it is."""

    id: Any = None
    type: Any = None
    status: Any = None
    timestamp: Any = None
    recipient_id: Any = None
    recipient_user_id: Any = None
    recipient_participant_id: Any = None
    recipient_participant_user_id: Any = None


_head_decoder = msgspec.json.Decoder(_Head)
_HEAD_KEYS = _Head.__struct_fields__
_pack = msgspec.msgpack.Encoder().encode
_text = lenient.text


def decode_item(raw: bytes) -> dict[str, Any]:
    """Return an item as a dict, whatever it holds; what is no object stands under `value`. Never raises."""
    found = lenient.item(raw)
    return found if isinstance(found, dict) else {"value": found}


def event(item: Item, account_id: str, foreign: bool, trace: bytes | None = None) -> Incoming:
    """Return the event of an item of this account; `foreign` when Meta named a number that is none of ours."""
    head = _head(item.raw)
    sent = lenient.seconds(head.timestamp)
    identity = _identity(item, account_id, head, sent)
    when = sent or item.time
    entry = Event(
        ENTRY_VERSION,
        _type(item, head),
        account_id,
        item.raw,
        item.to,
        item.contact,
        item.field if item.kind == "meta" else "",
        foreign,
        item.context,
        trace,
    )
    digest = hashlib.blake2b(identity, digest_size=16).digest()
    if item.kind == "meta":
        return Incoming(entry, digest, when // _DAY, "other", item.time, _leftover_part(item))
    return Incoming(entry, digest, when // _DAY, item.kind, when, _leftover(item, head))


def _head(raw: bytes) -> _Head:
    try:
        return _head_decoder.decode(raw)
    except REFUSALS:
        found = lenient.item(raw)
        return _Head(**{key: found.get(key) for key in _HEAD_KEYS}) if isinstance(found, dict) else _Head()


def _type(item: Item, head: _Head) -> str:
    if item.kind == "message":
        return "message.received"
    if item.kind == "status":
        status = head.status.lower() if isinstance(head.status, str) else ""
        known = _status_name.fullmatch(status) and status != "received"  # that name is the inbound messages'
        return f"message.{status}" if known else "message.unknown"
    return f"meta.{item.field}" if _field_name.fullmatch(item.field) else "meta.unknown"


def _leftover(item: Item, head: _Head) -> str:
    if not _text(head.id):
        return "no_id"
    if item.kind == "message":
        return "" if _text(head.type) in MESSAGE_TYPES else "unknown_type"
    return "" if _text(head.status).lower() in _STATUSES else "unknown_status"


def _leftover_part(item: Item) -> str:
    if item.field == "unknown" or item.raw[:1] != b"{":
        return "unreadable_item"
    if item.field == "messages":
        return "unknown_part"
    return "" if item.field in _FIELDS or item.field.startswith("group_") else "unknown_field"


def _identity(item: Item, account_id: str, head: _Head, sent: int) -> bytes:
    """Return what tells this item apart, before hashing.

    A message: its id, type and time, so that an edit under the same id is another one. A status: its id, name, time,
    recipient and group participant, since the statuses of a group share all the rest. Any other: its bytes, and where
    it bears no time of its own also the change it came in, or the same alert would count but once in eight days.
    """
    name = _text(head.id)
    if name and item.kind == "message":
        return _pack(("message", account_id, name, _text(head.type), _text(head.timestamp)))
    if name and item.kind == "status":
        recipient = _text(head.recipient_id) or _text(head.recipient_user_id)
        participant = _text(head.recipient_participant_id) or _text(head.recipient_participant_user_id)
        who = (_text(head.timestamp), recipient, participant)
        return _pack(("status", account_id, name, _text(head.status), *who))
    return _pack(("item", account_id, item.field, item.raw, b"" if sent else item.origin))
