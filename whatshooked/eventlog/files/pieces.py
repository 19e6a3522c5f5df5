"""The folder as pieces: parts of its files, each with the span of time of its rows."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from whatshooked.eventlog.files import content, lines, members, position
from whatshooked.eventlog.files.listing import Listed, snapshot
from whatshooked.eventlog.files.names import CURRENT, ended
from whatshooked.eventlog.files.position import Position


class Piece(NamedTuple):
    """Some rows of the folder: the unix ms of the first and last, and how to have its lines, or smaller pieces."""

    low: int
    high: int
    read: "Callable[[], list[Piece] | Iterator[bytes]]"


class _Shared:
    """A compressed file that is open while any of its members is still to be read."""

    def __init__(self, file: io.FileIO, uses: int) -> None:
        self._file = file
        self._uses = uses

    def read(self, member: members.Member) -> Iterator[bytes]:
        """Yield the block of a member."""
        raw = os.pread(self._file.fileno(), member.size, member.start)
        self._uses -= 1
        if not self._uses:
            self._file.close()
        yield members.unpacked(raw)


def of_folder(folder: Path, stack: contextlib.ExitStack) -> list[Piece]:
    """Return the pieces of a folder, readable until the stack is closed; raises OSError."""
    found = list[Piece]()
    for listed in snapshot(folder, stack):
        about = ended(listed.name)
        if about is not None:
            found.append(Piece(about.low, about.high, partial(_of_file, folder, listed, stack)))
        else:
            found += _of_file(folder, listed, stack)
    return found


def _of_file(folder: Path, listed: Listed, stack: contextlib.ExitStack) -> list[Piece]:
    file = listed.file
    if file is None:
        file = content.opened(listed.path)
        if file is None:  # retention took it
            return []
        stack.enter_context(file)
    if not members.is_packed(file.fileno()):
        return _of_plain(file, position.load(folder) if listed.name == CURRENT else None)
    inside = members.members(file.fileno())
    if inside is None:
        return _of_foreign(file)
    held = [member for member in inside if member.span.rows]
    shared = _Shared(file, len(held))
    return [Piece(member.span.low, member.span.high, partial(shared.read, member)) for member in held]


def _of_plain(file: io.FileIO, known: Position | None) -> list[Piece]:
    """Return the pieces of a file as long as it is now; what the `.position` does not tell of it is looked at."""
    about = os.fstat(file.fileno())
    if known is None or known.inode != about.st_ino or known.size > about.st_size:
        known = Position()
    known.read_on(file, members.BLOCK)
    found, start = list[Piece](), 0
    for block in known.blocks:
        if block.rows:
            found.append(Piece(block.low, block.high, partial(content.blocks, file, start, block.end)))
        start = block.end
    return found


def _of_foreign(file: io.FileIO) -> list[Piece]:
    """Return the one piece of a file that another program compressed: it can only be read from its beginning."""
    spans = [lines.span(lines.places(block)) for block in content.blocks(file)]
    held = [span for span in spans if span.rows]
    if not held:
        return []
    low, high = min(span.low for span in held), max(span.high for span in held)
    return [Piece(low, high, partial(content.blocks, file))]
