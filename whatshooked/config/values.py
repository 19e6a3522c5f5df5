"""One value against its shape: read by type and kind, held to its bounds, and what was expected in words."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import inspect

from whatshooked.config.kinds import KINDS, UnfitError
from whatshooked.config.shapes import Shape

WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def coerced(text: str, wanted: Shape) -> object:
    """Return a resolved string as the number or boolean its key wants; as it is when it cannot be one."""
    try:
        match wanted.type:
            case inspect.IntType():
                return int(text)
            case inspect.FloatType() if wanted.kind != "duration":
                return float(text)
            case inspect.BoolType():
                return WORDS.get(text.strip().lower(), text)
    except ValueError:
        pass
    return text


def fit(raw: object, wanted: Shape) -> object:
    """Return the value that a key of this shape holds; raises UnfitError."""
    if isinstance(raw, str):
        _encodable(raw)
    rule = KINDS.get(wanted.kind)
    value = rule.read(raw) if rule else BASES[type(wanted.type)](raw, wanted.type)
    _bounds(value, wanted.type)
    return value


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnfitError("expected text, got a string with half of a surrogate pair") from error


def _typed(*types: type) -> Callable[[object, Any], object]:
    """Return a reader that takes these types; JSON's true is no number, though Python's is."""

    def read(raw: object, _: object) -> object:
        if not isinstance(raw, types) or (isinstance(raw, bool) and bool not in types):
            raise UnfitError
        return raw

    return read


def _choice(raw: object, info: Any) -> object:
    value = raw.lower() if isinstance(raw, str) else raw
    if value not in info.values:
        raise UnfitError
    return value


BASES: Mapping[type, Callable[[object, Any], object]] = {
    inspect.StrType: _typed(str),
    inspect.IntType: _typed(int),
    inspect.FloatType: _typed(int, float),
    inspect.BoolType: _typed(bool),
    inspect.LiteralType: _choice,
}


def _bounds(value: object, info: inspect.Type) -> None:
    if isinstance(info, inspect.StrType) and isinstance(value, str) and len(value) < (info.min_length or 0):
        raise UnfitError
    if isinstance(info, inspect.IntType | inspect.FloatType) and isinstance(value, int | float):
        over = value <= info.gt if info.gt is not None else value < _or(info.ge, -math.inf)
        if over or not value <= _or(info.le, math.inf) or math.isnan(value):
            raise UnfitError


def _or(bound: float | None, default: float) -> float:
    return default if bound is None else bound


def expected(wanted: Shape) -> str:
    """Return in words what a key of this shape takes."""
    rule, info = KINDS.get(wanted.kind), wanted.type
    match info:
        case _ if rule:
            return rule.expected + _range(info)
        case inspect.LiteralType():
            return "one of " + ", ".join(json.dumps(value) for value in info.values)
        case inspect.VarTupleType() if info.max_length is not None:
            return f"a string or an array of at most {info.max_length} strings"
        case inspect.StrType():
            return "a non-empty string" if info.min_length else "a string"
        case _:
            return NOUNS[type(info)] + _range(info)


NOUNS: Mapping[type, str] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.VarTupleType: "an array",
    inspect.StructType: "an object",
}


def _range(info: inspect.Type) -> str:
    if not isinstance(info, inspect.IntType | inspect.FloatType):
        return ""
    bounds = ((" above ", info.gt), (" from ", info.ge), (" up to ", info.le))
    return "".join(f"{word}{bound}" for word, bound in bounds if bound is not None)
