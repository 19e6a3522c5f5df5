"""An event -> what hooks receive, as JSON bytes (contract, section 3, "Payloads").

Nothing that Meta sent is lost on the way. A message or status keeps every key that the flat form does not carry under
the key's own name; where one of ours has that name already, or a value does not fit the form, the whole item stands
under `raw`. The `contacts[]` object of the person stands under `contact`.
"""

import functools
import time
from typing import Any

import msgspec

from whatshooked.events import Event
from whatshooked.meta import attachment, callback, codes, lenient, text
from whatshooked.meta.decode import MESSAGE_TYPES, decode_item
from whatshooked.meta.items import digits

#: Keys that the flat form of a message, and the data of a status, carry under other names.
_OF_MESSAGE = frozenset(("id", "from", "timestamp", "type", "text"))
_OF_STATUS = frozenset(("id", "status", "timestamp", "biz_opaque_callback_data"))
#: Keys of ours that stand in some payloads only; an item's own never take their place.
_OURS = frozenset(
    ("media", "raw", "callback_data", "outbox_id", "cause", "retry", "user_id", "contact", "foreign_number")
)
_PHONE_MARKS = str.maketrans("", "", "+ ().-")

_encode = msgspec.json.Encoder().encode
_text = lenient.text

Object = dict[str, Any]


class Handed(msgspec.Struct, frozen=True):
    """A message's file as one hook gets it: `url`, `base64` or both, or why there is none (`error`)."""

    filename: str = ""
    mime_type: str = ""
    size: int = 0
    url: str = ""
    #: Encoded already.
    base64: str = ""
    error: str = ""


#: A file that nobody has fetched.
NOT_FETCHED = Handed(error="not fetched")


def payload(event: Event, event_id: str, file: Handed = NOT_FETCHED) -> bytes:
    """Return the JSON body that hooks receive for an event, `event_id` being its id in the stream. Never raises.

    `file` is the one that a message brings, and means nothing for others.
    """
    return _encode(body(event, event_id, file))


def body(event: Event, event_id: str, file: Handed = NOT_FETCHED) -> Object:
    """Return the same before it is encoded."""
    if event.type == "message.received":
        return _message(event, event_id, file)
    if event.type.startswith("message."):
        return _status(event, event_id)
    if event.type.startswith("meta."):
        return _meta(event, event_id)
    return {"event_type": event.type, "timestamp": _streamed(event_id), "data": decode_item(event.raw)}


def _message(event: Event, event_id: str, file: Handed) -> Object:
    item, contact = decode_item(event.raw), _contact(event)
    kind = _text(item.get("type"))
    sent = lenient.seconds(item.get("timestamp"))
    flat: Object = {
        "account_id": event.account_id,
        "message_id": _text(item.get("id")),
        "from": _phone(item.get("from")) or _text(item.get("from_user_id")) or _person(contact),
        "to": event.to,
        "text": text.of(item),
        "timestamp": _rfc3339(sent) if sent else _streamed(event_id),
        "is_group": bool(_text(item.get("group_id"))),
        "sender_name": _name(contact),
        "message_type": kind or "unknown",
        "event_id": event_id,
    }
    _add_person(flat, event, item.get("from_user_id"), contact)
    if kind in attachment.KINDS and isinstance(item.get(kind), dict):
        flat["media"] = _media(kind, item[kind], file)
    told = _add_rest(flat, item, _OF_MESSAGE) and _tells(flat, item, sent)
    if not told or kind not in MESSAGE_TYPES:
        flat["raw"] = item
    return flat


def _status(event: Event, event_id: str) -> Object:
    item, contact = decode_item(event.raw), _contact(event)
    sent = lenient.seconds(item.get("timestamp"))
    when = _rfc3339(sent) if sent else _streamed(event_id)
    recipient = _text(item.get("recipient_user_id"))
    data: Object = {
        "account_id": event.account_id,
        "message_id": _text(item.get("id")),
        "from": _phone(item.get("recipient_id")) or recipient or _person(contact),
        "timestamp": when,
        "status": item.get("status"),
        "event_id": event_id,
    }
    _add_person(data, event, recipient, contact)
    _add_callback(data, item)
    if event.type == "message.failed":
        data["retry"] = _may_be_tried_again(item.get("errors"))
    if not (_add_rest(data, item, _OF_STATUS) and _tells_id_and_time(item, sent)):
        data["raw"] = item
    return {"event_type": event.type, "timestamp": when, "data": data}


