"""What users answer to interactive messages: buttons, lists, flows, addresses, leave to call.

Source: Meta's reference of the `messages` webhook; `product` is made up, since its shape is not documented.
"""

import json
from collections.abc import Callable, Mapping

from whatshooked.simulator.people.details import CATALOG, PRODUCT, Details, Object, Who, quoted

_WEEK = 7 * 86_400


def interactive(variant: str, details: Details, who: Who) -> Object:
    """Return an interactive message; `empty` has been seen: it holds nothing, and the value has an error."""
    if variant == "empty":
        return {"type": "interactive"}
    kind, reply = REPLIES[variant](details, who)
    return {"type": "interactive", "interactive": {"type": kind, kind: reply}} | quoted(details, who)


def _button_reply(details: Details, _: Who) -> tuple[str, Object]:
    return "button_reply", {"id": details.choice or "yes", "title": details.text or "Yes, please"}


def _list_reply(details: Details, _: Who) -> tuple[str, Object]:
    reply = {"id": details.choice or "row-2", "title": details.text or "Tuesday", "description": "14:00 to 15:00"}
    return "list_reply", reply


def _flow(details: Details, _: Who) -> tuple[str, Object]:
    answers = {"flow_token": details.choice or "unused", "name": "Ana", "agreed": True}
    return "nfm_reply", {"name": "flow", "body": details.text or "Sent", "response_json": json.dumps(answers)}


def _address(details: Details, who: Who) -> tuple[str, Object]:
    answers = {"values": {"name": who.name, "address": "1 Example Road", "city": "Pune", "in_pin_code": "411001"}}
    body = details.text or "1 Example Road, Pune"
    return "nfm_reply", {"name": "address_message", "body": body, "response_json": json.dumps(answers)}


def _call_allowed(_: Details, who: Who) -> tuple[str, Object]:
    reply: Object = {"response": "accept", "is_permanent": False, "expiration_timestamp": int(who.stamp) + _WEEK}
    return "call_permission_reply", reply | {"response_source": "user_action"}


def _call_refused(_: Details, __: Who) -> tuple[str, Object]:
    return "call_permission_reply", {"response": "reject", "response_source": "user_action"}


def _product(_: Details, __: Who) -> tuple[str, Object]:
    return "product", {"catalog_id": CATALOG, "product_retailer_id": PRODUCT}


#: Variant -> the reply's type and what it holds.
REPLIES: Mapping[str, Callable[[Details, Who], tuple[str, Object]]] = {
    "button_reply": _button_reply,
    "list_reply": _list_reply,
    "nfm_reply": _flow,
    "address_message": _address,
    "call_permission_reply": _call_allowed,
    "call_permission_refused": _call_refused,
    "product": _product,
}
