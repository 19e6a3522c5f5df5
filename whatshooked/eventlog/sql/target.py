"""What the targets sqlite and postgres do alike: how they connect, what they answer, and how a person is masked.

Nothing is open before the first call. After any fault all is closed, and the next call begins anew.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, Engine, Table

from whatshooked.config.model import Kept
from whatshooked.eventlog.forgetting import beside, masked
from whatshooked.eventlog.row import Place, Row, Tally, Wanted, place
from whatshooked.eventlog.sql import query
from whatshooked.eventlog.sql.faults import told
from whatshooked.eventlog.sql.table import PERSONAL, Record, asked, record, row_of, table_of, tally_of
from whatshooked.eventlog.target import Removed
from whatshooked.meta.person import Person

#: Rows read at a time: few at first, for who wants but a page.
FIRST_PAGE = 200
PAGE = 2_000
#: Rows that one transaction removes.
BATCH = 20_000
#: Transactions that one call of `retain` spends on removal.
BATCHES = 50
_DAY_MS = 86_400_000


class SqlTarget(ABC):
    """A table in a database. `place` names it in faults, without a password."""

    def __init__(self, place: str, table: str, kept: Kept) -> None:
        self._place = place
        self._table: Table = table_of(table)
        self._kept = kept
        self._engine: Engine | None = None
        self._left: list[str] = []
        self._learned: set[str] = set()

    def begin(self) -> None:
        """See that the database is there. Several may write a table: its primary key knows each row."""
        with self._connected():
            return

    def write(self, rows: Sequence[Row]) -> None:
        """Keep rows: all of them are on the disk when this returns, or none; one that is kept already is left out."""
        records = [record(row) for row in rows]
        if records:
            with self._connected() as engine:
                self._write(engine, records)

    def rows(self, wanted: Wanted) -> Iterator[Row]:
        """Yield the rows asked for; between two chunks nothing is open."""
        limit, text = FIRST_PAGE, wanted.text.lower()
        wanted = asked(wanted)
        while True:
            found = self._page(wanted, limit)
            for row in found:
                if text in row.error.lower():
                    yield row
            if len(found) < limit:
                return
            wanted, limit = msgspec.structs.replace(wanted, after=place(found[-1])), PAGE

    def tally(self, since: int, until: int, span: int) -> list[Tally]:
        """Count rows in spans that begin at `since`."""
        with self._connected() as engine, engine.connect() as connection:
            found = connection.execute(query.tally(self._table, since, until, span)).mappings().all()
        return [tally_of(one) for one in found]

    def retain(self, now: int) -> Removed:
        """Remove what is too old, then what is too much."""
        with self._connected() as engine:
            days = self._kept.max_age_days
            aged = self._drop_old(engine, now - round(days * _DAY_MS)) if days else 0
            return Removed(aged, self._drop_surplus(engine, self._kept.max_bytes) if self._kept.max_bytes else 0)

    def forget(self, person: Person) -> int:
        """Mask a person, then clean the files: the second is done even if no row is left that names them.

        So what a crash left undone is done by the next call.
        """
        self._left, self._learned = [], set()
        count = 0
        wanted = Wanted(newest_first=False)
        while found := self._page(wanted, PAGE):
            self._learned.update(filter(None, (beside(row, person) for row in found)))
            changed = [(row, new) for row in found if (new := masked(row, person)) is not row]
            if changed:
                with self._connected() as engine:
                    self._mask(engine, [new for _, new in changed])
            count += len(changed)
            wanted = msgspec.structs.replace(wanted, after=place(found[-1]))
        with self._connected() as engine:
            self._left = self._clean(engine)
        return count

    def leaves(self) -> list[str]:
        """Return what the last `forget` could not reach."""
        return list(self._left)

    def learned(self) -> frozenset[str]:
        """Return other names of the person that the last `forget` found."""
        return frozenset(self._learned)

    def close(self) -> None:
        """Close all connections."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Engine]:
        """Give the engine, which has our table; what the database says becomes LogUnavailable, and all is closed."""
        with told(self._place, self.close):
            if self._engine is not None and not self._is_there():
                self.close()
            if self._engine is None:
                self._engine = self._open()
                self._migrate(self._engine)
            yield self._engine

    def _is_there(self) -> bool:
        """Return whether what was opened is still what `place` names; a file may have been moved away."""
        return True

    def _page(self, wanted: Wanted, limit: int) -> list[Row]:
        with self._connected() as engine, engine.connect() as connection:
            found = connection.execute(query.page(self._table, wanted, limit)).mappings().all()
        return [row_of(one) for one in found]

    def _remove(self, connection: Connection, table: Table, count: int, before: int | None = None) -> int:
        """Remove so many of the oldest rows, of those before a time (unix ms); returns how many it were."""
        found = connection.execute(query.nth_oldest(table, count, before)).one_or_none()
        last = Place(found.ms, found.seq, found.shard) if found else None
        return connection.execute(query.remove(table, last, before)).rowcount

    def _mask_in(self, connection: Connection, rows: Sequence[Row]) -> None:
        connection.execute(query.mask(self._table), [_bound(row) for row in rows])

    @abstractmethod
    def _open(self) -> Engine:
        """Make the engine; what it connects to may not answer yet."""

    @abstractmethod
    def _migrate(self, engine: Engine) -> None:
        """See that the table is there, while no other process does."""

    @abstractmethod
    def _write(self, engine: Engine, records: Sequence[Record]) -> None:
        """Keep records in one transaction."""

    @abstractmethod
    def _mask(self, engine: Engine, rows: Sequence[Row]) -> None:
        """Put masked rows in the place of what is kept, in one transaction."""

    @abstractmethod
    def _drop_old(self, engine: Engine, before: int) -> int:
        """Remove rows from before a time (unix ms); returns how many."""

    @abstractmethod
    def _drop_surplus(self, engine: Engine, most: int) -> int:
        """Remove the oldest rows while all take more bytes, and give the space back; returns how many rows."""

    @abstractmethod
    def _clean(self, engine: Engine) -> list[str]:
        """Remove the bytes of what is kept no more; returns what could not be reached."""


def _bound(row: Row) -> dict[str, str | int]:
    key = {query.BOUND.format(name): value for name, value in place(row)._asdict().items()}
    return key | {name: getattr(row, name) for name in PERSONAL}
