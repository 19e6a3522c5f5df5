"""The state as a file: read with every fault named by its place, and saved whole or not at all."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

from whatshooked import logs
from whatshooked.errors import TheirsError
from whatshooked.simulator.world.model import State
from whatshooked.simulator.world.world import World

log = logs.get("simulator")

#: Table -> the field that repeats an entry's key; a file may leave it out.
_KEYS = {"tokens": "value"}
#: Seconds (ours) between two saves.
_PAUSE = 1.0


class StateError(TheirsError):
    """A state that cannot be used; one line that names the place."""


def decode(data: bytes, name: str) -> State:
    """Return the state that stands in JSON; `name` says where it comes from. Raises StateError."""
    try:
        tables = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"{name} is no JSON: {error}") from error
    if not isinstance(tables, dict):
        raise StateError(f"{name}: expected an object with apps, tokens, wabas, numbers ...")
    types = get_type_hints(State)
    strange = [key for key in tables if key not in types]
    if strange:
        raise StateError(f"{name}: {strange[0]}: unknown; there are {', '.join(types)}")
    state = State(**{key: _table(name, key, value, types[key]) for key, value in tables.items()})
    for fault in _dangling(state):
        raise StateError(f"{name}: {fault}")
    return state


def encode(state: State) -> bytes:
    """Return the state as a file's bytes."""
    return msgspec.json.format(msgspec.json.encode(state), indent=1)


def load(path: Path) -> State | None:
    """Return the state of a file, None when there is no such file; raises StateError."""
    try:
        return decode(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        if not path.parent.is_dir():
            raise StateError(f"{path} cannot be made: there is no folder {path.parent}") from error
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read ({error.strerror})") from error


def save(path: Path, data: bytes) -> None:
    """Put the bytes in the file's place; raises OSError, and then the file is as it was."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600: tokens stand in it
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


class Keeper:
    """Saves a world's state whenever it may have changed, at most once a second, and at the end."""

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._path = path
        self._saved = b""
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Save until `end`, and a last time then; a disk that does not take it is logged and tried again."""
        while not self._ended.is_set():
            await self._world.changed.wait()
            self._world.changed.clear()
            await self._save()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    await self._ended.wait()
        await self._save()

    def end(self) -> None:
        """Let `run` come to its end."""
        self._ended.set()
        self._world.touch()

    async def _save(self) -> None:
        """Save, unless the file holds it already."""
        state = self._world.state
        data = encode(state)
        if data == self._saved:
            return
        state.saved_at = self._world.clock.now()
        data = encode(state)
        try:
            await asyncio.to_thread(save, self._path, data)
        except OSError as error:
            reason = error.strerror or str(error)
            log.seldom(
                "error", "The state was not saved; make room or mend the folder", file=str(self._path), error=reason
            )
            self._world.touch()
        else:
            self._saved = data


def _table(name: str, key: str, value: Any, type_: Any) -> Any:
    """Return one part of a state; of a table each entry by itself, so that a fault names its key."""
    entry = (get_args(type_) or (type_,))[-1]
    if not (isinstance(value, dict) and isinstance(entry, type) and issubclass(entry, Struct)):
        return _converted(f"{name}: {key}", value, type_)
    own = _KEYS.get(key, "id")
    return {
        id_: _converted(f"{name}: {key}.{id_}", {own: id_} | row if isinstance(row, dict) else row, entry)
        for id_, row in value.items()
    }


def _converted(place: str, value: Any, type_: Any) -> Any:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise StateError(f"{place}{path.rstrip('`')}: {text}") from error


def _dangling(state: State) -> Iterator[str]:
    """Yield each id that does not name what it should."""
    for table in ("apps", "businesses", "wabas", "numbers", "templates", "media", "users", "messages", "tokens"):
        for key, row in getattr(state, table).items():
            if getattr(row, _KEYS.get(table, "id")) != key:
                yield f"{table}.{key}: its id is another"
            if table in ("apps", "businesses", "wabas", "numbers", "templates", "media") and not key.isdigit():
                yield f"{table}.{key}: Meta's ids are digits"
    references = (
        ("tokens", "app_id", "apps"),
        ("wabas", "business_id", "businesses"),
        ("numbers", "waba_id", "wabas"),
        ("templates", "waba_id", "wabas"),
        ("media", "number_id", "numbers"),
        ("messages", "number_id", "numbers"),
    )
    for table, name, other in references:
        for key, row in getattr(state, table).items():
            if getattr(row, name) not in getattr(state, other):
                yield f"{table}.{key}.{name}: no such entry in {other}"
    for key, waba in state.wabas.items():
        for app_id in waba.subscribed:
            if app_id not in state.apps:
                yield f"wabas.{key}.subscribed: no app {app_id}"
