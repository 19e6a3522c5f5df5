"""The files of the folder as they stood at one moment, though a writer, a compressor or logrotate may be at them.

The writer takes no notice of readers, and a list of a folder is not of one moment. So: list, open what has no name of
its own for good, list again, and begin anew when anything is another file than it was.
"""

import contextlib
import io
import os
from pathlib import Path
from typing import NamedTuple

from whatshooked.eventlog.files.content import opened
from whatshooked.eventlog.files.names import PACKED, ended, is_events

#: A folder that changes all the time is taken as it is after so many looks.
_TRIES = 20


class Entry(NamedTuple):
    """A file that may hold rows."""

    name: str
    inode: int
    size: int
    mtime_ns: int


class Listed(NamedTuple):
    """A file to read: open already, or, of an ended and compressed one, to be opened when its time comes."""

    name: str
    path: Path
    file: io.FileIO | None


def entries(folder: Path) -> list[Entry]:
    """Return the files that may hold rows, each row in one of them; raises OSError.

    Of an ended file and its compressed copy only the first is told.
    """
    found = list[Entry]()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as items:
        for item in items:
            if is_events(item.name):
                with contextlib.suppress(FileNotFoundError):
                    if item.is_file():
                        about = item.stat()
                        found.append(Entry(item.name, about.st_ino, about.st_size, about.st_mtime_ns))
    names = {entry.name for entry in found}
    return [e for e in found if not (e.name.endswith(PACKED) and e.name.removesuffix(PACKED) in names)]


def snapshot(folder: Path, stack: contextlib.ExitStack) -> list[Listed]:
    """Open the files that may hold rows, until the stack is closed; raises OSError."""
    for tries_left in reversed(range(_TRIES)):
        with contextlib.ExitStack() as trial:
            found = _attempt(folder, trial, bear=not tries_left)
            if found is not None:
                stack.enter_context(trial.pop_all())
                return found
    return []


def _attempt(folder: Path, stack: contextlib.ExitStack, *, bear: bool) -> list[Listed] | None:
    """Return the files, None when any changed meanwhile and that is not to be borne."""
    found = list[Listed]()
    listed = entries(folder)
    for entry in listed:
        about = ended(entry.name)
        if about is not None and about.packed:
            found.append(Listed(entry.name, folder / entry.name, None))
            continue
        file = opened(folder / entry.name)
        if file is not None:
            stack.enter_context(file)
        if file is not None and os.fstat(file.fileno()).st_ino == entry.inode:
            found.append(Listed(entry.name, folder / entry.name, file))
        elif not bear:
            return None
    if bear or _are(listed) == _are(entries(folder)):
        return found
    return None


def _are(listed: list[Entry]) -> set[tuple[str, int]]:
    return {(entry.name, entry.inode) for entry in listed}
