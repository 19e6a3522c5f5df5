"""A later version of the gateway, played: `python -m tests.newer worker -c FILE` runs the commands of this one, but for
entries of version 2, whose shape this version cannot read."""

import sys

import msgspec

from whatshooked import events
from whatshooked.events import Event

VERSION = 2

_decode_first = events.decode


def encode(event: Event) -> bytes:
    """Return an entry as that version writes it: the version, then an object of names and values."""
    rest = {name: value for name, value in msgspec.structs.asdict(event).items() if name != "version"}
    return msgspec.msgpack.encode((VERSION, rest))


def decode(blob: bytes) -> Event:
    """Return the event of an entry of either version, as that version reads them."""
    if blob[1] != VERSION:
        return _decode_first(blob)
    version, rest = msgspec.msgpack.decode(blob)
    return Event(version, **rest)


def become() -> None:
    """Have this process be of that version; to be called before anything else is imported from the names."""
    events.ENTRY_VERSION = VERSION
    events.encode, events.decode = encode, decode


if __name__ == "__main__":
    become()
    from whatshooked.cli import main

    sys.exit(main())
