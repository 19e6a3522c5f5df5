"""A person in an event: whose it is, which names stand beside each other, and the event without them; pure."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from whatshooked.events import Event
from whatshooked.meta import lenient
from whatshooked.meta.decode import decode_item
from whatshooked.meta.items import digits
from whatshooked.meta.person import FORGOTTEN, Person

#: Keys of one object under which Meta writes names of one and the same person.
_TOGETHER = (
    ("from", "from_user_id", "from_parent_user_id"),
    ("to", "to_user_id", "to_parent_user_id"),
    ("wa_id", "user_id", "parent_user_id"),
    ("recipient_id", "recipient_user_id", "parent_recipient_user_id"),
    ("recipient_participant_id", "recipient_participant_user_id", "parent_recipient_participant_user_id"),
)
#: Whoever stands under one of these is whom the event is about.
_ABOUT = tuple(key for keys in _TOGETHER for key in keys)
_phone = re.compile(r"[0-9]{5,20}")
_user_id = re.compile(r"[A-Z]{2}(?:\.[A-Z]{2,10})?\.[A-Za-z0-9]{6,128}")
#: What a name may stand in: a message's id, a link, an address.
_word = re.compile(r"[\w+/=.:@~-]+")


def is_own(event: Event, person: Person) -> bool:
    """Return whether a person sent this event, got it, or is who it is about: its id may be all that tells."""
    item, contact = decode_item(event.raw), decode_item(event.contact or b"{}")
    about = {_name(found.get(key)) for found in (item, contact) for key in _ABOUT} - {event.to}
    return bool(about & person.names) or person.is_named(lenient.text(item.get("id")))


def beside(event: Event) -> Iterator[frozenset[str]]:
    """Yield sets of names that one object of an event gives to one person.

    A group's id, the business's own number and whatever has not the form of a number or a user id are left out.
    """
    item = decode_item(event.raw)
    to_group = lenient.text(item.get("recipient_type")) == "group"
    for found in (item, decode_item(event.contact or b"{}")):
        for keys in _TOGETHER:
            if to_group and keys[0] in ("recipient_id", "to"):
                continue
            names = frozenset(name for key in keys if is_name(name := _name(found.get(key))))
            if len(names) > 1 and event.to not in names:
                yield names


def is_name(text: str) -> bool:
    """Return whether a text has the form of a phone's digits or of a user id."""
    return bool(_phone.fullmatch(text) or _user_id.fullmatch(text))


def masked(event: Event, person: Person) -> Event:
    """Return an event of somebody else without this person; its JSON is written anew where it named them."""
    raw, contact, context = (_masked_json(part, person) for part in (event.raw, event.contact, event.context))
    return msgspec.structs.replace(event, raw=raw, contact=contact, context=context)


def masked_text(text: str, person: Person) -> str:
    """Return a text without the words that name a person."""
    return _word.sub(lambda word: FORGOTTEN if person.is_named(word[0]) else word[0], text)


def _masked_json(raw: bytes, person: Person) -> bytes:
    return msgspec.json.encode(_masked_value(lenient.item(raw), person)) if raw and person.is_named(raw) else raw


def _masked_value(value: Any, person: Person) -> Any:
    """Return a decoded value of JSON without a person; raises no RecursionError, for what is too deep is text."""
    if isinstance(value, dict):
        return {masked_text(key, person): _masked_value(part, person) for key, part in value.items()}
    if isinstance(value, list):
        return [_masked_value(part, person) for part in value]
    text = lenient.text(value)
    return masked_text(text, person) if text and person.is_named(text) else value


def _name(value: Any) -> str:
    """Return a name as a Person has it: of a phone its digits."""
    text = lenient.text(value)
    return digits(text) if _phone.fullmatch(text.removeprefix("+")) else text
