"""What a target of the event log can do; `file`, `sqlite` and `postgres` are three of them.

A target is used by one thread at a time. Several processes may have the same one open: one writes, others ask.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from whatshooked.eventlog.row import Row, Tally, Wanted
from whatshooked.meta.person import Person


class Removed(NamedTuple):
    """What retention took away, by reason; counts of rows."""

    too_old: int = 0
    too_many_bytes: int = 0


class Target(Protocol):
    """Keeps rows. Every call raises LogUnavailable, with the remedy, when the disk or database does not serve it."""

    def begin(self) -> None:
        """Be the one that writes, from before the first record is read until `close`.

        Rows are known by the last place that was written: two that write share what they read, and each would take the
        other's rows for written. Raises LogUnavailable when another process is the one.
        """
        ...

    def write(self, rows: Sequence[Row]) -> None:
        """Keep rows, in the order of their places within each shard: on the disk when this returns.

        One that is kept already is left out, so that a batch may be written again after a crash between any two steps.
        """
        ...

    def rows(self, wanted: Wanted) -> Iterator[Row]:
        """Yield the rows asked for, in the order asked for, as they are read: nobody holds them all."""
        ...

    def tally(self, since: int, until: int, span: int) -> list[Tally]:
        """Count rows from `since` to before `until` in spans of so many ms (all three unix ms)."""
        ...

    def retain(self, now: int) -> Removed:
        """Remove what is too old or too much by the config; a bounded piece of work. `now` is unix ms."""
        ...

    def forget(self, person: Person) -> int:
        """Mask a person in all rows, and leave no byte of them in the target's files; returns how many rows.

        What cannot be reached from here (a server's own journal, say) is told by `leaves`.
        """
        ...

    def leaves(self) -> list[str]:
        """Return, for the receipt of the last `forget`, what may still hold old bytes, a sentence each."""
        ...

    def learned(self) -> frozenset[str]:
        """Return other names of the person that the last `forget` found: whose message it is, Meta's id says."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
