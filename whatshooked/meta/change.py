"""A body taken apart level by level, whatever it holds: the careful way, for all that the short one does not know.

Nothing is dropped: what has no place of its own becomes a meta item with the bytes as they came.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from whatshooked.errors import NotAWebhook
from whatshooked.meta import lenient
from whatshooked.meta.items import LONGEST_ID, REPEATABLE, Contacts, Item, digits
from whatshooked.meta.scan import Malformed, elements, members

_NULL = b"null"
_NOTHING: Mapping[str, bytes] = {}
_KINDS = {"messages": "message", "statuses": "status"}
#: Siblings of the arrays in a value.
_ENVELOPE = ("messaging_product", "metadata", "contacts")
#: The arrays whose members are items, by `field`; `group_*` and unknown fields in `_arrays`.
_ARRAYS = {
    "messages": ("messages", "statuses", "errors", "user_actions"),
    "calls": ("calls", "statuses", "errors"),
    "smb_message_echoes": ("message_echoes",),
    "message_echoes": ("message_echoes",),
    "smb_app_state_sync": ("state_sync",),
    "history": ("history",),
    "user_preferences": ("user_preferences",),
    "automatic_events": ("automatic_events",),
    "standby": ("messages", "message_echoes", "statuses"),
}
#: Arrays that make events under their own name, of the fields that they stand beside messages or calls in.
_OWN_NAMES = ("errors", "user_actions")
#: How the items of a history lie in its chunks: the array, and which key of its holder each item is given, as what.
_HISTORY = (("threads", "metadata", "history_metadata"), ("messages", "id", "thread_id"))


class _Entry(msgspec.Struct):
    waba_id: str
    time: int
    context: dict[str, bytes]


def items(body: bytes) -> list[Item]:
    """Return every item of a body; raises NotAWebhook if it is no JSON object with an `entry`."""
    try:
        top = members(body)
    except Malformed as error:
        raise NotAWebhook(f"the body is not JSON ({error}); send the webhook as Meta wrote it") from None
    if top is None or "entry" not in top:
        raise NotAWebhook('the body is not a JSON object with an "entry"; send the webhook as Meta wrote it')
    entries = elements(top["entry"])
    found = [Item("meta", "unknown", top["entry"])] if entries is None else []
    for entry in entries or ():
        found += _entry_items(entry)
    extra = _without(top, "object", "entry")
    return [*found, Item("meta", "unknown", _object(extra))] if extra else found


def _entry_items(raw: bytes) -> Iterator[Item]:
    parts = members(raw) or {}
    changes = elements(parts.get("changes", _NULL))
    if changes is None:
        yield Item("meta", "unknown", raw)
        return
    entry = _entry(parts)
    for change in changes:
        yield from _change_items(entry, change)
    extra = _without(parts, "changes", "time", *(["id"] if entry.waba_id else []))
    if extra:
        yield Item("meta", "unknown", _object(extra), entry.waba_id, context=_object(entry.context), time=entry.time)


def _entry(parts: dict[str, bytes]) -> _Entry:
    context = {"waba_id": parts.get("id", b""), "entry_time": parts.get("time", b"")}
    return _Entry(
        waba_id=_id(parts.get("id")),
        time=lenient.seconds(lenient.value(parts.get("time", _NULL))),
        context={key: raw for key, raw in context.items() if 0 < len(raw) <= REPEATABLE},
    )


def _change_items(entry: _Entry, raw: bytes) -> Iterator[Item]:
    parts = members(raw) or {}
    named = lenient.value(parts.get("field", _NULL))
    field = named if isinstance(named, str) and 0 < len(named) <= LONGEST_ID else "unknown"
    change = _Change(entry, field, raw)
    if field is not named or "value" not in parts:
        yield change.meta(raw)
        return
    yield from change.items(parts["value"])
    extra = _without(parts, "field", "value")
    if extra:
        yield change.meta(_object(extra))


class _Change:
    """One change, and what all of its items share."""

    def __init__(self, entry: _Entry, field: str, raw: bytes) -> None:
        self._entry = entry
        self._field = field
        self._origin = hashlib.blake2b(b"%d %b" % (entry.time, raw), digest_size=16).digest()
        self._siblings: dict[str, bytes] = {}
        self._contacts = Contacts([])
        # Thousands of items may share one context: its bytes are made once and held once.
        self._last_context, self._last_bytes = _NOTHING, _object(entry.context)
        #: WABA, phone number id and digits, in an Item's order.
        self._place = (entry.waba_id, "", "")

    def items(self, value: bytes) -> Iterator[Item]:
        """Yield each member of the value's arrays, then what is left of it; without members the value as it is."""
        parts = members(value)
        if parts is None:
            yield self.meta(value)
            return
        left = self._read_siblings(parts)
        parts = _opened(parts) if self._field == "standby" else parts
        arrays = {name: _array(parts.get(name, _NULL)) for name in self._arrays(parts)}
        if not any(arrays.values()):
            yield self.meta(value)
            return
        for name, raws in arrays.items():
            context = self._siblings | {"array": msgspec.json.encode(name)}
            for raw in raws or ():
                yield from self._member(name, raw, context)
        left |= _without(parts, *_ENVELOPE, *(name for name, raws in arrays.items() if raws is not None))
        yield from self._left(left)

    def meta(self, raw: bytes, field: str = "", contact: bytes = b"", context: Mapping[str, bytes] = _NOTHING) -> Item:
        """Return a meta item of this change, `context` beside the entry's."""
        if context is not self._last_context:
            self._last_context, self._last_bytes = context, _object({**self._entry.context, **context})
        place = (*self._place, contact, self._last_bytes, self._entry.time, self._origin)
        return Item("meta", field or self._field, raw, *place)

    def _arrays(self, parts: dict[str, bytes]) -> Sequence[str]:
        if self._field in _ARRAYS:
            return _ARRAYS[self._field]
        if self._field.startswith("group_"):
            return ("groups",)
        names = [name for name in parts if name not in _ENVELOPE]
        return names if len(names) == 1 and len(names[0]) <= LONGEST_ID else ()

    def _read_siblings(self, parts: dict[str, bytes]) -> dict[str, bytes]:
        """Keep what every item is given of its siblings; return what cannot be given so."""
        left: dict[str, bytes] = {}
        contacts = _array(parts.get("contacts", _NULL))
        if contacts is None:
            left["contacts"] = parts["contacts"]
        self._contacts = Contacts(contacts or [])
        raw = parts.get("metadata", _NULL)
        metadata = members(raw) or {}
        number = digits(_id(metadata.get("display_phone_number")))
        self._place = (self._entry.waba_id, _id(metadata.get("phone_number_id")), number)
        if raw != _NULL and len(raw) <= REPEATABLE:
            self._siblings["metadata"] = raw
        if raw != _NULL and not self._tells_all(metadata, raw):
            left["metadata"] = raw
        return left

    def _tells_all(self, metadata: dict[str, bytes], raw: bytes) -> bool:
        """Whether items lose nothing of the metadata: meta items have it whole, messages have its two ids."""
        if self._field != "messages":
            return len(raw) <= REPEATABLE
        known = ("phone_number_id", "display_phone_number")
        return not _without(metadata, *known) and all(_id(metadata[key]) for key in metadata)

    def _member(self, name: str, raw: bytes, context: dict[str, bytes]) -> Iterator[Item]:
        contact = self._contacts.of(raw)
        kind = _KINDS.get(name) if self._field == "messages" else None
        if kind and raw[:1] == b"{":
            yield Item(kind, "messages", raw, *self._place, contact, b"", self._entry.time)
            return
        field = name if name in _OWN_NAMES and self._field in ("messages", "calls") else self._field
        for part, place in _unfolded(raw, _HISTORY if name == "history" else (), context):
            yield self.meta(part, field, contact or self._contacts.of(part), place)

    def _left(self, left: dict[str, bytes]) -> Iterator[Item]:
        if contacts := self._contacts.left():
            left["contacts"] = b"[" + b",".join(contacts) + b"]"
        if left:
            yield self.meta(_object(left), context=self._siblings)


