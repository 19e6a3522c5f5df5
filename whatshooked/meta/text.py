"""What a message says, as one line of text (contract, section 3, "text by message type")."""

import math
from collections.abc import Callable
from typing import Any

from whatshooked.meta import lenient

#: Where the chosen title stands, by interactive type; a flow and an address answer with a body.
_CHOICES = {"button_reply": "title", "list_reply": "title", "nfm_reply": "body"}

Object = dict[str, Any]


def of(item: Object) -> str:
    """Return the text of a message: `""` where it has none, is of an unknown type, or not of the shape it should be."""
    while item.get("type") == "edit":  # an edit holds the message as it reads now
        item = _object(_object(item.get("edit")).get("message"))
    kind = item.get("type")
    if not isinstance(kind, str) or kind not in _READERS:
        return ""
    return _READERS[kind](item.get(kind))


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Object]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _member(key: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        return lenient.text(value.get(key)) if isinstance(value, dict) else ""

    return read


def _location(value: Any) -> str:
    """`Location: Office (123 Main St) - 40.712800, -74.006000`, without the parts that are missing."""
    place = _object(value)
    name, address = lenient.text(place.get("name")), lenient.text(place.get("address"))
    latitude, longitude = _degrees(place.get("latitude")), _degrees(place.get("longitude"))
    named = " ".join(part for part in (name, f"({address})" if address else "") if part)
    point = f"{latitude:.6f}, {longitude:.6f}" if latitude is not None and longitude is not None else ""
    said = " - ".join(part for part in (named, point) if part)
    return f"Location: {said}" if said else ""


def _degrees(value: Any) -> float | None:
    try:
        degrees = float(lenient.text(value))
    except ValueError:
        return None
    return degrees if math.isfinite(degrees) else None


def _contacts(value: Any) -> str:
    """`Contacts: Ana Silva, Bo Lee`."""
    names = ", ".join(name for name in map(_full_name, _objects(value)) if name)
    return f"Contacts: {names}" if names else ""


def _full_name(card: Object) -> str:
    name = _object(card.get("name"))
    parts = (lenient.text(name.get(key)) for key in ("first_name", "last_name"))
    phones = (lenient.text(phone.get("phone")) for phone in _objects(card.get("phones")))
    return lenient.text(name.get("formatted_name")) or " ".join(filter(None, parts)) or next(phones, "")


def _interactive(value: Any) -> str:
    reply = _object(value)
    said = (lenient.text(_object(reply.get(kind)).get(key)) for kind, key in _CHOICES.items())
    return next(filter(None, said), "")


def _order(value: Any) -> str:
    """`Order: 3 items`, and ` - ` with the customer's text, if any; "items" also of one, as scripts look for it."""
    order = _object(value)
    items = order.get("product_items")
    said = lenient.text(order.get("text"))
    counted = f"Order: {len(items) if isinstance(items, list) else 0} items"
    return f"{counted} - {said}" if said else counted


_READERS: dict[str, Callable[[Any], str]] = {
    "text": _member("body"),
    "image": _member("caption"),
    "video": _member("caption"),
    "document": _member("caption"),
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "button": _member("text"),
    "reaction": _member("emoji"),
    "order": _order,
    "system": _member("body"),
}
