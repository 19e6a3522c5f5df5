"""JSON taken apart into the bytes of its members, iteratively.

Well-formed JSON goes to msgspec. What msgspec refuses goes to a scanner that keeps its own stack, so that no depth
can exhaust Python's or C's, and whose patterns are bounded, so that no input makes them backtrack far. It lets pass
inside of strings whatever ends with a quote, and NaN and Infinity among the words; for the rest it holds to RFC 8259.
"""

import json
import re

import msgspec

#: What msgspec raises when a value is not strict JSON or too deep for it.
REFUSALS = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

_SPACE = rb"[ \t\r\n]*"
_SHORT_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+){0,32}"'
_COLON, _COMMA = _SPACE + rb":" + _SPACE, _SPACE + rb"," + _SPACE
_WORD = rb"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|NaN|-?Infinity)"


def _any_of(inner: bytes) -> bytes:
    """Return the pattern of a value whose members, at most 32, are `inner`."""
    pair = _SHORT_STRING + _COLON + inner
    array = rb"\[" + _SPACE + inner + rb"(?:" + _COMMA + inner + rb"){0,31}" + _SPACE + rb"\]"
    mapping = rb"\{" + _SPACE + pair + rb"(?:" + _COMMA + pair + rb"){0,31}" + _SPACE + rb"\}"
    return rb"(?:" + inner + rb"|" + array + rb"|" + mapping + rb")"


# Small values are taken whole and in runs of 64: one step of the scanner instead of hundreds, and a bounded way back.
_SMALL = _any_of(_any_of(rb"(?:" + _SHORT_STRING + rb"|" + _WORD + rb"|\[\]|\{\})"))
_ELEMENTS = rb"(?:" + _SMALL + _COMMA + rb"){0,64}"
_PAIRS = rb"(?:" + _SHORT_STRING + _COLON + _SMALL + _COMMA + rb"){0,64}"

_space = re.compile(_SPACE)
_word = re.compile(_WORD)
_small = re.compile(_SMALL, re.DOTALL)
_elements = re.compile(_ELEMENTS, re.DOTALL)
_pairs = re.compile(_PAIRS, re.DOTALL)
_colon = re.compile(_COLON)
_string_part = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+){0,64}', re.DOTALL)
_openings = re.compile(
    rb"(?:\[" + _SPACE + rb'|\{[ \t\r\n]*"[^"\\\[\]{}]*"' + _SPACE + rb":" + _SPACE + rb"){1,64}", re.DOTALL
)
_closings = re.compile(rb"(?:[\]}]" + _SPACE + rb"){1,64}")
_ARRAY_END = ord("]")
_CLOSER_OF = bytes.maketrans(b"[{", b"]}")
_NO_OPENING = bytes(set(range(256)) - set(b"[{"))

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class Malformed(ValueError):  # noqa: N818 - names a state of the bytes, read as `except Malformed`
    """Bytes that are not JSON by any reading: cut, unbalanced, or with something behind their end."""


def members(raw: bytes) -> dict[str, bytes] | None:
    """Return an object's values as the bytes they came in, None for what is no object; of equal keys the last wins.

    Raises Malformed.
    """
    try:
        return {key: bytes(value) for key, value in _object_decoder.decode(raw).items()}
    except REFUSALS:
        return scan_members(raw)


def elements(raw: bytes) -> list[bytes] | None:
    """Return an array's elements as the bytes they came in, None for what is no array. Raises Malformed."""
    try:
        return [bytes(element) for element in _array_decoder.decode(raw)]
    except REFUSALS:
        return scan_elements(raw)


def scan_members(raw: bytes) -> dict[str, bytes] | None:
    """Do what `members` does, by the scanner alone."""
    pos = _over_space(raw, 0)
    if raw[pos : pos + 1] != b"{":
        return None
    found: dict[str, bytes] = {}
    pos = _over_space(raw, pos + 1)
    more = raw[pos : pos + 1] != b"}"
    while more:
        start = _key(raw, pos)
        end = _skip(raw, start)
        found[_name(raw, pos)] = raw[start:end]
        pos, more = _next(raw, end, b"}")
    _ended(raw, pos + 1)
    return found


