"""The file of a message: what its webhook says of it, and where its bytes may be asked for; pure.

Source: Meta's media reference. That a webhook's sha256 is base64 and Graph's is hex was seen in real traffic.
"""

import base64
import binascii
import functools
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from whatshooked.events import Event
from whatshooked.meta import lenient
from whatshooked.meta.scan import REFUSALS

KINDS = frozenset(("image", "video", "audio", "document", "sticker"))
#: Seconds for which Meta keeps a file that a user sent, from the message's own time.
FILE_LIFE = 7 * 86_400
#: Seconds for which the webhook's URL is used; Meta's life of five minutes, less the way here.
URL_LIFE = 240
#: Bytes of what is told of a file above which it is none of Meta's, and of an item that is no strict JSON: to read an
#: odd one takes a tenth of a second for each 100 KB.
_LARGE, _ODD = 32 * 1024, 4 * 1024
#: Items that were read last: the same is asked several times on an event's way.
_READ = 512

_mark = re.compile(rb'"(?:image|video|audio|document|sticker)"')
_digits = re.compile(r"[0-9]{1,64}")
#: No user, no backslash, no sign that one reader of URLs takes for the end of the host and another does not.
_url = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:[/?][!-\[\]^-~]*)?")


class Attachment(NamedTuple):
    """A file as its message's webhook tells of it; what is not told is ""."""

    kind: str
    media_id: str
    message_id: str
    mime_type: str
    #: Hex; of a hash that is none, "".
    sha256: str
    url: str
    original: str
    #: When the message was sent, unix seconds, 0 when not told.
    sent: int

    @property
    def can_be_looked_up(self) -> bool:
        """Return whether the id is one of Meta's: anything else would make another call of the look-up."""
        return bool(_digits.fullmatch(self.media_id))


class _Told(msgspec.Struct):
    """What is read of a message: all else of it may be large."""

    id: Any = None
    type: Any = None
    timestamp: Any = None
    image: Raw = Raw(b"")
    video: Raw = Raw(b"")
    audio: Raw = Raw(b"")
    document: Raw = Raw(b"")
    sticker: Raw = Raw(b"")


_decoder = msgspec.json.Decoder(_Told)


def of(event: Event) -> Attachment | None:
    """Return the file that an event's message brings, None when it brings none that has an id."""
    return _of(event.raw) if event.type == "message.received" and _mark.search(event.raw) else None


@functools.lru_cache(maxsize=_READ)
def _of(raw: bytes) -> Attachment | None:
    item = _read(raw)
    kind = lenient.text(item.type)
    told_raw = bytes(getattr(item, kind)) if kind in KINDS else b""
    told = lenient.item(told_raw) if told_raw and len(told_raw) <= _LARGE else None
    if not isinstance(told, dict) or not (media_id := lenient.text(told.get("id"))):
        return None
    return Attachment(
        kind,
        media_id,
        lenient.text(item.id),
        lenient.text(told.get("mime_type")),
        sha256_hex(lenient.text(told.get("sha256"))),
        lenient.text(told.get("url")),
        lenient.text(told.get("filename")),
        lenient.seconds(item.timestamp),
    )


def brings(event: Event) -> bool:
    """Return whether an event's message brings a file."""
    return of(event) is not None


def _read(raw: bytes) -> _Told:
    try:
        return _decoder.decode(raw)
    except REFUSALS:
        found = lenient.item(raw) if len(raw) <= _ODD else None
        known = found if isinstance(found, dict) else {}
        parts = {kind: Raw(msgspec.json.encode(known[kind])) for kind in KINDS & known.keys()}
        return _Told(known.get("id"), known.get("type"), known.get("timestamp"), **parts)


def sha256_hex(told: str) -> str:
    """Return a hash as hex, told as hex or base64; "" for what is neither."""
    if len(told) == 64:
        return told.lower() if re.fullmatch(r"[0-9a-fA-F]{64}", told) else ""
    try:
        digest = base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if len(digest) == 32 else ""


def base_type(mime_type: str) -> str:
    """Return a MIME type without its parameters, in lower case."""
    return mime_type.partition(";")[0].strip().lower()


def origin(url: str) -> tuple[str, str, int] | None:
    """Return a URL's scheme, host and port; None for a URL that two readers might read in two ways."""
    found = _url.fullmatch(url)
    if found is None:
        return None
    scheme, host, port = found.groups()
    return scheme, host.lower(), int(port) if port else (443 if scheme == "https" else 80)


def is_trusted(url: str, hosts: Iterable[str], graph_url: str) -> bool:
    """Return whether the token may be sent to a URL.

    `hosts` are names, or patterns such as "*.fbcdn.net"; they are trusted over https and at its own port. So is the
    host of `graph_url`, at any port, over the scheme it has: a local Meta that stands in has no certificate.
    """
    found, graph = origin(url), origin(graph_url)
    if found is None or graph is None:
        return False
    scheme, host, port = found
    if host == graph[1]:
        return scheme == graph[0]
    return (scheme, port) == ("https", 443) and any(_covers(pattern, host) for pattern in hosts)


def _covers(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern
