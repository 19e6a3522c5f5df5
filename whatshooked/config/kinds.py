"""Values with rules beyond their JSON type: for each kind what is expected, how it is read, and its JSON Schema.

A reader returns the value the Struct holds or raises UnfitError. Its text, when it has one, stands in place of
"expected ..., got ..."; it never shows the value, which may be secret.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from whatshooked.errors import TheirsError
from whatshooked.keys import MEDIA_HOOK

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 section 5.5: a tab may stand in a value
NOT_IN_URL = re.compile(r'[\s\x00-\x1f\x7f-\x9f\\<>"^`{|}]')
DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)?")
VERSION = re.compile(r"[vV]?(\d{1,3})\.(\d{1,2})")
TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
PREFIX = re.compile(r"[A-Za-z0-9._:-]{1,64}")
HOST = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
#: Schemes of object stores, as obstore knows them.
STORAGES = {"s3", "gs", "az"}

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
#: Headers that are the HTTP client's or ours; a file that sets them would break the request or its signature.
RESERVED_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "webhook-replay",
    }
)


class UnfitError(TheirsError):
    """The value is not what its key expects."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnfitError
    return value


def _text_or_int(value: object) -> str:
    # Ids are digits, and whoever writes the file by hand leaves the quotes out.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _id(value: object) -> str:
    text = _text_or_int(value)
    if not text or CONTROL.search(text):
        raise UnfitError
    return text


def _account_id(value: object) -> str:
    text = _id(value)
    if "/" in text or text in {".", ".."}:
        raise UnfitError
    return text


def _hook_id(value: object) -> str:
    text = _id(value)
    if text == MEDIA_HOOK:
        raise UnfitError(f'expected another id, "{MEDIA_HOOK}" is the name under which media is fetched')
    return text


def _web_url(value: object) -> tuple[str, SplitResult]:
    text = _text(value)
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:  # a port that is no number, a broken IPv6 address
        raise UnfitError from error
    if not fits or NOT_IN_URL.search(text):
        raise UnfitError
    return text, parts


def _url(value: object) -> str:
    text, parts = _web_url(value)
    if "@" in parts.netloc:
        raise UnfitError("expected a URL without user and password")
    return text


def _base_url(value: object) -> str:
    text = _url(value)
    if "?" in text or "#" in text:
        raise UnfitError("expected a URL without query and fragment: /api/media/ACCOUNT/FILE goes behind it")
    if text.rstrip("/").endswith("/api/media"):
        raise UnfitError("expected the URL without its /api/media, which goes behind it")
    return text


def _collector(value: object) -> str:
    text = _url(value)
    if "?" in text or "#" in text:
        raise UnfitError("expected a URL without query and fragment: /v1/traces goes behind it")
    return text


def _hook_url(value: object) -> str:
    return _web_url(value)[0]


def _redis_url(value: object) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        host = parts.hostname and parts.port != 0
    except ValueError as error:
        raise UnfitError from error
    fits = parts.path if parts.scheme == "unix" else host and parts.scheme in {"redis", "rediss"}
    if not fits or NOT_IN_URL.search(text):
        raise UnfitError
    return text


def _storage(value: object) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise UnfitError from error
    if parts.scheme not in STORAGES or not parts.hostname or parts.query or NOT_IN_URL.search(text):
        raise UnfitError
    if "@" in parts.netloc:
        raise UnfitError("expected a URL without user and password; they belong into media.storage_options")
    return text.rstrip("/")


def _host(value: object) -> str:
    text = _text(value)
    if not HOST.fullmatch(text):
        raise UnfitError
    return text.lower()


def _header_name(value: object) -> str:
    name = _text(value)
    if not TOKEN.fullmatch(name):
        raise UnfitError
    if name.lower() in RESERVED_HEADERS:
        raise UnfitError("expected no such header: it is set for each request; remove it")
    return name


def _header_value(value: object) -> str:
    text = _text(value)
    if NOT_IN_VALUE.search(text):
        raise UnfitError
    return text.strip(" \t")


