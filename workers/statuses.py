"""A status webhook -> what it says of a message of ours; pure."""

from typing import Any

from whatshooked.events import Event
from whatshooked.meta import callback, lenient
from whatshooked.stream.outbox import Told

#: Stands in every status of ours, however Meta escapes it: next to no other event is looked into.
_MARK = b"wh:"


def told(event: Event) -> Told | None:
    """Return what an event says of a message of ours, None for any other."""
    if not event.type.startswith("message.") or event.type == "message.received" or _MARK not in event.raw:
        return None
    found = lenient.item(event.raw)
    item: dict[str, Any] = found if isinstance(found, dict) else {}
    mark = callback.read(item.get("biz_opaque_callback_data"))
    status = item.get("status")
    if mark is None or not isinstance(status, str):
        return None
    fields = {"wamid": lenient.text(item.get("id"))} | _failure(item.get("errors"))
    at_ms = lenient.seconds(item.get("timestamp")) * 1000
    return Told(event.account_id, mark.message_id, status.lower(), at_ms, fields, mark.cause)


def _failure(errors: Any) -> dict[str, str]:
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return {}
    details = first.get("error_data")
    detail = lenient.text(details.get("details")) if isinstance(details, dict) else ""
    said = [lenient.text(first.get("title")) or lenient.text(first.get("message")), detail]
    return {"code": lenient.text(first.get("code")) or "0", "error": ": ".join(part for part in said if part)}
