"""What the makers of inbound messages are given, and the small parts that they share."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from whatshooked.simulator.world.model import MediaFault

Object = dict[str, Any]

#: A catalogue and one of its products, made up.
CATALOG, PRODUCT = "700000000000001", "sku-4711"


class Details(Struct, kw_only=True, frozen=True):
    """What the writer of a message may choose; what is left empty gets a value that fits."""

    #: What is said: body, caption, the title of a button.
    text: str = ""
    #: Id of the message replied to, reacted to, edited or taken back.
    about: str = ""
    #: Digits of the number that wrote the message replied to.
    author: str = ""
    #: Meta's media object: id, mime_type, sha256 (base64), maybe url.
    media: Object = {}
    filename: str = ""
    emoji: str = "\N{THUMBS UP SIGN}"
    latitude: float = 52.516275
    longitude: float = 13.377704
    #: Name of a place.
    place: str = ""
    #: Id of the button or row that was chosen.
    choice: str = ""
    group: str = ""
    #: What a user who changes number becomes.
    new_phone: str = ""
    new_user_id: str = ""


class Arrival(Struct, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What somebody writes, as `/_sim/inbound` takes it; what is left empty gets a value that fits."""

    kind: str = "text"
    #: A variant, or several joined by `+`.
    variant: str = ""
    #: Who writes: a user id or a phone number; somebody unknown becomes a user. Default: the first user.
    from_: str = ""
    #: The phone_number_id written to, by default the first one.
    number: str = ""
    text: str = ""
    #: Id of the message meant, by default the last one that passed.
    about: str = ""
    #: Id of a file, by default a sample.
    media: str = ""
    #: How all downloads of that file misbehave.
    fault: MediaFault = ""
    filename: str = ""
    emoji: str = Details().emoji
    latitude: float = Details().latitude
    longitude: float = Details().longitude
    place: str = ""
    choice: str = ""
    group: str = ""
    #: The number that a user changes to, by default a made-up one.
    new_phone: str = ""


class Who(Struct, kw_only=True, frozen=True):
    """Whose message it is: what of the user the webhook shows, and the message's own id and time."""

    name: str
    phone: str
    user_id: str
    message_id: str
    stamp: str


#: Variant, details, who -> the message's own keys, `type` among them.
Maker = Callable[[str, Details, Who], Object]


def chosen(wanted: Arrival, **known: Any) -> Details:
    """Return the details of an arrival, with what is known beside it: its file, and the message that is meant."""
    shared = set(Details.__struct_fields__) & set(wanted.__struct_fields__) - {"media"}
    return Details(**({name: getattr(wanted, name) for name in shared} | known))


def error(code: int, title: str, details: str) -> Object:
    """Return an error as webhooks hold it."""
    return {"code": code, "title": title, "message": title, "error_data": {"details": details}}


def referred(details: Details, who: Who) -> str:
    """Return the id of the message that this one is about, a made-up one when none was named."""
    if details.about:
        return details.about
    digest = hashlib.sha256(who.message_id.encode()).digest()
    return "wamid." + base64.b64encode(digest).decode()


def quoted(details: Details, who: Who) -> Object:
    """Return the context of a message that answers another."""
    author = {"from": details.author} if details.author else {}
    return {"context": author | {"id": referred(details, who)}}