def _method(value: object) -> str:
    text = _text(value)
    if not TOKEN.fullmatch(text):
        raise UnfitError
    return text.upper()


def _version(value: object) -> str:
    found = VERSION.fullmatch(_text(value))
    if not found:
        raise UnfitError
    return f"v{int(found[1])}.{int(found[2])}"


def _duration(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    found = DURATION.fullmatch(_text(value))
    if not found:
        raise UnfitError
    return float(found[1]) * SECONDS[found[2]]


def _hook_secret(value: object) -> str:
    text = _text(value)
    if text.startswith("whsec_"):
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise UnfitError from error
        if not key:
            raise UnfitError
    return text


def _prefix(value: object) -> str:
    text = _text(value)
    if not PREFIX.fullmatch(text):
        raise UnfitError
    return text


def _table_name(value: object) -> str:
    text = _text(value)
    if not TABLE.fullmatch(text):
        raise UnfitError
    return text


def _redis_mode(value: object) -> str:
    if _text(value) in {"sentinel", "cluster"}:
        raise UnfitError("not available in this version; remove the key or say standalone")
    if value != "standalone":
        raise UnfitError
    return "standalone"


def _redis_shards(value: object) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[1-9]\d*", str(value)):
        raise UnfitError
    if str(value) != "1":
        raise UnfitError("more than one shard is not available in this version; remove the key or say 1")
    return 1


class Kind(NamedTuple):
    """What a value must be, in words, in code and as JSON Schema."""

    expected: str
    read: Callable[[object], object]
    schema: Mapping[str, Any] = MappingProxyType({"type": "string"})


_TEXT_OR_INT = {"type": ["string", "integer"]}
_NUMBER_OR_TEXT = {"type": ["number", "string"]}
_WEB = {"type": "string", "format": "uri"}

KINDS: Mapping[str, Kind] = {
    "id": Kind("an id: a non-empty string", _id, _TEXT_OR_INT),
    "account_id": Kind('an id: a non-empty string without "/"', _account_id, _TEXT_OR_INT),
    "hook_id": Kind("an id: a non-empty string", _hook_id, _TEXT_OR_INT),
    "phone": Kind("a phone number such as +1234567890", _id, _TEXT_OR_INT),
    "code": Kind('a country code such as "1"', _text_or_int, _TEXT_OR_INT),
    "url": Kind("an http(s) URL with a host", _url, _WEB),
    "base_url": Kind("an http(s) URL with a host", _base_url, _WEB),
    "collector": Kind("an http(s) URL with a host", _collector, _WEB),
    "hook_url": Kind("an http(s) URL with a host", _hook_url, _WEB),
    "redis_url": Kind("a URL such as redis://host:6379/0, rediss://host:6379/0 or unix:///path", _redis_url, _WEB),
    "storage": Kind("an object store such as s3://bucket/prefix, gs://bucket/prefix or az://container", _storage, _WEB),
    "host": Kind('a host name such as "cdn.example" or "*.example"', _host),
    "text_or_number": Kind("a string", _text_or_int, _TEXT_OR_INT),
    "header_name": Kind("a header name: letters, digits and !#$%&'*+-.^_`|~", _header_name),
    "header_value": Kind("a header value: a string on one line, without control characters", _header_value),
    "method": Kind("an HTTP method such as POST", _method),
    "version": Kind('a Graph API version such as "v25.0"', _version),
    "duration": Kind('a duration, seconds or such as "500ms", "15s", "2m", "1h", "3d",', _duration, _NUMBER_OR_TEXT),
    "hook_secret": Kind('a string; after "whsec_" base64', _hook_secret),
    "prefix": Kind("1 to 64 letters, digits, dots, colons, dashes or underscores", _prefix),
    "table_name": Kind("a table's name: 1 to 40 letters, digits or underscores, no digit first", _table_name),
    "redis_mode": Kind('"standalone"', _redis_mode, {"enum": ["standalone"]}),
    "redis_shards": Kind("1", _redis_shards, {"enum": [1]}),
}
