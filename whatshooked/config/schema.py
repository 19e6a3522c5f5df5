"""The JSON Schema of config.json, for editors, made from the same Structs that the walk follows."""

from collections.abc import Mapping
from typing import Any

from msgspec import NODEFAULT, inspect

from whatshooked.config.kinds import KINDS
from whatshooked.config.model import UNAVAILABLE, Document
from whatshooked.config.shapes import shape

#: Any string of the file may say where its value stands.
REFERENCE = {"type": "string", "pattern": "^(env|file):."}
BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "le": "maximum", "min_length": "minLength"}
TYPES: Mapping[type, str] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
}


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12); keys that are not available in this version are left out."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "WhatsHooked config.json",
        **_of(inspect.type_info(Document)),
    }


def _of(declared: inspect.Type) -> dict[str, Any]:
    wanted = shape(declared)
    match wanted.type:
        case inspect.StructType():
            found = _section(wanted.type)
        case inspect.VarTupleType():
            found = _array(wanted.type, lone=wanted.kind == "one_or_two")
        case inspect.DictType():
            found = {"type": "object", "additionalProperties": _of(wanted.type.value_type)}
        case _:
            found = _scalar(wanted.type, wanted.kind)
    return found | ({"description": wanted.about} if wanted.about else {})


def _section(info: inspect.StructType) -> dict[str, Any]:
    known = [field for field in info.fields if field.encode_name not in UNAVAILABLE.get(info.cls, ())]
    found: dict[str, Any] = {
        "type": "object",
        "description": (info.cls.__doc__ or "").strip(),
        "properties": {field.encode_name: _of(field.type) | _default(field) for field in known},
        "required": [field.encode_name for field in known if field.required],
    }
    return found | ({"additionalProperties": False} if info.forbid_unknown_fields else {})


def _default(field: inspect.Field) -> dict[str, Any]:
    if field.default_factory is not NODEFAULT:
        return {"default": {}} if field.default_factory is dict else {}
    if field.default in (NODEFAULT, None):
        return {}
    return {"default": list(field.default) if isinstance(field.default, tuple) else field.default}


def _array(info: inspect.VarTupleType, *, lone: bool) -> dict[str, Any]:
    items = _of(info.item_type)
    found: dict[str, Any] = {"type": "array", "items": items}
    if info.max_length is not None:
        found["maxItems"] = info.max_length
    return {"anyOf": [items, found]} if lone else found


def _scalar(info: inspect.Type, kind: str) -> dict[str, Any]:
    if isinstance(info, inspect.LiteralType):
        found: dict[str, Any] = {"enum": list(info.values)}
    else:
        found = {"type": TYPES[type(info)], **_bounds(info)}
    if kind in KINDS:
        found = {**_bounds(info), **KINDS[kind].schema}
    return found if "string" in found.get("type", ()) else {"anyOf": [found, REFERENCE]}


def _bounds(info: inspect.Type) -> dict[str, Any]:
    limits = {word: getattr(info, name, None) for name, word in BOUNDS.items()}
    return {word: limit for word, limit in limits.items() if limit is not None}
