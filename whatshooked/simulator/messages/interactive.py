"""What an interactive message must look like: buttons, lists, links, flows, requests; pure.

Source: Meta's pages on interactive messages. Kinds with a catalog or a call behind them pass as they are.
"""

from typing import Any

from whatshooked.simulator.messages.shapes import (
    Check,
    Place,
    anything,
    array,
    each,
    either,
    invalid,
    media,
    missing,
    obj,
    one_of,
    text,
    unlike,
    without,
)

#: Kinds whose shape is not looked at.
PASSED_THROUGH = frozenset(
    {
        "product",
        "product_list",
        "catalog_message",
        "call_permission_request",
        "voice_call",
        "request_contact_info",
        "carousel",
        "address_message",
    }
)
_HEADERS = ("text", "image", "video", "document")
#: Rows of a list, in all of its sections together.
_MOST_ROWS = 10
#: Where most emoji stand, and the older signs that are shown as such.
_EMOJI = ((0x1F000, 0x1FBFF), (0x2600, 0x27BF))


def check(value: Any, place: Place) -> None:
    """Refuse what is no interactive message."""
    if not isinstance(value, dict) or value.get("type") is None:
        obj({"type": anything})(value, place)
    one_of(*_KINDS, *PASSED_THROUGH)(value["type"], place.into("type"))
    _KINDS.get(value["type"].lower(), anything)(value, place)


def _header(*kinds: str) -> Check:
    """Accept a header of one of these kinds, its content under the kind's name."""
    contents: dict[str, Check] = {"text": text(60), **{kind: media(kind) for kind in _HEADERS[1:]}}

    def check_header(value: Any, place: Place) -> None:
        if isinstance(value, dict) and "type" not in value and "text" in value:  # as in an example of Meta's own
            value = {"type": "text", **value}
        allowed = {kind: contents[kind] for kind in kinds}
        obj({"type": one_of(*kinds)}, allowed)(value, place)
        if value.get(value["type"].lower()) is None:
            raise missing(place.into(value["type"]))

    return check_header


def _kind(action: Check, *, headers: tuple[str, ...] = _HEADERS, body: int = 1024) -> Check:
    """Return the shape that all kinds share: body, footer, header and the kind's own action."""
    optional = {"footer": obj({"text": text(60)}), "header": _header(*headers)}
    return obj({"type": anything, "body": obj({"text": text(body)}), "action": action}, optional)


def _rows_in_all(action: dict[str, Any], place: Place) -> None:
    sections = action["sections"]
    if sum(len(section["rows"]) for section in sections) > _MOST_ROWS:
        raise invalid(place.into("sections"), f"must have at most {_MOST_ROWS} rows in all")
    rows = [row for section in sections for row in section["rows"]]
    unlike("id")(rows, place.into("rows"))


def _titles(action: dict[str, Any], place: Place) -> None:
    sections = action["sections"]
    for index, section in enumerate(sections if len(sections) > 1 else []):
        if not section.get("title"):
            raise missing(place.into("sections").into(index).into("title"))


def _no_emoji(value: Any, place: Place) -> None:
    if any(low <= ord(sign) <= high for sign in value for low, high in _EMOJI):
        raise invalid(place, "must not have emoji")


_button = obj({"type": one_of("reply"), "reply": obj({"id": text(256), "title": text(20)})})
_buttons = each(array(_button, least=1, most=3), unlike("reply", "id"), unlike("reply", "title"))
_row = obj({"id": text(200), "title": text(24)}, {"description": text(72, least=0)})
_section = obj({"rows": array(_row, least=1)}, {"title": text(24, least=0)})
_list = obj({"button": text(20), "sections": array(_section, least=1, most=10)}, None, _rows_in_all, _titles)
_link = obj({"name": one_of("cta_url"), "parameters": obj({"display_text": text(20), "url": text()})})
_flow = obj(
    {"flow_message_version": text(), "flow_cta": each(text(20), _no_emoji)},
    {
        "flow_id": text(),
        "flow_name": text(),
        "flow_token": text(),
        "mode": one_of("draft", "published"),
        "flow_action": one_of("navigate", "data_exchange"),
        "flow_action_payload": obj({"screen": text()}, {"data": anything}),
    },
    either("flow_id", "flow_name"),
)
_asks_for_location = obj(
    {"type": anything, "body": obj({"text": text(1024)}), "action": obj({"name": one_of("send_location")})},
    {"header": anything, "footer": anything},
    without("header"),
    without("footer"),
)
_KINDS: dict[str, Check] = {
    "button": _kind(obj({"buttons": _buttons})),
    "list": _kind(_list, headers=("text",), body=4096),
    "cta_url": _kind(_link),
    "flow": _kind(obj({"name": one_of("flow"), "parameters": _flow})),
    "location_request_message": _asks_for_location,
}
