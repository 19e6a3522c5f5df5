"""The store's folder, as anybody sees it who lists it: a watcher that never stops looking, and what lies there."""

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from ops.faults.file_ledger import Brought, Lying
from whatshooked.media import local

#: Seconds between two looks.
_PAUSE = 0.005
#: Seconds for which a temporary file did not grow, when whoever wrote it is dead: Meta's line is never that slow.
_DEAD = 2.0


class _Part(NamedTuple):
    """A temporary file: its size, since when, and until when it was seen (monotonic seconds)."""

    size: int
    since: float
    seen: float


class Watcher:
    """Lists the folder all the time, in a thread of its own; `torn` are visible files that were not whole."""

    def __init__(self, folder: Path, brought: Mapping[str, Brought]) -> None:
        self._folder = folder
        self._brought = brought
        self._known: dict[str, tuple[int, int, int]] = {}
        self._parts: dict[str, _Part] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.torn: list[str] = []
        self.looks = 0

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def amid(self, sizes: set[int]) -> int:
        """Return how many temporary files were left half written by the dead; `sizes` are those of whole contents."""
        stood = [part for part in list(self._parts.values()) if part.seen - part.since > _DEAD]
        return sum(1 for part in stood if part.size and part.size not in sizes)

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE):
            self._look()
            self.looks += 1

    def _look(self) -> None:
        for item in _visible(self._folder):
            with contextlib.suppress(FileNotFoundError):
                found = item.stat()
                state = (found.st_ino, found.st_size, found.st_mtime_ns)
                if self._known.get(item.path) != state:
                    self._known[item.path] = state
                    self._read(item)
        now = time.monotonic()
        for item in _entries(self._folder / ".part"):
            with contextlib.suppress(FileNotFoundError):
                size, before = item.stat().st_size, self._parts.get(item.name)
                since = before.since if before is not None and before.size == size else now
                self._parts[item.name] = _Part(size, since, now)

    def _read(self, item: "os.DirEntry[str]") -> None:
        digest = hashlib.sha256(Path(item.path).read_bytes()).hexdigest()
        brought = self._brought.get(_message_id(item.name))
        if _said(item.name) != digest[:8] or brought is None or brought.sha256 != digest:
            self.torn.append(item.name)


def lying(folder: Path) -> list[Lying]:
    """Return the visible files."""
    found = []
    for item in _visible(folder):
        digest = hashlib.sha256(Path(item.path).read_bytes()).hexdigest()
        found.append(Lying(_message_id(item.name), item.name, digest, item.inode()))
    return found


def sha256_of(path: Path) -> str:
    """Return the hash of a file's bytes, "" when there is none."""
    with contextlib.suppress(FileNotFoundError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


async def litter(folder: Path, most: int) -> list[str]:
    """Return what is wrong with the temporary files now that all processes are gone: there may be `most`.

    Upkeep, as it is an hour later, must remove them all and nothing else.
    """
    before, parts = lying(folder), len(list(_entries(folder / ".part")))
    with patch.object(local, "YOUNG", -60.0):
        await local.LocalStore(folder).tidy()
    found = [f"{parts} temporary files are left, {most} are the most"] if parts > most else []
    found += [f"upkeep leaves {item.name}" for item in _entries(folder / ".part")]
    return found + (["upkeep changed what is visible"] if lying(folder) != before else [])


def _visible(folder: Path) -> "Iterator[os.DirEntry[str]]":
    for account in _entries(folder):
        if not account.name.startswith("."):
            yield from _entries(Path(account.path))


def _entries(folder: Path) -> "Iterator[os.DirEntry[str]]":
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        yield from found


def _message_id(filename: str) -> str:
    return filename.rpartition("_")[0]


def _said(filename: str) -> str:
    """Return what a file's name says of its content."""
    return filename.rpartition("_")[2].partition(".")[0]
