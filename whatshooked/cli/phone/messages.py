"""What the business sends, as the phone shows it, and what can be pressed on it."""

from typing import Any

from msgspec import Struct

Object = dict[str, Any]

_MEDIA = ("image", "video", "audio", "document", "sticker")


class Choice(Struct, frozen=True):
    """A button or row of a message: `variant` is the kind of the answer."""

    variant: str
    id: str
    title: str
    message_id: str


def shown(item: Object) -> str:
    """Return the text of a `sent` news item, with its buttons numbered."""
    kind, text = str(item.get("type", "")), str(item.get("text") or "")
    if kind == "reaction":
        return f"reacts {text}" if text else "takes its reaction back"
    if kind in _MEDIA:
        return f"[{kind}] {_file(_dict(item.get('body')), kind)} {text}".strip()
    lines = [line for line in (_header(item), text or f"[{kind}]", _footer(item)) if line]
    lines += [f"  {number}) {choice.title}" for number, choice in enumerate(choices(item), 1)]
    return "\n".join(lines)


def choices(item: Object) -> list[Choice]:
    """Return what can be pressed on a message."""
    action = _dict(_interactive(item).get("action"))
    buttons = [_dict(_dict(button).get("reply")) for button in _list(action.get("buttons"))]
    rows = [_dict(row) for section in _list(action.get("sections")) for row in _list(_dict(section).get("rows"))]
    found = [("button_reply", one) for one in buttons] + [("list_reply", one) for one in rows]
    message_id = str(item.get("message_id", ""))
    return [Choice(kind, str(one.get("id", "")), str(one.get("title", "")), message_id) for kind, one in found]


def _interactive(item: Object) -> Object:
    return _dict(_dict(item.get("body")).get("interactive"))


def _header(item: Object) -> str:
    header = _dict(_interactive(item).get("header"))
    kind = str(header.get("type", ""))
    return str(header.get("text", "")) if kind == "text" else f"[{kind}]" if kind else ""


def _footer(item: Object) -> str:
    return str(_dict(_interactive(item).get("footer")).get("text", ""))


def _file(body: Object, kind: str) -> str:
    held = _dict(body.get(kind))
    return str(held.get("filename") or held.get("link") or held.get("id") or "")


def _dict(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