def _add_callback(data: Object, item: Object) -> None:
    """Add what the sender of the message had put into it; of a message of ours also its id and the event it answers."""
    if "biz_opaque_callback_data" not in item:
        return
    found = item["biz_opaque_callback_data"]
    mark = callback.read(found)
    if mark is None:
        data["callback_data"] = found
        return
    data["outbox_id"] = mark.message_id
    if mark.cause:
        data["cause"] = mark.cause
    if mark.theirs:
        data["callback_data"] = mark.theirs


def _may_be_tried_again(errors: Any) -> bool:
    """Return whether the same message may go through later, by Meta's own table of codes."""
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = lenient.text(first.get("code"))
    return code.isdecimal() and codes.retry(int(code), 0) is not codes.Retry.NEVER


def _meta(event: Event, event_id: str) -> Object:
    value, context = lenient.item(event.raw), decode_item(event.context or b"{}")
    own = value.get("timestamp") if isinstance(value, dict) else None
    sent = lenient.seconds(own) or lenient.seconds(context.get("entry_time"))
    ours = {"account_id": event.account_id, "field": event.field, "value": value, "event_id": event_id}
    data = {**ours, **context, **ours}  # ours first in order, and never replaced
    if event.contact:
        data["contact"] = decode_item(event.contact)
    if event.foreign:
        data["foreign_number"] = True
    return {"event_type": event.type, "timestamp": _rfc3339(sent) if sent else _streamed(event_id), "data": data}


def name(event: Event) -> str:
    """Return what the person of an event calls themselves, "" where Meta did not say."""
    return _name(_contact(event))


def _contact(event: Event) -> Object:
    return decode_item(event.contact) if event.contact else {}


def _add_person(flat: Object, event: Event, named: Any, contact: Object) -> None:
    if user_id := _text(named) or _text(contact.get("user_id")):
        flat["user_id"] = user_id
    if contact:
        flat["contact"] = contact
    if event.foreign:
        flat["foreign_number"] = True


def _add_rest(flat: Object, item: Object, carried: frozenset[str]) -> bool:
    """Add the item's keys that are not carried already; False when one of ours has a key's name."""
    free = True
    for key, value in item.items():
        if key in carried:
            continue
        if key in flat or key in _OURS:
            free = False
        else:
            flat[key] = value
    return free


def _tells(flat: Object, item: Object, sent: int) -> bool:
    """Whether the flat form of a message tells all that its item does."""
    said = item.get("text")
    told = said is None or (item.get("type") == "text" and said == {"body": flat["text"]})
    return told and _is_text(item, "from") and _is_text(item, "type") and _tells_id_and_time(item, sent)


def _tells_id_and_time(item: Object, sent: int) -> bool:
    return _is_text(item, "id") and ("timestamp" not in item or _text(item["timestamp"]) == str(sent))


def _is_text(item: Object, key: str) -> bool:
    value = item.get(key)
    return value is None or isinstance(value, str) or bool(_text(value))


def _media(kind: str, told: Object, file: Handed) -> Object:
    """Return what is known of a file: where it is, what is in it, and what its webhook said."""
    media: Object = {
        "type": kind,
        "mime_type": _text(told.get("mime_type")) or file.mime_type,
        "filename": file.filename,
    }
    media |= {name: value for name in ("url", "base64", "size", "error") if (value := getattr(file, name))}
    media |= {key: told[key] for key in ("id", "sha256", "caption", "voice", "animated") if key in told}
    if "filename" in told:
        media["original_filename"] = told["filename"]
    return media


def _name(contact: Object) -> str:
    profile = contact.get("profile")
    return _text(profile.get("name")) or _text(profile.get("username")) if isinstance(profile, dict) else ""


def _person(contact: Object) -> str:
    return _phone(contact.get("wa_id")) or _text(contact.get("user_id"))


def _phone(value: Any) -> str:
    """Return a phone's digits; whatever is no phone (a group's id, say) as it is."""
    number = _text(value)
    bare = number.translate(_PHONE_MARKS) if number else ""
    return digits(number) if bare.isascii() and bare.isdecimal() else number


def _streamed(event_id: str) -> str:
    """Return when the event entered the stream: its id opens with that time in ms, behind the shard's number if any."""
    return _rfc3339(lenient.seconds(event_id.rpartition(":")[2].partition("-")[0]))


@functools.lru_cache(maxsize=512)
def _rfc3339(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
