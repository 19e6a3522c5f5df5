"""Takes one person out of a file: a new file with the person's rows masked takes its place, all at once.

The caller holds the folder. Lines that are no rows of ours and name the person are dropped. A kill leaves the old file
or the new one.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path

from whatshooked.eventlog.files import disk
from whatshooked.eventlog.files.content import blocks, opened
from whatshooked.eventlog.files.lines import decoded, encoded, places, span
from whatshooked.eventlog.files.members import is_packed, members, packed, unpacked
from whatshooked.eventlog.forgetting import beside, masked
from whatshooked.meta.person import Person

#: The file that is being made: whoever makes one holds the folder.
PART = ".mask.part"


def mask(path: Path, person: Person, learned: set[str]) -> int:
    """Mask a person in a file; return how many lines were changed or dropped. Raises OSError.

    Other names of theirs that it tells are added to `learned`.
    """
    file = opened(path)
    if file is None:
        return 0
    with file:
        if not any(person.may_be_in(block) for _, block in _parts(file)):
            return 0
        part = path.with_name(PART)
        with io.FileIO(disk.create(part, os.O_WRONLY | os.O_TRUNC), "w") as copy:
            count = _rewrite(file, copy, person, learned)
            disk.keep_as(copy.fileno(), os.fstat(file.fileno()))
            os.fsync(copy.fileno())
        if count:
            part.replace(path)
            disk.sync(path.parent)
        else:
            part.unlink()
    return count


def _rewrite(file: io.FileIO, copy: io.FileIO, person: Person, learned: set[str]) -> int:
    """Write a file anew without the person; return how many lines are other than they were."""
    total, pack = 0, is_packed(file.fileno())
    for raw, block in _parts(file):
        kept, count = _without(block, person, learned)
        total += count
        if raw and not count:
            disk.write_all(copy.fileno(), raw)
        else:
            disk.write_all(copy.fileno(), packed(kept, span(places(kept))) if pack else kept)
    return total


def _parts(file: io.FileIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield a file's blocks, each with the bytes that stand for it in the file, where it is so divided."""
    inside = members(file.fileno()) if is_packed(file.fileno()) else None
    if inside is None:
        for block in blocks(file):
            yield b"", block
        return
    for member in inside:
        raw = os.pread(file.fileno(), member.size, member.start)
        yield raw, unpacked(raw)


def _without(block: bytes, person: Person, learned: set[str]) -> tuple[bytes, int]:
    """Return a block without the person, and how many of its lines are changed or dropped."""
    if not person.may_be_in(block):
        return block, 0
    kept, count = list[bytes](), 0
    for line in block.splitlines(keepends=True):
        left = _line_without(line, person, learned) if person.may_be_in(line) else line
        count += left is not line
        kept.append(left)
    return b"".join(kept), count


def _line_without(line: bytes, person: Person, learned: set[str]) -> bytes:
    row = decoded(line)
    if row is None:
        return b"" if person.is_named(line) else line
    learned.update(filter(None, [beside(row, person)]))
    left = masked(row, person)
    return line if left is row else encoded(left)
