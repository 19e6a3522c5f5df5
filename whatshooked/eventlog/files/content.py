"""What a file holds, whole lines at a time, compressed or not; every function raises OSError."""

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from whatshooked.eventlog.files.members import BLOCK, is_packed

#: Bytes looked at together for the end of the last whole line.
_STEP = 65_536


def opened(path: Path) -> io.FileIO | None:
    """Open a file to read, None when it is gone."""
    try:
        return io.FileIO(path, "r")
    except FileNotFoundError:
        return None


def blocks(file: io.FileIO, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield a file's lines from one place to before another (bytes, of a file that is not compressed).

    Only the last block may end amid a line. What cannot be decompressed is left out.
    """
    if is_packed(file.fileno()):
        return _whole_lines(_decompressed(file))
    return _whole_lines(_pieces(file.fileno(), start, end))


def _pieces(descriptor: int, start: int, end: int | None) -> Iterator[bytes]:
    while piece := os.pread(descriptor, BLOCK if end is None else min(BLOCK, end - start), start):
        yield piece
        start += len(piece)


def _decompressed(file: io.FileIO) -> Iterator[bytes]:
    file.seek(0)
    with gzip.GzipFile(fileobj=file) as stream:
        try:
            while piece := stream.read1(BLOCK):
                yield piece
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end and size + end >= BLOCK // 2:
            yield b"".join([*rest, piece[:end]])
            rest, size = [piece[end:]], len(piece) - end
        else:
            rest.append(piece)
            size += len(piece)
    if size:
        yield b"".join(rest)


def last_line(descriptor: int) -> int:
    """Return where the last line of a file begins that has no end: the size when all lines have one."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _STEP)
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
