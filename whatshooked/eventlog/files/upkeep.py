"""What keeps the folder in bounds, and takes people out of it; the parts that remove raise OSError, within a turn."""

import contextlib
from pathlib import Path

from whatshooked.config import KeptFiles
from whatshooked.eventlog.files import disk, masking, packing
from whatshooked.eventlog.files.content import blocks, opened
from whatshooked.eventlog.files.lines import places
from whatshooked.eventlog.files.listing import Entry, entries
from whatshooked.eventlog.files.members import is_packed, members
from whatshooked.eventlog.files.names import CURRENT, DAY_MS, day, ended
from whatshooked.eventlog.files.position import Position
from whatshooked.eventlog.files.writer import Writer
from whatshooked.eventlog.target import Removed
from whatshooked.meta.person import Person

#: Files that one pass removes at most.
_MOST = 100
#: How files begin that are compressed in ways other than gzip: xz, zstd, bzip2, lz4.
_OTHERS = (b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"BZh", b"\x04\x22\x4d\x18")


def end_of_day(writer: Writer, known: Position, now: int) -> None:
    """End a current file whose day is over, though nothing is written any more: retention is by file."""
    if known.size and day(known.span.high) < day(now):
        writer.end(known)


def remove(folder: Path, kept: KeptFiles, now: int) -> Removed:
    """Remove ended files beyond the bounds, oldest first; `now` is unix ms."""
    packing.settle(folder)
    found = entries(folder)
    total = sum(entry.size for entry in found)
    oldest = now - kept.max_age_days * DAY_MS if kept.max_age_days else 0
    too_old = too_many_bytes = 0
    for entry in sorted((e for e in found if e.name != CURRENT), key=_latest)[:_MOST]:
        if _latest(entry) < oldest:
            too_old += _removed(folder / entry.name)
        elif kept.max_bytes and total > kept.max_bytes:
            too_many_bytes += _removed(folder / entry.name)
        else:
            break
        total -= entry.size
    disk.sync(folder)
    return Removed(too_old, too_many_bytes)


def forget(folder: Path, writer: Writer, person: Person, learned: set[str]) -> int:
    """Mask a person in every file, the current one last; return how many lines. Raises LogUnavailable.

    Other names of theirs that the files tell are added to `learned`.
    """
    total, done = 0, set[tuple[str, int]]()
    while True:
        with writer.turn():
            packing.settle(folder)
            left = _ended_but(folder, done)
            if left:
                total += masking.mask(left[0], person, learned)
                with contextlib.suppress(FileNotFoundError):
                    done.add((left[0].name, left[0].stat().st_ino))
                continue
            total += masking.mask(folder / CURRENT, person, learned)
            for part in (packing.PART, masking.PART):
                (folder / part).unlink(missing_ok=True)
            if not _ended_but(folder, done):  # else logrotate moved the current one under our hands
                return total


def _ended_but(folder: Path, done: set[tuple[str, int]]) -> list[Path]:
    """Return the files beside the current one that are not done yet, each known by its name and inode."""
    return [folder / e.name for e in entries(folder) if e.name != CURRENT and (e.name, e.inode) not in done]


def unreadable(folder: Path) -> list[str]:
    """Return, a sentence each, which files may hold rows that nobody here can read; raises OSError."""
    found = []
    for entry in entries(folder):
        file = opened(folder / entry.name)
        if file is not None:
            with file:
                if file.read(8).startswith(_OTHERS):
                    found.append(
                        f"{folder / entry.name} is compressed in another way than gzip, so it was not looked into: "
                        "remove it, or compress it with gzip and forget again"
                    )
    return found


def _latest(entry: Entry) -> float:
    """Return the unix ms of the last row of an ended file; of one that others named, when it was last written."""
    about = ended(entry.name)
    return about.high if about else entry.mtime_ns / 1e6


def _removed(path: Path) -> int:
    """Remove a file; return how many rows it had."""
    file = opened(path)
    if file is None:
        return 0
    with file:
        inside = members(file.fileno()) if is_packed(file.fileno()) else None
        if inside is None:
            rows = sum(len(places(block)) for block in blocks(file))
        else:
            rows = sum(member.span.rows for member in inside)
        path.unlink()
    return rows
