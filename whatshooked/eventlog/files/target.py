"""The target `file`: rows in a folder."""

from collections.abc import Generator, Sequence
from pathlib import Path

from whatshooked.config import KeptFiles
from whatshooked.eventlog.files import reader, upkeep
from whatshooked.eventlog.files.faults import told
from whatshooked.eventlog.files.packing import Packer
from whatshooked.eventlog.files.writer import Writer
from whatshooked.eventlog.row import Row, Tally, Wanted
from whatshooked.eventlog.target import Removed
from whatshooked.meta.person import Person


class FileTarget:
    """Keeps rows in a folder, which is made when the first of them comes; see `whatshooked.eventlog.files`.

    Every call raises LogUnavailable when the disk does not serve it.
    """

    def __init__(self, folder: Path, kept: KeptFiles) -> None:
        self._folder = folder
        self._kept = kept
        self._packer = Packer(folder)
        self._learned: set[str] = set()
        self._writer = Writer(folder, kept.rotate_bytes, self._packer.wake)

    def begin(self) -> None:
        """Hold the folder's right to write, which is made if it is not there."""
        self._writer.begin()

    def write(self, rows: Sequence[Row]) -> None:
        """Keep rows that are not kept yet: on the disk when this returns."""
        if rows:
            self._writer.write(rows)

    def rows(self, wanted: Wanted) -> Generator[Row, None, None]:
        """Yield the rows asked for, in the order asked for."""
        with told(self._folder):
            yield from reader.rows(self._folder, wanted)

    def tally(self, since: int, until: int, span: int) -> list[Tally]:
        """Count rows from `since` to before `until` in spans of so many ms (all three unix ms)."""
        with told(self._folder):
            return reader.tally(self._folder, since, until, span)

    def retain(self, now: int) -> Removed:
        """Remove ended files that are wholly too old, then the oldest while all take too many bytes."""
        if not self._folder.is_dir():
            return Removed()
        with self._writer.turn() as known:
            upkeep.end_of_day(self._writer, known, now)
            removed = upkeep.remove(self._folder, self._kept, now)
        with told(self._folder):
            self._packer.wake()
        return removed

    def forget(self, person: Person) -> int:
        """Mask a person in all rows; returns how many lines were changed, or dropped since they are no rows.

        The folder is held for one file at a time: a writer waits for one at most.
        """
        if not self._folder.is_dir():
            return 0
        self._learned = set()
        return upkeep.forget(self._folder, self._writer, person, self._learned)

    def leaves(self) -> list[str]:
        """Return what may still hold a forgotten person: files that cannot be read here."""
        with told(self._folder):
            return upkeep.unreadable(self._folder)

    def learned(self) -> frozenset[str]:
        """Return other names of the person that the last `forget` found."""
        return frozenset(self._learned)

    def close(self) -> None:
        """Let go of the files; what is being compressed is begun anew by the next one."""
        self._writer.close()
        self._packer.close()
