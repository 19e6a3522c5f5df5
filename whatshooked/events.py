"""The 13 events and the entry that carries one of them through the stream."""

import msgspec

from whatshooked.errors import NewerEntry

EVENT_TYPES = (
    "message.received",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.failed",
    "whatsapp.connected",
    "whatsapp.disconnected",
    "whatsapp.qr.code",
    "whatsapp.qr.timeout",
    "whatsapp.qr.error",
    "hook.triggered",
    "hook.success",
    "hook.failed",
)

#: The version of the entries that this code writes, and the highest it reads: a newer one is left to workers of its own
#: version (stream/consume.py), an older one is read for ever.
#:
#: A field added at the end of `Event`, with a default, does not raise it: older readers leave it out. Anything else
#: does: a field gone, moved, of another type or meaning. For ever the same: an entry is a msgpack array that opens with
#: its version, 1 to 127, for CLAIM looks at it. What the keys look like has a number of its own (stream/layout.py).
ENTRY_VERSION = 1


def family(event_type: str) -> str:
    """Return the type as metrics label it: types beyond the 13 come from outside, and are counted by family."""
    return event_type if event_type in EVENT_TYPES else event_type.partition(".")[0] + ".other"


def is_kept_unmatched(event_type: str) -> bool:
    """Return whether an event that no hook wants is cached (contract, section 3)."""
    return not event_type.startswith(("hook.", "whatsapp.", "meta."))


def received_ms(event_id: str) -> int:
    """Return when an event entered the stream, in unix milliseconds: its id opens with it."""
    return place(event_id)[0]


def place(entry_id: str | bytes) -> tuple[int, int]:
    """Return the two numbers of a stream's id, by which its entries are ordered: unix ms, and a count within it."""
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    ms, _, seq = text.partition("-")
    return int(ms), int(seq)


class Event(msgspec.Struct, array_like=True, frozen=True):
    """One stream entry: what happened, with Meta's own item beside it, immutable once stored."""

    version: int
    type: str
    account_id: str
    #: Meta's item as JSON bytes, verbatim; for our own events (`whatsapp.*`, `hook.*`) their data object.
    raw: bytes
    #: The business number's digits.
    to: str = ""
    #: Meta's `contacts[]` object of the sender, JSON bytes.
    contact: bytes = b""
    #: Meta's `field`, for `meta.*`.
    field: str = ""
    #: Whether Meta named a phone number that is none of the configured ones.
    foreign: bool = False
    #: For `meta.*`: a JSON object of the siblings an item would lose.
    context: bytes = b""
    #: The trace that the event belongs to (traces/carrier.py); None, a single byte, while traces are off.
    trace: bytes | None = None


class _Head(msgspec.Struct, array_like=True):
    """What every version's entry opens with."""

    version: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Event)
_head_decoder = msgspec.msgpack.Decoder(_Head)


def encode(event: Event) -> bytes:
    """Return the entry's blob."""
    return _encoder.encode(event)


def decode(blob: bytes) -> Event:
    """Return the event of an entry's blob.

    Raises NewerEntry for a newer version's, and msgspec.MsgspecError or UnicodeDecodeError for what is no entry.
    """
    try:
        event = _decoder.decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        if (version := newer(blob)) > 0:
            raise NewerEntry(version) from None
        raise
    if event.version > ENTRY_VERSION:
        raise NewerEntry(event.version)
    return event


def newer(blob: bytes) -> int:
    """Return the version of an entry that is too new to be read here, 0 of any other."""
    try:
        version = _head_decoder.decode(blob).version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0
    return version if version > ENTRY_VERSION else 0
