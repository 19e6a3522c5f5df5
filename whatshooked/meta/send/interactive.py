"""Interactive messages: buttons, lists, links, flows and the request for a location.

The other interactive types (products, carousels, calls, addresses) pass as they are: Meta changes them often.
Source: Meta's reference of interactive messages.
"""

import re
from collections.abc import Callable, Mapping

from whatshooked.meta.send.parts import Part
from whatshooked.meta.send.shapes import media

#: Characters of the texts around the action.
BODY = 1024
LIST_BODY = 4096
HEADER = 60
FOOTER = 60
#: Buttons of one message; characters of a button's id, and of what any button says.
BUTTONS = 3
BUTTON_ID = 256
BUTTON = 20
#: Sections of a list and rows in all of them together; characters of their texts.
SECTIONS = 10
ROWS = 10
SECTION_TITLE = 24
ROW_ID = 200
ROW_TITLE = 24
ROW_DESCRIPTION = 72

_HEADERS = ("text", "image", "video", "document")
_emoji = re.compile("[\u2600-\u26ff\u2705\u2728\u274c\u2757\u2b50\ufe0f\U0001f000-\U0001faff]")


def check(request: Part) -> None:
    """Check an interactive message."""
    if part := request.object("interactive"):
        kind = part.text("type")
        _CHECKS.get(kind, _other)(part)


def _other(_: Part) -> None:
    """Let a type pass that is not checked here."""


def _around(part: Part, body: int, headers: tuple[str, ...] = _HEADERS) -> None:
    """Check the texts around the action."""
    if said := part.object("body"):
        said.text("text", body)
    if footer := part.object("footer", needed=False):
        footer.text("text", FOOTER)
    if header := part.object("header", needed=False):
        # An example of Meta's own has a text alone.
        kind = header.word("type", headers, needed=not header.has("text")) or ("" if header.has("type") else "text")
        if kind == "text":
            header.text("text", HEADER)
        elif kind and (file := header.object(kind)):
            media(file)


def _buttons(part: Part) -> None:
    _around(part, BODY)
    if not (action := part.object("action")):
        return
    replies = []
    for button in action.objects("buttons", BUTTONS):
        button.word("type", ("reply",))
        if reply := button.object("reply"):
            replies.append((reply, reply.text("id", BUTTON_ID), reply.text("title", BUTTON)))
    _unlike("id", [(reply, name) for reply, name, _ in replies])
    _unlike("title", [(reply, title) for reply, _, title in replies])


def _unlike(key: str, found: list[tuple[Part, str]]) -> None:
    """Note each value that an earlier one has already."""
    seen = set()
    for part, value in found:
        if value and value in seen:
            part.fault(key, "expected one that no other has")
        seen.add(value)


def _list(part: Part) -> None:
    _around(part, LIST_BODY, ("text",))
    if not (action := part.object("action")):
        return
    action.text("button", BUTTON)
    sections = action.objects("sections", SECTIONS)
    rows = []
    for section in sections:
        section.text("title", SECTION_TITLE, needed=len(sections) > 1, empty=len(sections) == 1)
        rows += section.objects("rows")
    if len(rows) > ROWS:
        action.fault("sections", f"at most {ROWS} rows in all sections together, got {len(rows)}")
    _unlike("id", [(row, row.text("id", ROW_ID)) for row in rows])
    for row in rows:
        row.text("title", ROW_TITLE)
        row.text("description", ROW_DESCRIPTION, needed=False, empty=True)


def _parameters(part: Part, name: str) -> Part | None:
    """Return the parameters of an action of this name."""
    action = part.object("action")
    if not action:
        return None
    action.word("name", (name,))
    return action.object("parameters")


def _link(part: Part) -> None:
    _around(part, BODY)
    if parameters := _parameters(part, "cta_url"):
        parameters.text("display_text", BUTTON)
        parameters.url("url")


def _flow(part: Part) -> None:
    _around(part, BODY)
    if not (parameters := _parameters(part, "flow")):
        return
    parameters.id("flow_message_version")
    given = [key for key in ("flow_id", "flow_name") if parameters.has(key)]
    if len(given) != 1:
        got = "both" if given else "neither"
        parameters.fault("", f"expected exactly one of flow_id and flow_name, got {got}")
    for key in ("flow_id", "flow_name"):
        parameters.id(key, needed=False)
    if _emoji.search(parameters.text("flow_cta", BUTTON)):
        parameters.fault("flow_cta", "expected a text without emojis")
    parameters.text("flow_token", needed=False)
    parameters.word("mode", ("draft", "published"), needed=False)
    parameters.word("flow_action", ("navigate", "data_exchange"), needed=False)
    if payload := parameters.object("flow_action_payload", needed=False):
        payload.text("screen")
        payload.object("data", needed=False)


def _location_request(part: Part) -> None:
    if said := part.object("body"):
        said.text("text", BODY)
    if action := part.object("action"):
        action.word("name", ("send_location",))
    for key in ("header", "footer"):
        if part.has(key):
            part.fault(key, "a request for a location has none")


_CHECKS: Mapping[str, Callable[[Part], None]] = {
    "button": _buttons,
    "list": _list,
    "cta_url": _link,
    "flow": _flow,
    "location_request_message": _location_request,
}
