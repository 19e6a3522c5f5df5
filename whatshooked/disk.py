"""Folders that outlive a power cut, and what a disk's errors mean to an operator."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path


def make(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it, that outlive a power cut; raises OSError."""
    if not folder.is_dir():
        make(folder.parent, mode)
        folder.mkdir(mode=mode, exist_ok=True)
        sync(folder.parent)


def sync(folder: Path) -> None:
    """Have the names in a folder outlive a power cut; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remedies(key: str, *, full: str, denied: str) -> Mapping[int, str]:
    """Return errno → what an operator does about it, for the folder that `key` of the config names.

    `full` and `denied` say what makes room there, and what lets this process in.
    """
    in_the_way = f"a file stands where a folder should be: move it away, or set {key}"
    return {
        errno.ENOSPC: full,
        errno.EDQUOT: full,
        errno.EROFS: denied,
        errno.EACCES: denied,
        errno.EPERM: denied,
        errno.ENOTDIR: in_the_way,
        errno.EEXIST: in_the_way,
        errno.EISDIR: f"a folder stands where a file should be: move it away, or set {key}",
        errno.EMFILE: "raise the process's limit of open files (ulimit -n)",
        errno.ENFILE: "raise the machine's limit of open files",
    }


def fault(place: str, error: OSError, known: Mapping[int, str]) -> str:
    """Return what went wrong at a place, with its remedy, on one line."""
    remedy = known.get(error.errno or 0, "see the machine's log about this disk")
    return f"{place}: {error.strerror or 'input/output error'}; {remedy}"
