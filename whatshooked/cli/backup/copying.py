"""Copies of files that others write meanwhile; every function raises OSError."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

from whatshooked.errors import CommandRefused
from whatshooked.eventlog.files.disk import locked

_PIECE = 1 << 20
#: The server writes its append-only file anew once in a while, and never this often.
_TRIES = 20
MANIFEST = "appendonly.aof.manifest"


def append_only(source: Path, target: Path) -> None:
    """Copy the embedded server's append-only file, as of one moment; raises CommandRefused when it never holds still.

    It consists of several files, named by a manifest, which are appended to or replaced by others together with it. All
    that is acknowledged before the manifest is read lies in the files that it names, and once they are open nobody can
    take them away; where one is gone by then, there is another manifest.
    """
    for _ in range(_TRIES):
        with ExitStack() as files:
            told = (source / MANIFEST).read_bytes()
            try:
                opened = [files.enter_context((source / name).open("rb")) for name in _named(told)]
            except FileNotFoundError:
                continue
            target.mkdir(mode=0o700, parents=True)
            for file in opened:
                _copy(file, target / Path(file.name).name)
            (target / MANIFEST).write_bytes(told)
            return
    raise CommandRefused(f"{source}: the server keeps writing its append-only file anew; try again")


def _named(manifest: bytes) -> Iterator[str]:
    """Return the files that a manifest names and that hold data (base and increments, no history)."""
    for line in manifest.decode().splitlines():
        parts = dict(zip(*[iter(line.split())] * 2, strict=False))
        if parts.get("type") in ("b", "i"):
            yield parts["file"]


def log_files(source: Path, target: Path, is_ours: Callable[[str], bool]) -> int:
    """Copy the event log's files, between two batches of their writer; returns how many."""
    with ExitStack() as files:
        with locked(source):
            opened = [files.enter_context(path.open("rb")) for path in _regular(source) if is_ours(path.name)]
            sizes = [os.fstat(file.fileno()).st_size for file in opened]
        target.mkdir(mode=0o750, parents=True)
        for file, size in zip(opened, sizes, strict=True):
            _copy(file, target / Path(file.name).name, size)
    return len(opened)


def _regular(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if stat.S_ISREG(path.lstat().st_mode))


def tree(source: Path, target: Path) -> int:
    """Copy a folder of files that never change, names of one file as names of one file; returns how many names.

    What goes meanwhile is left out. Folders whose name begins with a dot come last: a file's name is made after what
    lies there of it, so that no name is copied without.
    """
    known: dict[tuple[int, int], Path] = {}
    target.mkdir(mode=0o750, parents=True)
    for folder, folders, names in os.walk(source, onerror=_unless_gone):
        folders.sort(key=lambda name: (name.startswith("."), name))
        into = target / Path(folder).relative_to(source)
        into.mkdir(mode=0o750, exist_ok=True)
        for name in names:
            try:
                _share(Path(folder) / name, into / name, known)
            except FileNotFoundError:
                continue
    return sum(len(names) for _, _, names in os.walk(target))


def _unless_gone(error: OSError) -> None:
    """A folder that cannot be read must not be missing in silence; one that went meanwhile may."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _share(path: Path, into: Path, known: dict[tuple[int, int], Path]) -> None:
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        key = (about.st_dev, about.st_ino)
        if key in known:
            into.hardlink_to(known[key])
            return
        _copy(file, into)
        known[key] = into


def _copy(file: IO[bytes], into: Path, size: int = -1) -> None:
    """Copy what the file holds now, or its first `size` bytes, with its mode and times."""
    about = os.fstat(file.fileno())
    rest = about.st_size if size < 0 else size
    with into.open("xb") as copy:
        while rest > 0 and (piece := file.read(min(_PIECE, rest))):
            copy.write(piece)
            rest -= len(piece)
        os.fchmod(copy.fileno(), stat.S_IMODE(about.st_mode))
    os.utime(into, ns=(about.st_atime_ns, about.st_mtime_ns))


def sqlite(source: Path, target: Path) -> None:
    """Copy a database while others write to it, as SQLite does it."""
    try:
        old, new = sqlite3.connect(f"file:{source}?mode=ro", uri=True), sqlite3.connect(target)
        with closing(old), closing(new):
            old.backup(new)
        shutil.copymode(source, target)
    except sqlite3.Error as error:
        raise CommandRefused(f"{source}: cannot be copied ({error}); is it a database of ours?") from error
