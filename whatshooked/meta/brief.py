"""An event -> what the event log shows of it: who, which message, what it says, what was wrong with it; pure."""

from typing import Any

import msgspec

from whatshooked.events import Event
from whatshooked.meta import flatten, lenient
from whatshooked.meta.scan import REFUSALS


class Brief(msgspec.Struct, frozen=True):
    """What stands in a row beside what happened; what an event does not have is empty."""

    account_id: str = ""
    #: The customer: phone digits, else user id.
    conversation: str = ""
    message_id: str = ""
    message_type: str = ""
    text: str = ""
    #: Meta's code of an error, and its words.
    code: int = 0
    error: str = ""
    #: The payload as hooks receive it, JSON, where it is wanted.
    payload: str = ""


_encode = msgspec.json.Encoder().encode


class _Text(msgspec.Struct):
    body: str


class _Plain(msgspec.Struct):
    """A text, or a status that tells of no error, as nearly all of them are: no more of it has to be looked at."""

    id: str
    #: Only a text has one, and only a status has a recipient.
    sender: str = msgspec.field(default="", name="from")
    recipient_id: str = ""
    type: str = ""
    text: _Text | None = None
    errors: msgspec.Raw | None = None


_plain = msgspec.json.Decoder(_Plain).decode


def of(event: Event, event_id: str, *, payload: bool = False) -> Brief:
    """Return what the log shows of an event, with its payload or without. Never raises."""
    return (None if payload else _quickly(event)) or _wholly(event, event_id, payload=payload)


def _quickly(event: Event) -> Brief | None:
    """Return the same at a fourth of the cost, None of what is not plain."""
    if not event.type.startswith("message."):
        return None
    try:
        item = _plain(event.raw)
    except REFUSALS:
        return None
    if event.type == "message.received":
        if item.type != "text" or item.text is None or not _is_phone(item.sender):
            return None
        return Brief(event.account_id, item.sender, item.id, "text", item.text.body)
    if item.errors is not None or not _is_phone(item.recipient_id):
        return None
    return Brief(event.account_id, item.recipient_id, item.id)


def _is_phone(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _wholly(event: Event, event_id: str, *, payload: bool) -> Brief:
    body = flatten.body(event, event_id)
    if event.type == "message.received":
        found = Brief(event.account_id, body["from"], body["message_id"], body["message_type"], body["text"])
    elif event.type.startswith("message."):
        found = _of_status(event, body["data"])
    elif event.type.startswith("meta."):
        found = _of_meta(event, body["data"].get("value"))
    else:
        found = Brief(event.account_id)
    return msgspec.structs.replace(found, payload=_encode(body).decode()) if payload else found


def _of_status(event: Event, data: dict[str, Any]) -> Brief:
    errors = data.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = lenient.text(first.get("code"))
    details = first.get("error_data")
    words = (
        lenient.text(first.get("title")),
        lenient.text(details.get("details")) if isinstance(details, dict) else "",
    )
    return Brief(
        event.account_id,
        data["from"],
        data["message_id"],
        code=int(code) if code.isdecimal() and len(code) < 10 else 0,
        error=": ".join(filter(None, words)),
    )


def _of_meta(event: Event, value: Any) -> Brief:
    """An echo is our own message, and names its customer as the one it goes to."""
    item = value if isinstance(value, dict) else {}
    names = (lenient.text(item.get(key)) for key in ("from", "from_user_id", "to", "wa_id", "user_id"))
    person = next((name for name in names if name and name != event.to), "")
    return Brief(event.account_id, person, lenient.text(item.get("id")), event.field)
