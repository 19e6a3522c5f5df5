"""Files of our own store in a message that goes out: named by `stored`, and by Meta's id once they are uploaded.

Types and sizes are those of Meta's page on supported media types; of a document's type Meta is the judge.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from whatshooked.meta.attachment import base_type

#: The key that names a stored file, where Meta's own body has `id` or `link`.
KEY = "stored"
#: What cannot name one: the key as it stands in JSON.
MARK = b'"stored"'

_KB, _MB = 1024, 1024 * 1024
#: Kind -> bytes of its largest file; of stickers those that move are the larger ones.
_MOST = {"image": 5 * _MB, "video": 16 * _MB, "audio": 16 * _MB, "document": 100 * _MB, "sticker": 500 * _KB}
#: Kind -> MIME types without parameters.
_TYPES = {
    "image": ("image/jpeg", "image/png"),
    "video": ("video/mp4", "video/3gpp"),
    "audio": ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"),
    "sticker": ("image/webp",),
}
_NOUNS = {"image": "an image", "video": "a video", "audio": "audio", "sticker": "a sticker"}


class Use(NamedTuple):
    """A stored file in a message: as which kind of media, by which name, and the JSON path of its object."""

    kind: str
    filename: str
    place: str


class AtMeta(NamedTuple):
    """A file that Meta has: its id there, and its name for people ("" if none)."""

    id: str
    original: str


def uses(body: Any) -> list[Use]:
    """Return every place of a message's body that names a stored file."""
    return [Use(kind, one[KEY], place) for kind, one, place in _objects(body, "")]


def read(body: bytes) -> list[Use]:
    """Return every place of a message's JSON that names a stored file; a body without any is not decoded."""
    return uses(msgspec.json.decode(body)) if MARK in body else []


def fault(kind: str, mime_type: str, size: int) -> str:
    """Return why Meta would not take a file as this kind of media, "" when it may; `size` in bytes."""
    types, most = _TYPES.get(kind, ()), _MOST[kind]
    if types and base_type(mime_type) not in types:
        return f"it is {mime_type}, not {_NOUNS[kind]} that Meta takes ({', '.join(types)})"
    if size > most:
        return f"it has {size} bytes, Meta takes {most} at most in a message's {kind}"
    return ""


def fill(body: dict[str, Any], known: Mapping[str, AtMeta]) -> None:
    """Put Meta's ids in the place of the stored files' names; a document without a name is called as its file is."""
    for kind, one, _ in list(_objects(body, "")):
        found = known[one.pop(KEY)]
        one["id"] = found.id
        if kind == "document" and found.original and not one.get("filename"):
            one["filename"] = found.original


def _objects(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield kind, object and path of those that name a stored file: they stand under a kind of media's own name."""
    if isinstance(value, list):
        for index, member in enumerate(value):
            yield from _objects(member, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, member in value.items():
            place = f"{path}.{key}" if path else key
            if key in _MOST and isinstance(member, dict) and isinstance(member.get(KEY), str):
                yield key, member, place
            else:
                yield from _objects(member, place)
