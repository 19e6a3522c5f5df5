"""Appends rows, exactly once, and ends files.

A batch: lock; has somebody else been here? then learn anew; leave out what is kept already; append; sync; `.position`.
After a kill between any two of these the next writer finds rows beyond the `.position`, which it reads, and perhaps a
torn line, which it cuts off: so the same batch, come again, is left out as far as it is there.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.files import disk, lines, position
from whatshooked.eventlog.files.content import blocks, last_line, opened
from whatshooked.eventlog.files.faults import told
from whatshooked.eventlog.files.listing import entries
from whatshooked.eventlog.files.names import CURRENT, PACKED, of_ended
from whatshooked.eventlog.files.position import Position
from whatshooked.eventlog.row import Place, Row

#: Bytes of lines read from the newest ended files when the last batch may stand there: far more than a batch has.
_LOOK_BACK = 67_108_864
#: The lock that the one process holds that writes; `.lock` is held by whoever is at the files, for a batch.
WRITING = ".writing"
#: By which to see that a file is another than before.
_Stamp = tuple[int, int]


class Writer:
    """The one that writes in a folder; others may be at it in other processes, and take turns by batch."""

    def __init__(self, folder: Path, rotate_bytes: int, on_ended: Callable[[], None]) -> None:
        self._folder = folder
        self._most = rotate_bytes
        self._block_bytes = position.block_bytes(rotate_bytes)
        self._on_ended = on_ended
        self._file: io.FileIO | None = None
        #: The open lock of who writes.
        self._right: int | None = None
        self._known: Position | None = None
        self._stamp: _Stamp | None = None
        #: Of what this process knows to be kept, whatever becomes of the files.
        self._marks: dict[str, tuple[int, int]] = {}

    def begin(self) -> None:
        """Hold the right to write until `close`; raises LogUnavailable when another process has it."""
        if self._right is not None:
            return
        with told(self._folder):
            disk.make(self._folder)
            self._right = disk.take(self._folder / WRITING)
        if self._right is None:
            raise LogUnavailable(f"another process writes the event log in {self._folder}: it is waited for")

    def write(self, rows: Sequence[Row]) -> None:
        """Keep rows, on the disk when this returns; raises LogUnavailable.

        What one file takes of them is kept whole or not at all.
        """
        with told(self._folder):
            disk.make(self._folder)
        with self.turn() as known:
            new = lines.fresh(rows, known.marks)
            for begins, portion in lines.portions(new, known.size, known.span.high, self._most):
                if begins:
                    self.end(known)
                self._append(known, portion)

    @contextlib.contextmanager
    def turn(self) -> Iterator[Position]:
        """Hold the folder, which is there, and know it; raises LogUnavailable. After any error it is learnt anew."""
        with told(self._folder), disk.locked(self._folder):
            known = self._remembered() or self._learn()
            self._known = None
            yield known
            self._marks = known.marks
            self._known = known

    def end(self, known: Position) -> None:
        """End the current file, in a turn; raises OSError."""
        low, high, _ = known.span
        self._close()
        current = self._folder / CURRENT
        number = 1
        while (place := self._folder / of_ended(low, high, number)).exists() or _packed(place).exists():
            number += 1
        current.rename(place)
        disk.sync(self._folder)
        known.begin(0)
        self._on_ended()

    def close(self) -> None:
        """Let go of the current file, and of the right to write."""
        self._close()
        self._known = None
        if self._right is not None:
            os.close(self._right)
            self._right = None

    def _append(self, known: Position, portion: list[lines.Line]) -> None:
        """Append lines to the current file, all or none; raises OSError."""
        file = self._file = self._file or self._create(known)
        data = b"".join([line.text for line in portion])
        try:
            disk.write_all(file.fileno(), data)
            os.fdatasync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), known.size)
            raise
        known.add([line.where for line in portion], len(data), self._block_bytes)
        self._save(known)

    def _create(self, known: Position) -> io.FileIO:
        """Begin a current file; raises OSError."""
        known.begin(0)
        self._save(known, durable=True)  # else the new file might pass for the one before, by its inode
        descriptor = disk.create(self._folder / CURRENT, os.O_RDWR | os.O_APPEND)
        known.begin(os.fstat(descriptor).st_ino)
        disk.sync(self._folder)
        return io.FileIO(descriptor, "r+")

    def _remembered(self) -> Position | None:
        """Return what this writer knows, None unless the folder is as it left it; raises OSError."""
        known = self._known
        if known is None or self._stamp != _stamp(self._folder / position.NAME):
            return None
        try:
            found = (self._folder / CURRENT).stat()
        except FileNotFoundError:
            return known if known.inode == 0 else None
        return known if (found.st_ino, found.st_size) == (known.inode, known.size) else None

    def _learn(self) -> Position:
        """Find out what is kept; raises OSError."""
        kept = position.load(self._folder)
        known = kept or Position()
        known.mark([Place(ms, seq, shard) for shard, (ms, seq) in self._marks.items()])
        goes_on = self._open(known)
        if kept is None or not goes_on:
            self._look_back(known)
        # A full disk is no reason to know nothing: retention makes room there.
        with contextlib.suppress(OSError):
            self._save(known)
        self._on_ended()
        return known

    def _open(self, known: Position) -> bool:
        """Open the current file, if there is one, and read what is not known of it; a torn last line is cut off.

        Returns whether it is the file that was known. Raises OSError.
        """
        self._close()
        was, size = known.inode, known.size
        try:
            self._file = io.FileIO(os.open(self._folder / CURRENT, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC), "r+")
        except FileNotFoundError:
            known.begin(0)
            return not was
        _mend(self._file.fileno())
        found = os.fstat(self._file.fileno())
        goes_on = found.st_ino == was and found.st_size >= size
        if not goes_on:
            known.begin(found.st_ino)
        known.read_on(self._file, self._block_bytes)
        return goes_on or not was

    def _look_back(self, known: Position) -> None:
        """Learn from the files that were written to last, beside the current one."""
        read = 0
        for entry in sorted(entries(self._folder), key=lambda entry: entry.mtime_ns, reverse=True):
            file = opened(self._folder / entry.name) if entry.name != CURRENT else None
            if file is not None:
                with file:
                    for block in blocks(file):
                        known.mark(lines.places(block))
                        read += len(block)
            if read >= _LOOK_BACK:
                break

    def _save(self, known: Position, *, durable: bool = False) -> None:
        position.save(self._folder, known, durable=durable)
        self._stamp = _stamp(self._folder / position.NAME)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _mend(descriptor: int) -> None:
    """Cut off a torn last line; one that only lacks its end gets it."""
    start = last_line(descriptor)
    tail = os.pread(descriptor, os.fstat(descriptor).st_size - start, start)
    if tail and lines.decoded(tail):
        disk.write_all(descriptor, b"\n")
    elif tail:
        os.ftruncate(descriptor, start)


def _packed(place: Path) -> Path:
    return place.with_name(place.name + PACKED)


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