def _opened(parts: dict[str, bytes]) -> dict[str, bytes]:
    """Return the value of `standby` with the members of its `standby` object among its own."""
    inside = members(parts.get("standby", _NULL))
    if inside is None or inside.keys() & parts.keys():
        return parts
    return _without(parts, "standby") | inside


def _unfolded(
    raw: bytes, levels: Sequence[tuple[str, str, str]], context: dict[str, bytes]
) -> Iterator[tuple[bytes, dict[str, bytes]]]:
    """Yield the members of arrays within arrays, each with its context, then what its holders have beside them."""
    parts = (members(raw) or {}) if levels else {}
    inner = _array(parts.pop(levels[0][0], _NULL)) if levels else []
    if not inner:
        yield raw, context
        return
    _, key, name = levels[0]
    if 0 < len(parts.get(key, b"")) <= REPEATABLE:
        context = context | {name: parts.pop(key)}
    for member in inner:
        yield from _unfolded(member, levels[1:], context)
    if parts:
        yield _object(parts), context


def _array(raw: bytes) -> list[bytes] | None:
    return [] if raw == _NULL else elements(raw)


def _id(raw: bytes | None) -> str:
    found = lenient.text(lenient.value(raw)) if raw else ""
    return found if len(found) <= LONGEST_ID else ""


def _without(parts: dict[str, bytes], *known: str) -> dict[str, bytes]:
    return {key: raw for key, raw in parts.items() if key not in known}


def _object(parts: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(msgspec.json.encode(key) + b":" + raw for key, raw in parts.items()) + b"}"
