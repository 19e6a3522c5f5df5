"""An item: one message, status or other thing of a webhook body, with what its siblings tell about it."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from whatshooked.meta import lenient
from whatshooked.meta.scan import REFUSALS

#: Bytes up to which a sibling is repeated with each item; a larger one becomes an item of its own.
REPEATABLE = 1024
#: Characters that an id may have; Meta's have under 40.
LONGEST_ID = 128

_not_a_digit = re.compile(r"[^0-9]+")


class Item(msgspec.Struct):
    """One thing that Meta tells; `kind` is "message", "status" or "meta"."""

    kind: str
    #: Meta's `field`, or what the part of it is called: `errors`, `user_actions`; `unknown` where there is none.
    field: str
    #: The thing as the bytes it came in.
    raw: bytes
    waba_id: str = ""
    phone_number_id: str = ""
    #: The business number's digits.
    to: str = ""
    #: The `contacts[]` object of the person it is about.
    contact: bytes = b""
    #: Of a meta item: a JSON object of its siblings and of where it stood.
    context: bytes = b""
    #: The entry's own time in seconds, 0 if it has none.
    time: int = 0
    #: Of a meta item: digest of the change it stood in, to tell apart equal items that bear no time.
    origin: bytes = b""


def digits(number: str) -> str:
    """Return the digits of a phone number."""
    return number if number.isascii() and number.isdecimal() else _not_a_digit.sub("", number)


class _Whom(msgspec.Struct, rename={"from_": "from"}):
    """Whom an item is about, most telling first: the sender, the group's participant, the recipient."""

    from_: Any = None
    from_user_id: Any = None
    recipient_participant_id: Any = None
    recipient_participant_user_id: Any = None
    recipient_id: Any = None
    recipient_user_id: Any = None
    wa_id: Any = None
    user_id: Any = None
    to: Any = None
    to_user_id: Any = None


class _Person(msgspec.Struct):
    wa_id: Any = None
    user_id: Any = None


_whom_decoder = msgspec.json.Decoder(_Whom)
_person_decoder = msgspec.json.Decoder(_Person)


def _names(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Iterator[str]:
    """Yield the ids that such a struct finds in an object."""
    try:
        found = decoder.decode(raw)
    except REFUSALS:
        found = _leniently(decoder.type, raw)
    for value in msgspec.structs.astuple(found):
        if value is not None and (name := lenient.text(value)):
            yield name


def _leniently(struct: type[msgspec.Struct], raw: bytes) -> msgspec.Struct:
    found = lenient.item(raw)
    values = found if isinstance(found, dict) else {}
    return struct(*(values.get(name) for name in struct.__struct_encode_fields__))


class Contacts:
    """The contacts of one change, and who of them stands beside which item.

    A single contact belongs to every item. Of several, an item has the one whose `wa_id` or `user_id` it names.
    """

    def __init__(self, raws: list[bytes]) -> None:
        usable = [raw for raw in raws if raw[:1] == b"{" and len(raw) <= REPEATABLE]
        self._only = usable[0] if len(usable) == 1 else b""
        self._by_id = {} if self._only else {name: raw for raw in usable for name in _names(_person_decoder, raw)}
        self._left = dict.fromkeys(raw for raw in raws if raw != self._only)

    def of(self, raw: bytes) -> bytes:
        """Return the contact of this item, `b""` if there is none."""
        if not self._by_id:
            return self._only
        for name in _names(_whom_decoder, raw):
            if contact := self._by_id.get(name):
                self._left.pop(contact, None)
                return contact
        return b""

    def left(self) -> list[bytes]:
        """Return the contacts that no item took."""
        return list(self._left)
