"""Compresses ended files in a thread of its own, so that writers wait for a rename at most.

Whole copy, on the disk, gets its name; then the file goes. A kill between these leaves both, of which readers take
one; the next to hold the folder removes the file. Whoever rewrites a file meanwhile makes it another one (by its
inode), and the copy of what it was is dropped.
"""

import contextlib
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

from whatshooked import logs
from whatshooked.eventlog.files import disk
from whatshooked.eventlog.files.content import blocks, opened
from whatshooked.eventlog.files.lines import places, span
from whatshooked.eventlog.files.members import packed
from whatshooked.eventlog.files.names import PACKED, ended

#: The copy that is being made: there is one at a time in a folder.
PART = ".pack.part"
_LOCK = ".packing"

log = logs.get("eventlog")


class Packer:
    """The thread; it ends when there is nothing to compress."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Have what is to be compressed compressed, some time soon."""
        busy = self._thread is not None and self._thread.is_alive()
        if not busy and not self._stop.is_set() and waiting(self._folder):
            self._thread = threading.Thread(target=self._run, name="event log packing", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being compressed."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Stop within a block; what is not finished is begun anew by the next one."""
        self._stop.set()
        self.wait()

    def _run(self) -> None:
        try:
            pack_all(self._folder, self._stop.is_set)
        except OSError as error:
            log.warn("Cannot compress the event log; it is tried again", folder=str(self._folder), error=str(error))


def waiting(folder: Path) -> list[str]:
    """Return the ended files that are not compressed, oldest first; raises OSError."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as items:
        found = [(about.low, item.name) for item in items if (about := ended(item.name)) and not about.packed]
        return [name for _, name in sorted(found)]
    return []


def pack_all(folder: Path, stopped: Callable[[], bool]) -> None:
    """Compress what is ended, until there is no more of it; raises OSError. Another process at it is left to it."""
    with disk.locked(folder, _LOCK, wait=False) as mine:
        while mine and (names := waiting(folder)) and not stopped():
            for name in names:
                _pack(folder / name, stopped)


def settle(folder: Path) -> None:
    """Remove ended files that have a compressed copy; the caller holds the folder. Raises OSError."""
    for name in waiting(folder):
        if (folder / f"{name}{PACKED}").exists():
            (folder / name).unlink(missing_ok=True)


def _pack(path: Path, stopped: Callable[[], bool]) -> None:
    part = path.with_name(PART)
    # Made before the source is opened: whoever takes a person out of the source removes it, and it is dropped.
    with io.FileIO(disk.create(part, os.O_WRONLY | os.O_TRUNC), "w") as copy:
        source = opened(path)
        if source is not None:
            with source:
                if _copied(source, copy, stopped) and _named(path, source, part, copy):
                    return
    part.unlink(missing_ok=True)


def _named(path: Path, source: io.FileIO, part: Path, copy: io.FileIO) -> bool:
    """Give a whole copy its name in place of the file; False when one of the two is another by now."""
    with disk.locked(path.parent):
        settle(path.parent)
        if not (_is(path, source) and _is(part, copy)):
            return False
        part.rename(path.with_name(path.name + PACKED))
        disk.sync(path.parent)
        path.unlink(missing_ok=True)
        return True


def _copied(source: io.FileIO, copy: io.FileIO, stopped: Callable[[], bool]) -> bool:
    """Compress a file into another; return False when nobody wants it any more."""
    for block in blocks(source):
        if stopped() or not os.fstat(copy.fileno()).st_nlink:
            return False
        disk.write_all(copy.fileno(), packed(block, span(places(block))))
    disk.keep_as(copy.fileno(), os.fstat(source.fileno()))
    os.fsync(copy.fileno())
    return True


def _is(path: Path, file: io.FileIO) -> bool:
    """Return whether a file still has this name."""
    with contextlib.suppress(FileNotFoundError):
        found, about = path.stat(), os.fstat(file.fileno())
        return (found.st_ino, found.st_size) == (about.st_ino, about.st_size)
    return False
