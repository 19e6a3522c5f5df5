"""Template messages: the name, the language and what fills the placeholders.

Whether a template exists, and how many parameters it takes, only Meta knows.
Source: Meta's reference of template messages.
"""

from collections.abc import Callable, Mapping

from whatshooked.meta.send.parts import Part
from whatshooked.meta.send.shapes import media, place

NAME = 512


def check(request: Part) -> None:
    """Check a template message."""
    part = request.object("template")
    if not part:
        return
    part.text("name", NAME)
    if language := part.object("language"):
        language.text("code")
    for component in part.objects("components", needed=False):
        _component(component)


def _component(part: Part) -> None:
    # Meta's own pages write the type in either case.
    kind = part.text("type").lower()
    if kind == "button":
        part.text("sub_type")
        _index(part)
    for parameter in part.objects("parameters", needed=False):
        _parameter(parameter)


def _index(part: Part) -> None:
    """Check a button's place in the template, which Meta's examples write as a string."""
    value = part.value.get("index")
    if value is None:
        part.fault("index", 'missing, expected the button\'s place such as "0"')
    elif not (isinstance(value, str) and value.isdecimal()) and type(value) is not int:
        part.fault("index", 'expected the button\'s place such as "0"')


def _parameter(part: Part) -> None:
    part.text("parameter_name", needed=False)
    check = _PARAMETERS.get(part.text("type").lower())
    if check:
        check(part)


def _text(key: str) -> Callable[[Part], None]:
    def check(part: Part) -> None:
        part.text(key)

    return check


def _file(kind: str) -> Callable[[Part], None]:
    def check(part: Part) -> None:
        if file := part.object(kind):
            media(file)
            file.text("filename", needed=False)

    return check


def _currency(part: Part) -> None:
    if money := part.object("currency"):
        money.text("fallback_value")
        money.text("code")
        money.id("amount_1000")


def _moment(part: Part) -> None:
    if moment := part.object("date_time"):
        moment.text("fallback_value")


def _place(part: Part) -> None:
    if found := part.object("location"):
        place(found)


def _action(part: Part) -> None:
    if action := part.object("action"):
        action.text("flow_token", needed=False)
        action.object("flow_action_data", needed=False)


#: Parameters by type; those of other types (offers, products, cards) pass as they are.
_PARAMETERS: Mapping[str, Callable[[Part], None]] = {
    "text": _text("text"),
    "payload": _text("payload"),
    "coupon_code": _text("coupon_code"),
    "image": _file("image"),
    "video": _file("video"),
    "document": _file("document"),
    "currency": _currency,
    "date_time": _moment,
    "location": _place,
    "action": _action,
}
