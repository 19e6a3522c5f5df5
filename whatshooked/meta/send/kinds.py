"""What each kind of message must hold, and Meta's limits of it, as far as they can be told before Meta is asked.

Every function here takes the whole request and notes its faults. Keys that Meta does not document pass.
Source: Meta's reference of the messages endpoint.
"""

from collections.abc import Callable, Mapping

from whatshooked.meta.send import interactive as send_interactive
from whatshooked.meta.send import template as send_template
from whatshooked.meta.send.parts import Part
from whatshooked.meta.send.shapes import media, place

#: Characters of a text and of a caption, cards of one message.
TEXT = 4096
CAPTION = 1024
CARDS = 257
#: What of a name may stand beside `formatted_name`; Meta wants one at least.
_NAME_PARTS = ("first_name", "last_name", "middle_name", "suffix", "prefix")


def _text(request: Part) -> None:
    if isinstance(request.value.get("text"), str):
        request.text("text", TEXT)
    elif part := request.object("text"):
        part.text("body", TEXT)
        part.flag("preview_url")


def _captioned(kind: str) -> Callable[[Part], None]:
    def check(request: Part) -> None:
        if part := request.object(kind):
            media(part)
            part.text("caption", CAPTION, needed=False, empty=True)
            if kind == "document":
                part.text("filename", needed=False)

    return check


def _audio(request: Part) -> None:
    if part := request.object("audio"):
        media(part)
        part.flag("voice")
        if part.has("caption"):
            part.fault("caption", "audio has no caption; send a text beside it")


def _sticker(request: Part) -> None:
    if part := request.object("sticker"):
        media(part)


def _location(request: Part) -> None:
    if part := request.object("location"):
        place(part)


def _contacts(request: Part) -> None:
    for card in request.objects("contacts", CARDS):
        if name := card.object("name"):
            name.text("formatted_name")
            if not any(name.has(part) for part in _NAME_PARTS):
                name.fault("", f"expected one more part of the name: {', '.join(_NAME_PARTS)}")
        for phone in card.objects("phones", needed=False):
            phone.text("phone", needed=not phone.has("wa_id"))
            phone.text("wa_id", needed=False)
        for key in ("addresses", "emails", "urls"):
            card.objects(key, needed=False)
        card.object("org", needed=False)


def _reaction(request: Part) -> None:
    if part := request.object("reaction"):
        part.text("message_id")
        if part.has("emoji"):
            part.text("emoji", empty=True)
        else:
            part.fault("emoji", 'missing, expected an emoji, or "" to take the reaction back')
    if request.has("context"):
        request.fault("context", "a reaction quotes nothing: reaction.message_id says what it is to")


#: The kinds of messages, by the value of `type` and the key that holds the message.
CHECKS: Mapping[str, Callable[[Part], None]] = {
    "text": _text,
    "image": _captioned("image"),
    "video": _captioned("video"),
    "audio": _audio,
    "document": _captioned("document"),
    "sticker": _sticker,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "interactive": send_interactive.check,
    "template": send_template.check,
}
