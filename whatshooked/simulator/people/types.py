"""What a user's message holds, by its type: the keys beside those that every message has.

Source: Meta's reference of the `messages` webhook; `future` and the texts are made up.
"""

import base64
import hashlib
from collections.abc import Mapping

from whatshooked.simulator.people.details import CATALOG, PRODUCT, Details, Maker, Object, Who, error, quoted, referred
from whatshooked.simulator.people.replies import REPLIES, interactive

_MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "document": "application/pdf",
    "sticker": "image/webp",
}
#: What WhatsApp calls the things that the Cloud API does not show.
_HIDDEN = (
    "poll_creation",
    "poll_update",
    "edit",
    "pin",
    "gif",
    "group_invite",
    "keep_in_chat",
    "link_preview",
    "hsm",
    "list",
    "media_placeholder",
)


def _text(_: str, details: Details, __: Who) -> Object:
    return {"type": "text", "text": {"body": details.text or "Hello"}}


def _media(kind: str) -> Maker:
    """Return what makes messages of a kind of media; a file above 100 MB comes as an error in its place."""

    def make(variant: str, details: Details, who: Who) -> Object:
        if variant == "too_large":
            told = error(131052, "Media download error", "The file is larger than 100 MB.")
            return {"type": "unsupported", "errors": [told]}
        mime_type = "audio/ogg; codecs=opus" if variant == "voice" else _MIME_TYPES[kind]
        held = details.media or _lying_nowhere(mime_type, who)
        return {"type": kind, kind: held | _beside_media(kind, variant, details)}

    return make


def _lying_nowhere(mime_type: str, who: Who) -> Object:
    """Return the media object of a file that nobody has."""
    digest = hashlib.sha256(who.message_id.encode()).digest()
    number = int.from_bytes(digest[:6], "big")
    return {"id": f"6{number:015d}", "mime_type": mime_type, "sha256": base64.b64encode(digest).decode()}


def _beside_media(kind: str, variant: str, details: Details) -> Object:
    if kind == "audio":
        return {"voice": variant == "voice"}
    if kind == "sticker":
        return {"animated": variant == "animated"}
    found = {"caption": details.text} if details.text else {}
    if kind == "document" and variant != "no_filename":
        found["filename"] = details.filename or "offer.pdf"
    return found


def _location(variant: str, details: Details, _: Who) -> Object:
    found: Object = {"latitude": details.latitude, "longitude": details.longitude}
    if variant != "bare":
        named = details.place or "Brandenburg Gate"
        found |= {"name": named, "address": "Pariser Platz, 10117 Berlin", "url": "https://example.com/gate"}
    return {"type": "location", "location": found}


def _contacts(variant: str, details: Details, _: Who) -> Object:
    phones = [{"phone": "+49 1512 0000007", "wa_id": "4915120000007", "type": "CELL"}]
    if variant == "bare":
        return {"type": "contacts", "contacts": [{"phones": phones}]}
    name = details.text or "Dana Weber"
    first, _space, last = name.partition(" ")
    card: Object = {
        "name": {"formatted_name": name, "first_name": first, **({"last_name": last} if last else {})},
        "phones": phones,
        "emails": [{"email": "dana@example.com", "type": "WORK"}],
        "org": {"company": "Example Ltd", "title": "Buyer"},
        "addresses": [{"street": "Hauptstr. 1", "city": "Berlin", "country_code": "de", "type": "HOME"}],
        "urls": [{"url": "https://example.com", "type": "WORK"}],
        "birthday": "1990-02-28",
        "vcard": f"BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nEND:VCARD",
    }
    return {"type": "contacts", "contacts": [card]} | ({"origin": "contact_request"} if variant == "requested" else {})


def _button(variant: str, details: Details, who: Who) -> Object:
    said = details.text or "Stop"
    found: Object = {"type": "button", "button": {"payload": details.choice or said, "text": said}}
    return found if variant == "no_context" else found | quoted(details, who)