def scan_elements(raw: bytes) -> list[bytes] | None:
    """Do what `elements` does, by the scanner alone."""
    pos = _over_space(raw, 0)
    if raw[pos : pos + 1] != b"[":
        return None
    found: list[bytes] = []
    pos = _over_space(raw, pos + 1)
    more = raw[pos : pos + 1] != b"]"
    while more:
        end = _skip(raw, pos)
        found.append(raw[pos:end])
        pos, more = _next(raw, end, b"]")
    _ended(raw, pos + 1)
    return found


def _next(raw: bytes, end: int, closer: bytes) -> tuple[int, bool]:
    pos = _over_space(raw, end)
    mark = raw[pos : pos + 1]
    if mark == closer:
        return pos, False
    if mark != b",":
        raise Malformed(f"byte {pos}: expected a comma or the end")
    return _over_space(raw, pos + 1), True


def _ended(raw: bytes, pos: int) -> None:
    if _over_space(raw, pos) != len(raw):
        raise Malformed(f"byte {pos}: something stands behind the end")


def _name(raw: bytes, pos: int) -> str:
    text = raw[pos : _string(raw, pos)].decode("utf-8", "replace")
    try:
        name = str(json.loads(text, strict=False))
    except ValueError:  # an escape that JSON does not know
        name = text[1:-1]
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _skip(raw: bytes, pos: int) -> int:
    """Return where the value that begins at `pos` ends."""
    closers = bytearray()
    while True:
        pos, empty = _enter(raw, pos, closers)
        if not empty:
            continue
        pos = _leave(raw, pos, closers)
        if not closers:
            return pos
        pos = _member(raw, pos, closers[-1])


def _enter(raw: bytes, pos: int, closers: bytearray) -> tuple[int, bool]:
    """Step into the value at `pos`, or over it; False when another value is due inside it."""
    if small := _small.match(raw, pos):
        return small.end(), True
    if run := _openings.match(raw, pos):
        closers += run.group().translate(_CLOSER_OF, _NO_OPENING)
        pos = run.end()
        if closers[-1:] == b"}":
            return pos, False
    elif raw[pos : pos + 1] == b"{":
        closers += b"}"
        pos = _over_space(raw, pos + 1)
    else:
        return _atom(raw, pos), True
    if raw[pos : pos + 1] == closers[-1:]:
        return pos, True
    return _member(raw, pos, closers[-1]), False


def _member(raw: bytes, pos: int, closer: int) -> int:
    """Return where the next value inside a container is due, past all plain members before it."""
    if closer == _ARRAY_END:
        run = _elements.match(raw, pos)
        return run.end() if run else pos
    run = _pairs.match(raw, pos)
    return _key(raw, run.end() if run else pos)


def _leave(raw: bytes, pos: int, closers: bytearray) -> int:
    """Step out of every container that ends here and past the comma, if the outermost goes on."""
    while closers:
        pos = _over_space(raw, pos)
        if raw[pos : pos + 1] == b",":
            return _over_space(raw, pos + 1)
        pos = _close(raw, pos, closers)
    return pos


def _close(raw: bytes, pos: int, closers: bytearray) -> int:
    run = _closings.match(raw, pos)
    ended = run.group().translate(None, b" \t\r\n") if run else b"?"
    if not run or len(ended) > len(closers):
        run, ended = None, raw[pos : pos + 1]
    count = len(ended)
    if not count or closers[-count:][::-1] != ended:
        raise Malformed(f"byte {pos}: expected a comma or the end")
    del closers[-count:]
    return run.end() if run else pos + 1


def _atom(raw: bytes, pos: int) -> int:
    if raw[pos : pos + 1] == b'"':
        return _string(raw, pos)
    found = _word.match(raw, pos)
    if not found:
        raise Malformed(f"byte {pos}: expected a value")
    return found.end()


def _key(raw: bytes, pos: int) -> int:
    found = _colon.match(raw, _string(raw, pos))
    if not found:
        raise Malformed(f"byte {pos}: expected a key and a colon")
    return found.end()


def _string(raw: bytes, pos: int) -> int:
    if raw[pos : pos + 1] != b'"':
        raise Malformed(f"byte {pos}: expected a string")
    pos += 1
    while part := _string_part.match(raw, pos):
        pos, begun = part.end(), pos
        if raw[pos : pos + 1] == b'"':
            return pos + 1
        if pos == begun:
            break
    raise Malformed(f"byte {pos}: a string does not end")


def _over_space(raw: bytes, pos: int) -> int:
    found = _space.match(raw, pos)
    return found.end() if found else pos
