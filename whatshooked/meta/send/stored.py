"""Files of our own store in a message that goes out: named by `stored`, and by Meta's id once they are uploaded."""

from collections.abc import Iterator
from typing import Any

#: The key that names a stored file, where Meta's own body has `id` or `link`.
KEY = "stored"
#: What cannot name one: the key as it stands in JSON.
MARK = b'"stored"'


def named(body: dict[str, Any]) -> list[str]:
    """Return the names of the stored files in a message's body, each once."""
    return list(dict.fromkeys(one[KEY] for one in _objects(body)))


def fill(body: dict[str, Any], ids: dict[str, str]) -> None:
    """Put Meta's ids in the place of the stored files' names."""
    for one in list(_objects(body)):
        one["id"] = ids[one.pop(KEY)]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects that name a stored file: those under a kind of media's own name."""
    if isinstance(value, list):
        for member in value:
            yield from _objects(member)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key in _KINDS and isinstance(member, dict) and isinstance(member.get(KEY), str):
                yield member
            else:
                yield from _objects(member)


_KINDS = frozenset(("image", "video", "audio", "document", "sticker"))
