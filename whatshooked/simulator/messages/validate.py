"""What a send must look like: every kind with its limits, and the marks beside them; pure.

Source: Meta's reference of the messages endpoint.
"""

import json
import re
from typing import Any

from whatshooked.meta.items import digits
from whatshooked.simulator.graph import refusals
from whatshooked.simulator.messages import interactive, template_shape
from whatshooked.simulator.messages.shapes import (
    Check,
    Found,
    Place,
    anything,
    array,
    flag,
    invalid,
    location,
    matching,
    media,
    missing,
    mistyped,
    obj,
    one_of,
    text,
)

#: A phone number as people write it, and how many digits it may have.
_phone = re.compile(r"\+?[0-9\s()-]+")
_DIGITS = range(5, 16)
_BSUID = r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}"
_NAME_PARTS = ("first_name", "last_name", "middle_name", "suffix", "prefix")


def outgoing(body: dict[str, Any]) -> Found:
    """Return what is odd about a message that may go out; raises Refusal for one that may not."""
    found = Found()
    kind = kind_of(body)
    if kind not in _KINDS:
        details = f"Parameter type must be one of {', '.join(_KINDS)}."
        raise refusals.message(131051, "Unsupported message type", details)
    _need_recipient(body, Place("", found))
    _ENVELOPES[kind](body, Place("", found))
    if kind == "reaction" and body.get("context") is not None:
        raise invalid(Place("context", found), "is not allowed with a reaction")
    return found


def decoded(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body whose objects came as text, as those of a form do, with objects in their places."""
    nested = {*_KINDS, "context", "typing_indicator"}
    return {name: _decoded(value) if name in nested else value for name, value in body.items()}


def read_mark(body: dict[str, Any]) -> Found:
    """Return what is odd about a mark that a message was read; raises Refusal for one that cannot be."""
    found = Found()
    _read_mark(body, Place("", found))
    return found


def kind_of(body: dict[str, Any]) -> str:
    """Return the type of a message, text unless it says so."""
    kind = body.get("type") or "text"
    if not isinstance(kind, str):
        raise mistyped(Place("type", Found()), "a string")
    return kind.lower()


def to_group(body: dict[str, Any]) -> bool:
    """Return whether a message goes to a group."""
    return str(body.get("recipient_type", "")).lower() == "group"


def _decoded(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        return value


def _need_recipient(body: dict[str, Any], place: Place) -> None:
    if body.get("to") in (None, "") and (to_group(body) or body.get("recipient") in (None, "")):
        raise missing(place.into("to"))
    if body.get("to") not in (None, "") and not to_group(body):
        _is_phone(body["to"], place.into("to"))


def _is_phone(value: Any, place: Place) -> None:
    """Accept a phone number; a bare number of JSON will do, since Graph takes one for the other."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise mistyped(place, "a string")
    if not _phone.fullmatch(str(value)) or len(digits(str(value))) not in _DIGITS:
        raise invalid(place, "must be a phone number: digits, +, spaces, - and () only")


def _other_part(name: dict[str, Any], place: Place) -> None:
    if not any(name.get(part) for part in _NAME_PARTS):
        raise missing(place.into(" or ".join(_NAME_PARTS)))


def _uncaptioned(value: dict[str, Any], place: Place) -> None:
    if value.get("caption") is not None:
        raise refusals.parameter(f'Unexpected key "caption" on param "{place.path}".')


def _audio(value: Any, place: Place) -> None:
    if isinstance(value, dict):
        _uncaptioned(value, place)
    media("audio", {"voice": flag})(value, place)


_caption: dict[str, Check] = {"caption": text(1024, least=0)}
_name = obj({"formatted_name": text()}, dict.fromkeys(_NAME_PARTS, text(least=0)), _other_part)
_card = obj(
    {"name": _name},
    {
        "phones": array(obj({}, {"phone": text(), "type": text(), "wa_id": text()})),
        "emails": array(obj({}, {"email": text(), "type": text()})),
        "addresses": array(
            obj({}, dict.fromkeys(("street", "city", "state", "zip", "country", "country_code", "type"), anything))
        ),
        "org": obj({}, dict.fromkeys(("company", "department", "title"), anything)),
        "urls": array(obj({}, {"url": text(), "type": text()})),
        "birthday": matching(r"\d{4}-\d\d-\d\d", "a date such as 1990-12-31"),
    },
)
_KINDS: dict[str, Check] = {
    "text": obj({"body": text(4096)}, {"preview_url": flag}),
    "image": media("image", _caption),
    "video": media("video", _caption),
    "audio": _audio,
    "document": media("document", {"filename": text(), **_caption}),
    "sticker": media("sticker"),
    "location": location,
    "contacts": array(_card, least=1, most=257),
    "reaction": obj({"message_id": text(), "emoji": text(least=0)}),
    "interactive": interactive.check,
    "template": template_shape.check,
}
_ENVELOPE: dict[str, Check] = {
    "messaging_product": anything,
    "recipient_type": one_of("individual", "group"),
    "to": anything,
    "recipient": matching(_BSUID, "a business-scoped user id"),
    "type": anything,
    "context": obj({"message_id": text()}),
    "biz_opaque_callback_data": text(512),
    "recipient_identity_key_hash": text(),
    "access_token": anything,
}
_ENVELOPES = {kind: obj({kind: shape}, _ENVELOPE) for kind, shape in _KINDS.items()}
_read_mark = obj(
    {"message_id": text(), "status": one_of("read")},
    {
        "messaging_product": anything,
        "typing_indicator": obj({"type": one_of("text")}),
        "access_token": anything,
        "recipient_type": anything,
        "to": anything,
    },
)
