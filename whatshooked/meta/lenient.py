"""Values of JSON that other parsers refuse, read so that one bad value never costs its neighbours.

What a strict parser stops at and this one does not: nesting of any depth, NaN and Infinity, lone surrogates,
unknown escapes and control characters in strings, bytes that are not UTF-8, numbers out of range.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from whatshooked.meta.scan import REFUSALS, Malformed, members

#: Deepest nesting that is handed on as JSON; deeper values become text, since receivers' parsers end there.
DEEPEST = 200
#: Above this a Unix time is in milliseconds: as seconds it would be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000
#: The last second of the year 9999, the end of RFC 3339.
_LATEST = 253_402_300_799

_unclean = re.compile(
    rb'"'
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u[0-9a-fA-F]{4}|\\.|[\x00-\x1f]|NaN|-?Infinity",
    re.DOTALL,
)


_decoder = msgspec.json.Decoder()


def value(raw: bytes) -> Any:
    """Return a value decoded as far as it can be: NaN is None, what is too deep or no JSON is its own text."""
    try:
        return _shallow(raw)
    except RecursionError:
        return raw.decode("utf-8", "replace")
    except REFUSALS:
        pass
    try:
        return _shallow(clean(raw))
    except REFUSALS:
        return raw.decode("utf-8", "replace")


def item(raw: bytes) -> Any:
    """Return like `value`, but of an object only the members that resist become text."""
    try:
        return _shallow(raw)
    except REFUSALS:
        pass
    try:
        parts = members(raw)
    except Malformed:
        parts = None
    return value(raw) if parts is None else {key: value(part) for key, part in parts.items()}


def _shallow(raw: bytes) -> Any:
    found = _decoder.decode(raw)
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _too_deep(found):
        raise RecursionError
    return found


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [part for holder in level for part in _parts(holder) if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _parts(holder: Any) -> Iterable[Any]:
    if isinstance(holder, dict):
        return holder.values()
    return holder if isinstance(holder, list) else ()


def clean(raw: bytes) -> bytes:
    """Return the same JSON in strict form: U+FFFD for what is no character, null for what is no number."""
    return _unclean.sub(_Cleaner(), raw.decode("utf-8", "replace").encode())


class _Cleaner:
    """Replaces one token after the other, knowing whether it stands inside a string."""

    def __init__(self) -> None:
        self._quoted = False

    def __call__(self, token: re.Match[bytes]) -> bytes:
        text = token.group()
        if text == b'"':
            self._quoted = not self._quoted
            return text
        return _in_string(text) if self._quoted else _outside(text)


def _outside(text: bytes) -> bytes:
    return b"null" if text in (b"NaN", b"Infinity", b"-Infinity") else text


def _in_string(text: bytes) -> bytes:
    if len(text) == 1:
        return b"\\u%04x" % text[0]
    if text[:1] != b"\\":
        return text  # the word NaN in somebody's message
    if text[1:2] == b"u" and len(text) > 2:
        return rb"\ufffd" if len(text) == 6 and text[2:3] in b"dD" and text[3:4] > b"7" else text
    return text if text[1:2] in b'"\\/bfnrt' else b"\\" + text


def text(value: Any) -> str:
    """Return a string or number as text, `""` for anything else: Meta writes ids and times as either."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def seconds(value: Any) -> int:
    """Return a Unix time in seconds, given as text or number and in seconds or ms; 0 for what is none."""
    if isinstance(value, str) and len(value) == 10 and value.isascii() and value.isdecimal():
        return int(value)  # as Meta writes it
    try:
        number = float(text(value))
    except ValueError:
        return 0
    if number > _MILLISECONDS_FROM:
        number /= 1000
    return int(number) if 0 < number <= _LATEST else 0
