"""The target sqlite: one file, with its write-ahead log beside it, so that who reads never holds up who writes."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import ConnectionPoolEntry

from whatshooked.config.model import Kept
from whatshooked.eventlog.row import Row
from whatshooked.eventlog.sql.migrate import migrate
from whatshooked.eventlog.sql.table import COLUMNS, KEY, Record
from whatshooked.eventlog.sql.target import BATCH, BATCHES, SqlTarget

#: Seconds that a call waits for another process's transaction, or for its readers when a person is forgotten.
PATIENCE = 10.0
#: Pages that one call of `retain` gives back to the disk at most.
GIVEN_BACK = 100_000
_PREPARED = (
    # Before the first table, and before the log of writes is begun; later it does nothing.
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_size_limit = 4194304",
)


class SqliteTarget(SqlTarget):
    """The table in a file, which is made with its folder when it is first asked for."""

    def __init__(self, path: Path, table: str, kept: Kept) -> None:
        super().__init__(str(path), table, kept)
        self._path = path
        self._identity: tuple[int, int] | None = None

    def _open(self) -> Engine:
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # by us: SQLite would let everybody on the machine read it
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640))
        engine = create_engine(
            URL.create("sqlite", database=str(self._path)),
            # Transactions are begun by us: the driver would begin them late, and not at all for what makes tables.
            connect_args={"timeout": PATIENCE, "isolation_level": None, "check_same_thread": False},
            hide_parameters=True,
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def _migrate(self, engine: Engine) -> None:
        with _writing(engine) as connection, connection.begin():
            migrate(connection, self._place, self._table)
        self._identity = self._seen()

    def _is_there(self) -> bool:
        return self._seen() == self._identity

    def _seen(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _write(self, engine: Engine, records: Sequence[Record]) -> None:
        added = insert(self._table).on_conflict_do_nothing(index_elements=list(KEY))
        with _writing(engine) as connection, connection.begin():
            connection.execute(added, [dict(zip(COLUMNS, one, strict=True)) for one in records])

    def _mask(self, engine: Engine, rows: Sequence[Row]) -> None:
        with _writing(engine) as connection, connection.begin():
            self._mask_in(connection, rows)

    def _drop_old(self, engine: Engine, before: int) -> int:
        removed = 0
        for _ in range(BATCHES):
            with _writing(engine) as connection, connection.begin():
                count = self._remove(connection, self._table, BATCH, before)
            removed += count
            if count < BATCH:
                break
        _give_back(engine)
        return removed

    def _drop_surplus(self, engine: Engine, most: int) -> int:
        removed = 0
        with engine.connect() as connection:
            count = connection.execute(select(func.count()).select_from(self._table)).scalar_one()
        for _ in range(BATCHES):
            with _writing(engine) as connection, connection.begin():
                size = _size(connection)
                left = count - removed
                if size <= most or left <= 0:
                    break
                removed += self._remove(connection, self._table, min(-(-(size - most) * left // size), BATCH))
        _give_back(engine)
        return removed

    def _clean(self, engine: Engine) -> list[str]:
        with _bare(engine) as connection:
            connection.exec_driver_sql("VACUUM")
            # Waits for readers: the write-ahead log cannot be emptied below what one of them still sees.
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        if not busy:
            return []
        return [
            f"{self._path} and its -wal hold old bytes while another process reads an old state of them; "
            "forget once more when it has ended"
        ]


def _prepare(connection: SqliteConnection, _: ConnectionPoolEntry) -> None:
    for statement in _PREPARED:
        connection.execute(statement).close()


def _begin(connection: Connection) -> None:
    if statement := connection.get_execution_options().get("begin", "BEGIN"):
        connection.exec_driver_sql(statement)


def _writing(engine: Engine) -> Connection:
    """Return a connection whose transactions take their turn at once: a reader that turns writer may be refused."""
    return engine.connect().execution_options(begin="BEGIN IMMEDIATE")


def _bare(engine: Engine) -> Connection:
    """Return a connection without transactions, for what cannot be in one."""
    return engine.connect().execution_options(begin="")


def _size(connection: Connection) -> int:
    """Return the bytes of the file that are in use."""
    pages, free, size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _give_back(engine: Engine) -> None:
    """Return free pages to the disk; what a reader holds up is returned the next time."""
    with _bare(engine) as connection:
        driver = connection.connection.driver_connection
        if isinstance(driver, SqliteConnection):
            # A page a step: `execute` would take the first and no other.
            driver.executescript(f"PRAGMA incremental_vacuum({GIVEN_BACK})")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()
