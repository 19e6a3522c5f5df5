"""The walk over the file's raw JSON, directed by the Structs: every fault is collected with its place.

The result is plain data in which a faulty value is UNSET, so that the rules can look at the rest of the file and
one run reports all. Nothing here quotes a secret, or what came out of `env:` or `file:`.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import UNSET, inspect

from whatshooked.config.kinds import TOKEN, UnfitError
from whatshooked.config.model import UNAVAILABLE
from whatshooked.config.shapes import Shape, shape
from whatshooked.config.source import SourceError, is_reference, resolve
from whatshooked.config.values import coerced, expected, fit

SHOWN = 60  # characters of a wrong value that a message quotes
JSON_NAMES = {str: "a string", bool: "true or false", int: "a number", float: "a number", list: "an array"}


class Object(dict[str, Any]):
    """A JSON object that remembers the keys its text held twice."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        pairs = list(pairs)
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = sorted({name for name in names if names.count(name) > 1}) if len(names) > len(self) else []


class Place(NamedTuple):
    """A key's whole path, and whether its value must not be shown."""

    path: str = ""
    hidden: bool = False

    def key(self, name: str) -> "Place":
        """Return the place of a key in the object here."""
        return Place(f"{self.path}.{name}" if self.path else name, self.hidden)

    def item(self, index: int) -> "Place":
        """Return the place of an item in the array here."""
        return Place(f"{self.path}[{index}]", self.hidden)


