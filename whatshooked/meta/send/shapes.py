"""Shapes that several kinds of messages share: a file and a place."""

from whatshooked.meta.send.parts import Part
from whatshooked.meta.send.stored import KEY

LATITUDE = 90
LONGITUDE = 180


def media(part: Part) -> None:
    """Check that a file is named in exactly one way: by Meta's id, a link, or as a file of our own store."""
    given = [key for key in ("id", "link", KEY) if part.has(key)]
    if len(given) != 1:
        part.fault("", f"expected exactly one of id, link and stored, got {' and '.join(given) or 'none'}")
    part.id("id", needed=False)
    part.text(KEY, needed=False)
    part.url("link", needed=False)


def place(part: Part) -> None:
    """Check a place: its coordinates in degrees, and what it may be called."""
    part.number("latitude", LATITUDE)
    part.number("longitude", LONGITUDE)
    part.text("name", needed=False, empty=True)
    part.text("address", needed=False, empty=True)
