"""What the gateway logs, as the lines an operator would read."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from whatshooked import logs


@dataclass
class Logged:
    """The records, and the lines made of them."""

    records: list[logging.LogRecord] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def of(self, level: int) -> list[str]:
        """Return the lines of a level and above."""
        return [line for record, line in zip(self.records, self.lines, strict=True) if record.levelno >= level]

    def holding(self, text: str) -> list[str]:
        """Return the lines that hold a text."""
        return [line for line in self.lines if text in line]


class _Handler(logging.Handler):
    def __init__(self, logged: Logged) -> None:
        super().__init__()
        self._logged = logged
        self._formatter = logs._Text()

    def emit(self, record: logging.LogRecord) -> None:
        self._logged.records.append(record)
        self._logged.lines.append(self._formatter.format(record))


@contextlib.contextmanager
def logged(level: int = logging.INFO) -> Iterator[Logged]:
    """Collect all that is logged, ours from `level` on."""
    found = Logged()
    handler, root, ours = _Handler(found), logging.getLogger(), logging.getLogger("whatshooked")
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(level)
    try:
        yield found
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)