class Report:
    """Collects faults and warnings as whole lines that begin with the file's name and the key's path.

    `variables` holds, by path, the environment variables from which values came that the file does not set.
    """

    def __init__(self, name: str, variables: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._variables = variables or {}
        self.faults: list[str] = []
        self.warnings: list[str] = []

    def fault(self, path: str, text: str) -> None:
        """Note what keeps the file from being used."""
        self.faults.append(self._line(path, text))

    def warn(self, path: str, text: str) -> None:
        """Note what the operator should know though the file is used."""
        self.warnings.append(self._line(path, text))

    def _line(self, path: str, text: str) -> str:
        origin = f" (of the environment variable {self._variables[path]})" if path in self._variables else ""
        return f"{self.name}: {path}{origin}: {text}" if path else f"{self.name}: {text}"


class Walk:
    """One walk over one file."""

    def __init__(self, report: Report, environ: Mapping[str, str]) -> None:
        self._report = report
        self._environ = environ

    def value(self, raw: object, declared: inspect.Type, at: Place) -> Any:
        """Return the value as plain data for its Struct, or UNSET after noting why it does not fit."""
        wanted = shape(declared)
        at = at._replace(hidden=at.hidden or wanted.secret)
        match wanted.type:
            case inspect.StructType() as info:
                return self._section(raw, info, at)
            case inspect.VarTupleType() as info:
                return self._array(raw, info, wanted, at)
            case inspect.DictType() as info:
                return self._mapping(raw, info, at)
            case _:
                return self._scalar(raw, wanted, at)

    def _section(self, raw: object, info: inspect.StructType, at: Place) -> Any:
        if not isinstance(raw, Object):
            return self._unfit("expected an object", raw, at._replace(hidden=True))
        self._strangers(raw, info, at)
        later = UNAVAILABLE.get(info.cls, frozenset())
        found = {
            field.encode_name: self._field(raw, field, at) for field in info.fields if field.encode_name not in later
        }
        return {name: value for name, value in found.items() if value is not None}

    def _field(self, raw: Object, field: inspect.Field, at: Place) -> Any:
        """Return None for a key that is absent; so do null, and "" where text may be absent."""
        given, name = raw.get(field.encode_name), field.encode_name
        if given is None and field.required:
            wanted = shape(field.type)
            self._report.fault(at.key(name).path, f"missing, expected {expected(wanted)} ({wanted.about})")
            return UNSET
        if given is None or (given == "" and _may_be_empty(field)):
            return None
        return self.value(given, field.type, at.key(name))

    def _strangers(self, raw: Object, info: inspect.StructType, at: Place) -> None:
        known = [field.encode_name for field in info.fields]
        later = UNAVAILABLE.get(info.cls, frozenset())
        for name in raw:
            if name in later:
                if raw[name] is not None:
                    self._report.fault(at.key(name).path, "not available in this version; remove the key")
            elif name not in known and not (name == "$schema" and not at.path):
                self._unknown(at.key(printable(name)), nearest(name, sorted(set(known) - later)), info)
        self._doubled(raw, at)

    def _doubled(self, raw: Object, at: Place) -> None:
        for name in raw.twice:
            self._report.warn(at.key(printable(name)).path, "stands twice in one object, the last one counts")

    def _unknown(self, at: Place, near: str, info: inspect.StructType) -> None:
        hint = f"; the nearest known key is {near}" if near else ""
        if info.forbid_unknown_fields:
            self._report.fault(at.path, f"unknown key{hint}; remove or correct it")
        else:
            self._report.warn(at.path, f"unknown key, ignored{hint}")

    def _array(self, raw: object, info: inspect.VarTupleType, wanted: Shape, at: Place) -> Any:
        if wanted.kind == "one_or_two" and isinstance(raw, str):
            return [self.value(raw, info.item_type, at)]
        if not isinstance(raw, list) or (info.max_length is not None and len(raw) > info.max_length):
            return self._unfit(f"expected {expected(wanted)}", raw, at)
        return [self.value(item, info.item_type, at.item(index)) for index, item in enumerate(raw)]

    def _mapping(self, raw: object, info: inspect.DictType, at: Place) -> Any:
        if not isinstance(raw, Object):
            return self._unfit("expected an object", raw, at)
        found = {}
        for index, (name, item) in enumerate(raw.items()):
            # A name that is no token may be a whole header line with its secret: say its position instead.
            here = at.key(name) if TOKEN.fullmatch(name) else at.item(index)
            read = self._scalar(name, shape(info.key_type), here, literal=True)
            found[read] = self.value(item, info.value_type, here)
        self._doubled(raw, at)
        return found

    def _scalar(self, raw: object, wanted: Shape, at: Place, *, literal: bool = False) -> Any:
        if isinstance(raw, str) and is_reference(raw) and not literal:
            try:
                raw = coerced(resolve(raw, self._environ), wanted)
            except SourceError as error:
                self._report.fault(at.path, str(error))
                return UNSET
            at = at._replace(hidden=True)
        try:
            return fit(raw, wanted)
        except UnfitError as error:
            return self._unfit(str(error) or f"expected {expected(wanted)}", raw, at, whole=bool(str(error)))

    def _unfit(self, text: str, raw: object, at: Place, *, whole: bool = False) -> Any:
        self._report.fault(at.path, text if whole else f"{text}, got {_got(raw, at)}")
        return UNSET


def _may_be_empty(field: inspect.Field) -> bool:
    """Return whether "" means that the key is absent, as the earlier program wrote it."""
    wanted = shape(field.type)
    textual = isinstance(wanted.type, inspect.StrType | inspect.LiteralType) or wanted.kind == "one_or_two"
    return textual and not field.required


def _got(raw: object, at: Place) -> str:
    """Return the value for a message; only its JSON type when it must not be shown."""
    name = JSON_NAMES.get(type(raw), "an object")
    # A URL's user or query may hold a password.
    if at.hidden or isinstance(raw, list | dict) or (isinstance(raw, str) and set("@?") & set(raw)):
        return f"{name} (not shown)" if isinstance(raw, str) else name
    text = json.dumps(raw)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def printable(name: str) -> str:
    """Return a key's name fit for one line of a message."""
    return name if TOKEN.fullmatch(name) and len(name) <= SHOWN else json.dumps(name[:SHOWN])


def nearest(name: str, known: Iterable[str], cutoff: float = 0.0) -> str:
    """Return the known name most like the given one, "" when none reaches the cutoff (0 to 1)."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), "")