def _reaction(variant: str, details: Details, who: Who) -> Object:
    """A reaction is taken back by one without an emoji, or with an empty one: both are seen."""
    emoji = {"removed": {}, "removed_empty": {"emoji": ""}}.get(variant, {"emoji": details.emoji})
    return {"type": "reaction", "reaction": {"message_id": referred(details, who)} | emoji}


def _order(_: str, details: Details, __: Who) -> Object:
    items = [
        {"product_retailer_id": PRODUCT, "quantity": 2, "item_price": 4.5, "currency": "EUR"},
        {"product_retailer_id": "sku-0815", "quantity": 1, "item_price": 12, "currency": "EUR"},
    ]
    found: Object = {"catalog_id": CATALOG, "product_items": items}
    return {"type": "order", "order": found | ({"text": details.text} if details.text else {})}


def _system(variant: str, details: Details, who: Who) -> Object:
    told: Object = {"type": variant}
    match variant:
        case "user_changed_number":
            told |= {"wa_id": details.new_phone, "body": f"{who.name} changed to {details.new_phone}"}
        case "customer_changed_number":
            told |= {"new_wa_id": details.new_phone, "customer": who.phone}
            told["body"] = f"User {who.name} changed from {who.phone} to {details.new_phone}"
        case "user_changed_user_id":
            told |= {"user_id": details.new_user_id, "previous_user_id": who.user_id}
            told["body"] = f"{who.name} has a new user id"
        case _:
            told |= {"identity": "3A1F0C77", "wa_id": who.phone, "body": f"The security code of {who.name} changed"}
    return {"type": "system", "system": told}


def _edit(_: str, details: Details, who: Who) -> Object:
    now = {"type": "text", "text": {"body": details.text or "Hello (mended)"}}
    return {"type": "edit", "edit": {"original_message_id": referred(details, who), "message": now}}


def _revoke(_: str, details: Details, who: Who) -> Object:
    return {"type": "revoke", "revoke": {"original_message_id": referred(details, who)}}


def _request_welcome(_: str, __: Details, ___: Who) -> Object:
    return {"type": "request_welcome"}


def _not_shown() -> list[Object]:
    return [error(131051, "Message type unknown", "Message type is currently not supported.")]


def _unsupported(variant: str, _: Details, __: Who) -> Object:
    if variant == "unavailable":
        return {"type": "unsupported", "errors": [error(131060, "This message is unavailable", "Message unavailable.")]}
    found: Object = {"type": "unsupported", "errors": _not_shown()}
    return found if variant == "no_type" else found | {"unsupported": {"type": variant}}


def _unknown(_: str, __: Details, ___: Who) -> Object:
    return {"type": "unknown", "errors": _not_shown()}


def _future(_: str, details: Details, __: Who) -> Object:
    return {"type": "hologram", "hologram": {"depth_mm": 12, "caption": details.text or "A type of tomorrow"}}


#: Kind -> who makes it, and its variants, the usual one first. `future` is a type that nobody knows yet.
MAKERS: Mapping[str, tuple[Maker, tuple[str, ...]]] = {
    "text": (_text, ()),
    "image": (_media("image"), ("usual", "too_large")),
    "video": (_media("video"), ("usual", "too_large")),
    "audio": (_media("audio"), ("usual", "voice", "too_large")),
    "document": (_media("document"), ("usual", "no_filename", "too_large")),
    "sticker": (_media("sticker"), ("usual", "animated")),
    "location": (_location, ("named", "bare")),
    "contacts": (_contacts, ("usual", "bare", "requested")),
    "interactive": (interactive, (*REPLIES, "empty")),
    "button": (_button, ("usual", "no_context")),
    "reaction": (_reaction, ("usual", "removed", "removed_empty")),
    "order": (_order, ()),
    "system": (
        _system,
        ("user_changed_number", "customer_changed_number", "user_changed_user_id", "customer_identity_changed"),
    ),
    "edit": (_edit, ()),
    "revoke": (_revoke, ()),
    "request_welcome": (_request_welcome, ()),
    "unsupported": (_unsupported, (*_HIDDEN, "no_type", "unavailable")),
    "unknown": (_unknown, ()),
    "future": (_future, ()),
}
