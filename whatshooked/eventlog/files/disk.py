"""Locks, folders and whole writes; every function raises OSError."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from whatshooked.disk import make as make_folder
from whatshooked.disk import sync

__all__ = ["create", "keep_as", "locked", "make", "replace", "sync", "take", "write_all"]


def make(folder: Path) -> None:
    """Make the folder: what customers wrote is not for everybody on the machine."""
    make_folder(folder, 0o750)


def create(path: Path, flags: int) -> int:
    """Open a file, making it unless it is there; return its descriptor.

    What root makes belongs to the folder's owner: a command run by root does not lock the gateway's user out.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def take(path: Path) -> int | None:
    """Take a lock for as long as the returned descriptor is open; None when another has it."""
    descriptor = create(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes: a disk that is nearly full takes a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def replace(path: Path, data: bytes, *, durable: bool) -> None:
    """Give a small file a new content, the old or the new at any moment; `durable` also after a power cut."""
    part = path.with_name(f"{path.name}.part")
    descriptor = create(part, os.O_WRONLY | os.O_TRUNC)
    try:
        write_all(descriptor, data)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
    if durable:
        sync(path.parent)


def keep_as(descriptor: int, like: os.stat_result) -> None:
    """Give a file that takes another's place its owner, mode and times."""
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, like.st_mode & 0o7777)
    os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))


@contextlib.contextmanager
def locked(folder: Path, name: str = ".lock", *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock on the folder, among processes and threads; yields False when another has it and we do not wait."""
    descriptor = create(folder / name, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
