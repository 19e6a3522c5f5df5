"""What a key of the file may say about its value: its type, its kind, whether it is secret, what it is for.

All of it stands in the Structs' annotations (model.py) and is read back here, so that the walk, the JSON Schema
and the reprs follow one source.
"""

import functools
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, inspect

SECRET = Meta(extra={"secret": True})

SecretText = Annotated[str, Meta(min_length=1), SECRET]
Id = Annotated[str, Meta(extra={"kind": "id"})]
Port = Annotated[int, Meta(ge=0, le=65535)]


def about(text: str) -> Meta:
    """Return the annotation that says what a key is for: editors and the fault of a missing key show it."""
    return Meta(description=text)


def kind(name: str) -> Meta:
    """Return the annotation that names the key's entry in `kinds.KINDS`, for values with rules beyond their type."""
    return Meta(extra={"kind": name})


class Shape(NamedTuple):
    """One key's annotations, unwrapped; `type` is never Metadata or a union with None."""

    type: inspect.Type
    kind: str = ""
    secret: bool = False
    about: str = ""


def shape(declared: inspect.Type) -> Shape:
    """Return what the annotations around a type say about its values."""
    match declared:
        case inspect.Metadata():
            inner, extra, told = shape(declared.type), declared.extra or {}, declared.extra_json_schema or {}
            return Shape(
                type=inner.type,
                kind=extra.get("kind", inner.kind),
                secret=extra.get("secret", inner.secret),
                about=told.get("description", inner.about),
            )
        case inspect.UnionType():
            return shape(next(member for member in declared.types if not isinstance(member, inspect.NoneType)))
        case _:
            return Shape(declared)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """An object of the file; its repr shows no secret."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={text}" for name, text in _shown(self))
        return f"{type(self).__name__}({shown})"


class OurSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that the earlier program did not have: an unknown key in it is a fault, not a warning."""


def _shown(section: Section) -> Iterator[tuple[str, str]]:
    secrets = _secret_names(type(section))
    for name in section.__struct_fields__:
        value = getattr(section, name)
        yield name, "'***'" if value and name in secrets else repr(value)


@functools.cache
def _secret_names(section: type[Section]) -> frozenset[str]:
    return frozenset(field.name for field in fields(section) if shape(field.type).secret)


def fields(section: type[Section]) -> tuple[inspect.Field, ...]:
    """Return the section's keys in their order in the class."""
    info: Any = inspect.type_info(section)
    return tuple(info.fields)
