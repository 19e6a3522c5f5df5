"""What the send of a template must look like, whatever the template: its name, components and parameters; pure.

Source: Meta's reference of template messages. Whether the parameters fit the template is templated.py's question.
"""

from typing import Any

from whatshooked.simulator.messages.shapes import (
    Check,
    Place,
    anything,
    array,
    between,
    invalid,
    location,
    media,
    missing,
    mistyped,
    obj,
    one_of,
    text,
)

#: Places of a template's buttons.
_INDEXES = tuple("0123456789")
_money = obj({"fallback_value": text(), "code": text(), "amount_1000": between(-1e15, 1e15)})
#: What a parameter of a template holds, by its type; all stand under the type's name.
_PARAMETERS: dict[str, Check] = {
    "text": text(),
    "currency": _money,
    "date_time": obj({"fallback_value": text()}, dict.fromkeys(("calendar", "component"), anything)),
    "image": media("image"),
    "video": media("video"),
    "document": media("document", {"filename": text()}),
    "location": location,
    "payload": text(),
    "coupon_code": text(),
    "action": obj({}, {"flow_token": text(), "flow_action_data": anything, "thumbnail_product_retailer_id": text()}),
}


def _index(value: Any, place: Place) -> None:
    if str(value) not in _INDEXES:
        raise invalid(place, "must be one digit")


def _typed(value: Any, place: Place) -> str:
    """Return the type of a part of a template; raises Refusal when it has none."""
    if not isinstance(value, dict):
        raise mistyped(place, "an object")
    if value.get("type") is None:
        raise missing(place.into("type"))
    text()(value["type"], place.into("type"))
    return str(value["type"]).lower()


def _parameter(value: Any, place: Place) -> None:
    kind = _typed(value, place)
    if kind in _PARAMETERS:
        obj({"type": anything, kind: _PARAMETERS[kind]}, {"parameter_name": text()})(value, place)


def _component(value: Any, place: Place) -> None:
    kind = _typed(value, place)
    if kind in _COMPONENTS:
        _COMPONENTS[kind](value, place)


_parameters: dict[str, Check] = {"parameters": array(_parameter)}
_part = obj({"type": anything}, _parameters)
#: Components that we look into; others (carousel, limited_time_offer ...) pass as they are.
_COMPONENTS = {
    "header": _part,
    "body": _part,
    "button": obj({"type": anything, "sub_type": text(), "index": _index}, _parameters),
}
check = obj(
    {"name": text(512), "language": obj({"code": text()}, {"policy": one_of("deterministic")})},
    {"components": array(_component), "namespace": anything},
)
