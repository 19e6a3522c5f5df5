"""When each event was sent, answered with 200 and received: three columns in memory that the processes share.

Times are `time.monotonic()`, which is one clock for all processes of a machine; 0 means not yet.
"""

import mmap
from pathlib import Path
from types import TracebackType
from typing import Self

#: Events of one run of the benchmark; the file is sparse.
CAPACITY = 6_000_000


class Ledger:
    """The columns `sent`, `answered` and `received`, one place per event; `repeats[0]` counts second receipts."""

    def __init__(self, path: Path) -> None:
        size = (3 * CAPACITY + 1) * 8
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(size)
            self._memory = mmap.mmap(file.fileno(), size)
        self._view = memoryview(self._memory).cast("d")
        self.sent = self._view[:CAPACITY]
        self.answered = self._view[CAPACITY : 2 * CAPACITY]
        self.received = self._view[2 * CAPACITY : 3 * CAPACITY]
        self.repeats = self._view[3 * CAPACITY :]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for view in (self.sent, self.answered, self.received, self.repeats, self._view):
            view.release()
        self._memory.close()
