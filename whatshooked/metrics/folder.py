"""The folder in which the processes of one config on one machine count, and who of them lives.

Each process counts in a slot of its own, the lowest that is free; it holds the slot's lock, which the kernel lets go
when the process ends, however it ends. The next one in a slot goes on where the last one stopped counting: sums never
fall, a process that dies again and again leaves no files behind, and a pid that comes again means nothing. What only
counts while its process lives (`livesum` and the like) is left out when the slot's lock is free. When all processes are
gone, the next one begins a new count.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from whatshooked.errors import StartError

#: Names the folder, for us and for the metrics library.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: Seconds that somebody who looks at the slots waits for somebody who takes one; that takes a millisecond.
_PATIENCE = 0.5
_SLOTS = "slot-{}.lock"
#: Bytes of a file of counts, some thousand series, and files that a process may need.
_ROOM, _FILES = 1 << 19, 8


class _Mine:
    """This process's slot; `lock` keeps it for as long as the process lives."""

    number = 0
    lock = -1


def given() -> Path | None:
    """Return the folder, None where each process counts for itself."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


class _Reserved(MmapedDict):
    """A file of counts whose room is taken at once: a page of a full tmpfs that is not there would kill the process."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode and hasattr(os, "posix_fallocate"):  # macOS has none
            with Path(filename).open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, max(_ROOM, os.fstat(file.fileno()).st_size))
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call] # it has no types


def join() -> None:
    """Take a slot and have the library count in it; raises StartError when the folder cannot be written to."""
    folder = given()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < _FILES * _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _take(folder)
    except OSError as error:
        raise StartError(f"{folder}: {error.strerror}: set {VARIABLE} to a folder of this user's own") from error
    os.register_at_fork(after_in_child=lambda: _leave(folder))
    values.MmapedDict = _Reserved  # type: ignore[attr-defined] # the one way in
    values.ValueClass = values.MultiProcessValue(lambda: _Mine.number)  # type: ignore[no-untyped-call] # it has no types


def counts(folder: Path) -> list[str]:
    """Return the files to add up: all of them, but for the gauges of processes that are gone; none without a folder."""
    if not folder.is_dir():
        return []
    with _alone(folder):
        dead = {
            name for name in map(_slot, folder.glob("gauge_live*.db")) if not _is_held(folder / _SLOTS.format(name))
        }
        files = [path for path in folder.glob("*.db") if not (_is_live(path) and _slot(path) in dead)]
        return [str(path) for path in files if path.stat().st_size]  # one without is about to be begun, or never was


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock while it is free to be held; whether it is, is what this gives."""
    descriptor = _lock(path)
    try:
        yield descriptor >= 0
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _leave(folder: Path) -> None:
    """Leave the slot to the parent that this process was forked from."""
    os.close(_Mine.lock)
    _take(folder)


def _take(folder: Path) -> None:
    number = 0
    with _alone(folder):
        if not any(_is_held(lock) for lock in folder.glob(_SLOTS.format("*"))):
            for counted in folder.glob("*.db"):
                counted.unlink()
        while (lock := _lock(folder / _SLOTS.format(number))) < 0:
            number += 1
        for gauge in folder.glob(f"gauge_live*_{number}.db"):  # of the last process in this slot
            gauge.unlink()
    _Mine.number, _Mine.lock = number, lock


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else take a slot meanwhile, or look at them; goes on without after a while."""
    until = time.monotonic() + _PATIENCE
    while (lock := _lock(folder / "folder.lock")) < 0 and time.monotonic() < until:
        time.sleep(0.005)
    try:
        yield
    finally:
        if lock >= 0:
            os.close(lock)


def _lock(path: Path) -> int:
    """Return the descriptor that holds a lock, -1 when another one does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return -1
    return descriptor


def _is_held(path: Path) -> bool:
    with held(path) as is_free:
        return not is_free


def _is_live(path: Path) -> bool:
    return path.name.startswith("gauge_live")


def _slot(path: Path) -> str:
    return path.stem.rpartition("_")[2]
