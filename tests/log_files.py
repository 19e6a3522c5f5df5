"""Rows, folders of the event log, and kills between any two steps of a program."""

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from msgspec import structs

from whatshooked.config import KeptFiles
from whatshooked.eventlog.files import FileTarget, disk
from whatshooked.eventlog.files.content import blocks
from whatshooked.eventlog.files.lines import places
from whatshooked.eventlog.files.listing import snapshot
from whatshooked.eventlog.row import Place, Row, Wanted, id_of

P = ParamSpec("P")
R = TypeVar("R")

#: Noon of a day, unix ms.
NOON = 1_760_011_200_000
MINUTE = 60_000
DAY = 86_400_000
_open: list[FileTarget] = []
OLDEST_FIRST = Wanted(newest_first=False)


@pytest.fixture
def logs() -> Iterator[None]:
    """Close the targets of this test at its end."""
    yield
    close_all()


def close_all() -> None:
    """Close the targets that are open."""
    while _open:
        _open.pop().close()


def row(ms: int, seq: int = 0, *, shard: str = "0", **columns: str | float) -> Row:
    """A row of a moment (unix ms)."""
    at = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    plain = Row(id=id_of(Place(ms, seq, shard)), at=at, type="message.text", account_id="business")
    return structs.replace(plain, **columns)


def numbered(first: int, count: int, *, start: int = NOON, data: str = "") -> list[Row]:
    """Rows that follow one another, a millisecond each."""
    return [row(start + n, text=f"row {n}", data=data) for n in range(first, first + count)]


def target(folder: Path, *, rotate_bytes: int = 104_857_600, max_age_days: float = 0, max_bytes: int = 0) -> FileTarget:
    """A target in a folder."""
    _open.append(
        FileTarget(folder, KeptFiles(rotate_bytes=rotate_bytes, max_age_days=max_age_days, max_bytes=max_bytes))
    )
    return _open[-1]


def seen(folder: Path, wanted: Wanted = OLDEST_FIRST) -> list[Row]:
    """The rows in a folder, as anybody else sees them."""
    return list(target(folder).rows(wanted))


def kept(folder: Path) -> list[Row]:
    """All rows in a folder that nobody writes to; none has two lines, though readers would show it once."""
    found = seen(folder)
    lines = 0
    with contextlib.ExitStack() as stack:
        for listed in snapshot(folder, stack):
            file = listed.file or stack.enter_context(io.FileIO(listed.path))
            lines += sum(len(places(block)) for block in blocks(file))
    assert lines == len(found), shown(folder)
    return found


def shown(folder: Path) -> list[str]:
    """The names of the files with rows, in order."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


class KilledError(BaseException):
    """Stands for a `kill -9`: no handler of ours may notice it."""


class Kill:
    """Ends the program before its nth step that changes the disk, or amid it when that is a write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = -1
        for owner, name in (
            (disk, "create"),
            (os, "fsync"),
            (os, "fdatasync"),
            (os, "ftruncate"),
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))
        monkeypatch.setattr(disk, "write_all", self._write_all)
        self._main = threading.current_thread()

    def at(self, step: int, work: Callable[[], object]) -> bool:
        """Do some work up to a step; return whether it was killed."""
        self._left = step
        try:
            work()
        except KilledError:
            return True
        finally:
            self._left = -1
        return False

    def steps(self, most: int = 200) -> Iterator[int]:
        """Yield steps to be killed at; the caller stops when the work was done."""
        yield from range(1, most)
        raise AssertionError("the work never came to its end")

    def _is_due(self) -> bool:
        if threading.current_thread() is not self._main or self._left < 0:
            return False
        self._left -= 1
        return self._left <= 0

    def _counted(self, step: Callable[P, R]) -> Callable[P, R]:
        def counted(*args: P.args, **kwargs: P.kwargs) -> R:
            if self._is_due():
                raise KilledError
            return step(*args, **kwargs)

        return counted

    def _write_all(self, descriptor: int, data: bytes) -> None:
        if self._is_due():
            os.write(descriptor, data[: len(data) // 2])
            raise KilledError
        while data:
            data = data[os.write(descriptor, data) :]
