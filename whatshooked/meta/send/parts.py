"""The parts of a request to send: read by shape, with every fault noted at its JSON path.

A fault names the place and what was expected, never the value: it may be a person's words or number.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

#: Bounds of what is looked at: Meta's own bodies nest about a dozen levels deep.
DEEPEST = 50
MOST_VALUES = 20_000
MOST_FAULTS = 50
#: Integers from here on are beyond what most JSON parsers read.
_INTEGERS = 2**64

_decimal = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{1,40})?")
_plain_key = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Meta fetches the link, and judges it; its own examples write `http(s)://`.
_web_url = re.compile(r"http(?:s|\(s\))?://\S+", re.IGNORECASE)
_NOUNS = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
}


class Part:
    """An object of the request and its place; a value that does not fit is noted, and read as if it were absent."""

    def __init__(self, value: Object, path: str, faults: list[str]) -> None:
        self.value = value
        self.path = path
        self._faults = faults

    def has(self, key: str) -> bool:
        """Return whether the key holds anything; null counts as absent."""
        return self.value.get(key) is not None

    def place(self, key: str) -> str:
        """Return the path of a key of this object; of the object itself for an empty key."""
        return ".".join(name for name in (self.path, key) if name)

    def fault(self, key: str, text: str) -> None:
        """Note a fault at the key; at the object itself for an empty key."""
        place = self.place(key)
        self._faults.append(f"{place}: {text}" if place else text)

    def text(self, key: str, most: int = 0, *, needed: bool = True, empty: bool = False) -> str:
        """Return a string of at most `most` characters (0 = any number), `""` when it is not there or does not fit."""
        value = self._of_type(key, str, needed)
        if not isinstance(value, str):
            return ""
        if not value and not empty:
            self.fault(key, "expected a string that is not empty")
        if most and len(value) > most:
            self.fault(key, f"at most {most} characters, got {len(value)}")
            return ""
        return str(value)

    def id(self, key: str, *, needed: bool = True) -> None:
        """Check an id: a string, or a whole number as Meta's ids are sometimes written."""
        if not (isinstance(self.value.get(key), int) and not isinstance(self.value[key], bool)):
            self.text(key, needed=needed)

    def flag(self, key: str) -> None:
        """Check true or false, which may be absent."""
        self._of_type(key, bool, needed=False)

    def number(self, key: str, bound: float) -> None:
        """Check a number from -bound to bound; Meta's own examples write coordinates as strings."""
        value = self.value.get(key)
        wanted = f"a number from {-bound:g} to {bound:g}"
        if value is None:
            self.fault(key, f"missing, expected {wanted}")
            return
        if isinstance(value, str) and _decimal.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not (isinstance(value, int | float) and -bound <= value <= bound):
            self.fault(key, f"expected {wanted}")

    def word(self, key: str, words: tuple[str, ...], *, needed: bool = True) -> str:
        """Return the one of these words that the key holds, `""` when it is not there or none of them."""
        wanted = " or ".join(json.dumps(word) for word in words)
        value = self.value.get(key)
        if value is None and needed:
            self.fault(key, f"missing, expected {wanted}")
        elif value is not None and value not in words:
            self.fault(key, f"expected {wanted}")
        return value if isinstance(value, str) and value in words else ""

    def url(self, key: str, *, needed: bool = True) -> None:
        """Check a link that a browser, or Meta, can open."""
        if (text := self.text(key, needed=needed)) and not _web_url.fullmatch(text):
            self.fault(key, "expected an http(s) URL")

    def object(self, key: str, *, needed: bool = True) -> "Part | None":
        """Return the object that the key holds."""
        value = self._of_type(key, dict, needed)
        return Part(value, self.place(key), self._faults) if isinstance(value, dict) else None

    def objects(self, key: str, most: int = 0, *, needed: bool = True) -> "list[Part]":
        """Return the objects of an array with at most `most` of them (0 = any number) and, if needed, at least one."""
        value = self._of_type(key, list, needed)
        if not isinstance(value, list):
            return []
        if needed and not value:
            self.fault(key, "expected an array that is not empty")
        if most and len(value) > most:
            self.fault(key, f"at most {most}, got {len(value)}")
        return list(self._items(key, value[: most or None]))

    def _items(self, key: str, values: list[Any]) -> Iterator["Part"]:
        for index, value in enumerate(values):
            name = f"{key}[{index}]"
            if isinstance(value, dict):
                yield Part(value, self.place(name), self._faults)
            else:
                self.fault(name, f"expected an object, got {noun(value)}")

    def _of_type(self, key: str, wanted: type, needed: bool) -> Any:
        value = self.value.get(key)
        if value is None:
            if needed:
                self.fault(key, f"missing, expected {_NOUNS[wanted]}")
        elif not isinstance(value, wanted):
            self.fault(key, f"expected {_NOUNS[wanted]}, got {noun(value)}")
            return None
        return value


def noun(value: object) -> str:
    """Return what a value is in JSON, in words."""
    return "null" if value is None else _NOUNS.get(type(value), "what is no JSON")


def unsendable(request: object) -> list[str]:
    """Return a fault for each value, wherever it stands, that cannot be written as JSON or nests too deep."""
    faults: list[str] = []
    level = [("", request)]
    seen = 0
    for _ in range(DEEPEST):
        inner: list[tuple[str, Any]] = []
        for path, value in level:
            seen += 1
            if seen > MOST_VALUES:
                return [*faults, f"at most {MOST_VALUES} values"]
            if fault := _refused(value):
                faults.append(f"{path}: {fault}" if path else fault)
            else:
                inner.extend(_inside(path, value))
        if not inner or len(faults) >= MOST_FAULTS:
            return faults
        level = inner
    return [*faults, f"{level[0][0][:100]}: at most {DEEPEST} levels of nesting"]


def _refused(value: object) -> str:
    """Return why a value, its members aside, cannot be written as JSON; `""` when it can."""
    match value:
        case str():
            return "" if is_text(value) else "expected text, got a string with half of a surrogate pair"
        case float():
            return "" if math.isfinite(value) else "expected a number that JSON can hold"
        case int():
            return "" if abs(value) < _INTEGERS else "expected a number that JSON can hold"
        case dict():
            return "" if all(isinstance(key, str) and is_text(key) for key in value) else "expected keys that are text"
        case None | list():
            return ""
    return f"expected JSON, got {type(value).__name__}"


def is_text(value: str) -> bool:
    """Return whether a string can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _inside(path: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((f"{path}[{index}]", member) for index, member in enumerate(value))
    elif isinstance(value, dict):
        for key, member in value.items():
            name = key if _plain_key.fullmatch(key) else f"[{json.dumps(key[:32])}]"
            yield f"{path}.{name}" if path and name is key else f"{path}{name}", member
