"""Shapes of JSON as small checks that are put together: what must stand where, how long and how often; pure.

A check is called with a value and its place. It raises Refusal for what Graph refuses (131008 missing, 131009 not
allowed, 100 not even of the right JSON type), and notes what Graph would swallow in silence.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from whatshooked.simulator.graph import refusals


@dataclass(frozen=True)
class File:
    """A file that a message names by its media id; `kind` is what it has to be: image, video, audio..."""

    kind: str
    id: str
    path: str
    voice: bool = False


@dataclass
class Found:
    """What checks came across: dotted paths of keys that nobody knows, and files."""

    unknown: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a value stands, as a dotted path, and where to note what is found."""

    path: str
    found: Found

    def into(self, name: str | int) -> "Place":
        """Return the place of a member."""
        return Place(f"{self.path}.{name}" if self.path else str(name), self.found)


Check = Callable[[Any, Place], None]
#: Looks at a whole object after each of its members was found good.
Rule = Callable[[dict[str, Any], Place], None]
Fields = dict[str, Check]


def missing(place: Place) -> refusals.Refusal:
    """Return the refusal of a message that lacks a parameter."""
    return refusals.message(131008, "Required parameter is missing", f"Parameter {place.path} is required.")


def invalid(place: Place, why: str) -> refusals.Refusal:
    """Return the refusal of a value that may not be; `why` goes on after its path."""
    return refusals.message(131009, "Parameter value is not valid", f"Parameter {place.path} {why}.")


def mistyped(place: Place, kind: str) -> refusals.Refusal:
    """Return the refusal of a value that is not of its JSON type."""
    return refusals.parameter(f"Param {place.path} must be {kind}.")


def anything(_: Any, __: Place) -> None:
    """Accept every value."""


def text(most: int | None = None, *, least: int = 1) -> Check:
    """Accept text of `least` to `most` characters."""

    def check(value: Any, place: Place) -> None:
        if not isinstance(value, str):
            raise mistyped(place, "a string")
        if len(value.strip()) < least:
            raise invalid(place, f"must have at least {least} characters")
        if most is not None and len(value) > most:
            raise invalid(place, f"must have at most {most} characters, it has {len(value)}")

    return check


def matching(pattern: str, what: str) -> Check:
    """Accept text that matches a pattern; `what` names it for people."""
    compiled = re.compile(pattern)

    def check(value: Any, place: Place) -> None:
        text()(value, place)
        if not compiled.fullmatch(value):
            raise invalid(place, f"must be {what}")

    return check


def one_of(*allowed: str) -> Check:
    """Accept these texts, in either case."""

    def check(value: Any, place: Place) -> None:
        if not isinstance(value, str) or value.lower() not in allowed:
            raise invalid(place, f"must be one of {', '.join(allowed)}")

    return check


def flag(value: Any, place: Place) -> None:
    """Accept true and false, also as text: form fields know nothing else."""
    if not isinstance(value, bool) and value not in ("true", "false"):
        raise mistyped(place, "a boolean")


def between(low: float, high: float) -> Check:
    """Accept numbers in a range, also as text, as Meta's own samples have them."""

    def check(value: Any, place: Place) -> None:
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None:
            raise mistyped(place, "a number")
        if not low <= number <= high:
            raise invalid(place, f"must lie between {low:g} and {high:g}")

    return check


def array(item: Check, *, least: int = 0, most: int | None = None) -> Check:
    """Accept an array of `least` to `most` items that are good."""

    def check(value: Any, place: Place) -> None:
        if not isinstance(value, list):
            raise mistyped(place, "an array")
        if len(value) < least:
            raise invalid(place, f"must have at least {least} items")
        if most is not None and len(value) > most:
            raise invalid(place, f"must have at most {most} items, it has {len(value)}")
        for index, one in enumerate(value):
            item(one, place.into(index))

    return check


def obj(needed: Fields, optional: Fields | None = None, *rules: Rule) -> Check:
    """Accept an object with these members that keeps the rules; other members are noted as unknown."""
    known = (optional or {}) | needed

    def check(value: Any, place: Place) -> None:
        if not isinstance(value, dict):
            raise mistyped(place, "an object")
        for name in needed:
            if value.get(name) is None:
                raise missing(place.into(name))
        for name, part in known.items():
            if value.get(name) is not None:
                part(value[name], place.into(name))
        place.found.unknown += [place.into(name).path for name in value if name not in known]
        for rule in rules:
            rule(value, place)

    return check


def either(one: str, other: str) -> Rule:
    """Demand exactly one of two members."""

    def rule(value: dict[str, Any], place: Place) -> None:
        if value.get(one) is None and value.get(other) is None:
            raise missing(place.into(f"{one} or {other}"))
        if value.get(one) is not None and value.get(other) is not None:
            raise invalid(place, f"takes {one} or {other}, not both")

    return rule


def without(name: str) -> Rule:
    """Forbid a member that its likes have."""

    def rule(value: dict[str, Any], place: Place) -> None:
        if value.get(name) is not None:
            raise invalid(place.into(name), "is not allowed here")

    return rule


def each(*checks: Check) -> Check:
    """Accept what every one of these accepts."""

    def check(value: Any, place: Place) -> None:
        for one in checks:
            one(value, place)

    return check


def unlike(*path: str) -> Check:
    """Demand that what stands at `path` in each item of an array is there only once."""

    def check(items: Any, place: Place) -> None:
        seen: set[str] = set()
        for index, item in enumerate(items):
            value, where = item, place.into(index)
            for name in path:
                value, where = value[name], where.into(name)
            if value in seen:
                raise invalid(where, "is there twice")
            seen.add(value)

    return check


_url = matching(r"https?://\S+", "an http or https URL")


def media(kind: str, optional: Fields | None = None) -> Check:
    """Accept a file by `id` or by `link`; the id is noted, nobody fetches the link."""
    shape = obj({}, {"id": text(), "link": _url} | (optional or {}), either("id", "link"))

    def check(value: Any, place: Place) -> None:
        shape(value, place)
        if value.get("id") is not None:
            voice = value.get("voice") in (True, "true")
            place.found.files.append(File(kind, value["id"], place.into("id").path, voice))

    return check


location = obj(
    {"latitude": between(-90, 90), "longitude": between(-180, 180)},
    {"name": text(least=0), "address": text(least=0)},
)
