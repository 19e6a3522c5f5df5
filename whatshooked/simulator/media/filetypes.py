"""The types of files: which kind of media each MIME type is, and how many bytes it may have.

Source: Meta's page on supported media types.
"""

from typing import Literal

Kind = Literal["audio", "document", "image", "sticker", "video"]

_KB, _MB = 1024, 1024 * 1024
_OFFICE = "application/vnd.openxmlformats-officedocument."
#: Opus is the only codec that Meta takes in Ogg, and the type must say so.
VOICE = "audio/ogg; codecs=opus"
#: MIME type without parameters -> kind.
TYPES: dict[str, Kind] = {
    "audio/aac": "audio",
    "audio/amr": "audio",
    "audio/mpeg": "audio",
    "audio/mp4": "audio",
    "audio/ogg": "audio",
    "text/plain": "document",
    "application/pdf": "document",
    "application/msword": "document",
    "application/vnd.ms-excel": "document",
    "application/vnd.ms-powerpoint": "document",
    f"{_OFFICE}wordprocessingml.document": "document",
    f"{_OFFICE}spreadsheetml.sheet": "document",
    f"{_OFFICE}presentationml.presentation": "document",
    "image/jpeg": "image",
    "image/png": "image",
    "image/webp": "sticker",
    "video/mp4": "video",
    "video/3gpp": "video",
}
_MOST: dict[Kind, int] = {
    "audio": 16 * _MB,
    "document": 100 * _MB,
    "image": 5 * _MB,
    "sticker": 100 * _KB,
    "video": 16 * _MB,
}
_MOST_ANIMATED = 500 * _KB


def kind_of(mime_type: str) -> Kind | None:
    """Return the kind that a MIME type belongs to, None when Meta takes no such file."""
    essence, _, parameters = mime_type.lower().partition(";")
    essence = essence.strip()
    if essence == "audio/ogg" and "codecs=opus" not in parameters.replace(" ", "").replace('"', ""):
        return None
    return TYPES.get(essence)


def most_bytes(kind: Kind, content: bytes) -> int:
    """Return how many bytes a file of this kind may have; an animated sticker more than one that stands still."""
    return _MOST_ANIMATED if kind == "sticker" and animated(content) else _MOST[kind]


def animated(content: bytes) -> bool:
    """Return whether a WebP file has several frames: the extended header says so in its flags."""
    return content[12:16] == b"VP8X" and len(content) > 20 and bool(content[20] & 0b10)
