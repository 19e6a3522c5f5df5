"""The target postgres: a table partitioned by month, in the database of the config's section `database`."""

import time
from collections.abc import Sequence

from psycopg import sql
from sqlalchemy import URL, Connection, Engine, Table, create_engine, func, select, text

from whatshooked.config.model import Database, Kept
from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.row import Row, place
from whatshooked.eventlog.sql import months, wal
from whatshooked.eventlog.sql.faults import told
from whatshooked.eventlog.sql.migrate import migrate
from whatshooked.eventlog.sql.table import COLUMNS, KEY, Record
from whatshooked.eventlog.sql.target import BATCH, BATCHES, SqlTarget

#: When all takes too much, so much more of the bound is freed as well: each time a month is written anew.
SLACK = 0.1
#: How often a month is written anew while others still see what was in it, and seconds between.
TRIES = 3
PAUSE = 1.0
_CONNECTED = {
    "connect_timeout": 10,
    "client_encoding": "utf8",
    "application_name": "whatshooked",
    # A pool in front of the server (PgBouncer) gives each transaction another connection.
    "prepare_threshold": None,
    # A server that has vanished is noticed in half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_STAGE = "whatshooked_incoming"


class PostgresTarget(SqlTarget):
    """The table in a database that is there; its user may make tables in it."""

    def __init__(self, database: Database, table: str, kept: Kept) -> None:
        super().__init__(f"{database.host or 'localhost'}:{database.port}/{database.database}", table, kept)
        self._url = URL.create(
            "postgresql+psycopg",
            username=database.username or None,
            password=database.password,
            host=database.host or None,
            port=database.port,
            database=database.database or None,
        )

    def is_there(self) -> bool:
        """Return whether the database has our table, and make nothing; raises LogUnavailable."""
        with told(self._place, self.close):
            engine = self._open()
            try:
                with engine.connect() as connection:
                    found = connection.execute(select(func.to_regclass(f'"{self._table.name}"'))).scalar_one()
            finally:
                engine.dispose()
        return found is not None

    def _open(self) -> Engine:
        return create_engine(self._url, connect_args=_CONNECTED, hide_parameters=True, use_native_hstore=False)

    def _migrate(self, engine: Engine) -> None:
        with engine.begin() as connection:
            encoding = connection.execute(text("SELECT current_setting('server_encoding')")).scalar_one()
            if encoding != "UTF8":
                raise LogUnavailable(
                    f"event log {self._place}: the database's encoding is {encoding}, which has not all letters; make "
                    "one with ENCODING 'UTF8', and mend database.database"
                )
            months.hold(connection, self._table)
            migrate(connection, self._place, self._table)

    def _write(self, engine: Engine, records: Sequence[Record]) -> None:
        self._make_months(engine, {months.month_of(self._table, int(one[0])) for one in records})
        columns = [sql.Identifier(name) for name in COLUMNS]
        names = {
            "stage": sql.Identifier(_STAGE),
            "table": sql.Identifier(self._table.name),
            "columns": sql.SQL(", ").join(columns),
            # Two who write the same rows take them in one order, or each would wait for the other.
            "key": sql.SQL(", ").join(columns[: len(KEY)]),
        }
        with engine.begin() as connection:
            _durable(connection)
            cursor = months.driver_of(connection).cursor()
            cursor.execute(sql.SQL("CREATE TEMP TABLE {stage} (LIKE {table}) ON COMMIT DROP").format(**names))
            with cursor.copy(sql.SQL("COPY {stage} ({columns}) FROM STDIN").format(**names)) as copy:
                for one in records:
                    copy.write_row(one)
            insert = (
                "INSERT INTO {table} ({columns}) SELECT {columns} FROM {stage} ORDER BY {key} ON CONFLICT DO NOTHING"
            )
            cursor.execute(sql.SQL(insert).format(**names))

    def _make_months(self, engine: Engine, needed: set[months.Month]) -> None:
        with engine.connect() as connection:
            missing = needed - set(months.existing(connection, self._table))
        for month in sorted(missing):
            with engine.begin() as connection:
                months.make(connection, self._table, month)

    def _mask(self, engine: Engine, rows: Sequence[Row]) -> None:
        with engine.begin() as connection:
            _durable(connection)
            self._mask_in(connection, rows)
            for month in {months.month_of(self._table, place(row).ms) for row in rows}:
                months.mark(connection, month)

    def _drop_old(self, engine: Engine, before: int) -> int:
        removed = 0
        for month in self._existing(engine):
            if month.end <= before:
                removed += _dropped(engine, month)
            elif month.start < before:
                removed += self._thin(engine, month, BATCH * BATCHES, before)
        return removed

    def _drop_surplus(self, engine: Engine, most: int) -> int:
        removed = 0
        # What was removed before still takes its room: without this it would be counted again, and more be removed.
        if self._surplus(engine, most)[1] > 0 and self._compact(engine):
            return removed
        while True:
            sizes, surplus = self._surplus(engine, most)
            if surplus <= 0 or not sizes:
                return removed
            oldest, size = sizes[0]
            count = _count(engine, oldest.table)
            part = -(-count * (surplus + int(most * SLACK)) // size)
            if part >= count:
                removed += _dropped(engine, oldest)
                continue
            removed += self._thin(engine, oldest, min(part, BATCH * BATCHES))
            self._compact(engine)
            return removed

    def _clean(self, engine: Engine) -> list[str]:
        for _ in range(TRIES - 1):
            if not self._compact(engine):
                break
            time.sleep(PAUSE)
        seen = self._compact(engine)
        left = [
            f"{month.name} in {self._place} holds old bytes while another transaction still sees them; forget once "
            "more when it has ended"
            for month in seen
        ]
        with _bare(engine) as connection:
            return left + wal.clean(connection)

    def _compact(self, engine: Engine) -> list[months.Month]:
        """Write the months with holes anew; returns those of which another transaction still sees what was."""
        with _bare(engine) as connection:
            holed = months.marked(connection, self._table)
            return [month for month in holed if not months.compact(connection, month)]

    def _thin(self, engine: Engine, month: months.Month, count: int, before: int | None = None) -> int:
        """Remove so many of a month's oldest rows, of those before a time (unix ms); returns how many it were."""
        removed = 0
        while removed < count:
            batch = min(BATCH, count - removed)
            with engine.begin() as connection:
                found = self._remove(connection, month.table, batch, before)
                if found:
                    months.mark(connection, month)
            removed += found
            if found < batch:
                break
        return removed

    def _existing(self, engine: Engine) -> list[months.Month]:
        with engine.connect() as connection:
            return months.existing(connection, self._table)

    def _surplus(self, engine: Engine, most: int) -> tuple[list[tuple[months.Month, int]], int]:
        """Return the bytes of each month, oldest first, and how many all of them take too much."""
        with engine.connect() as connection:
            found = months.existing(connection, self._table)
            sizes = [(month, months.size(connection, month)) for month in found]
        return sizes, sum(size for _, size in sizes) - most


def _bare(engine: Engine) -> Connection:
    """Return a connection without transactions, for what cannot be in one."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def _durable(connection: Connection) -> None:
    """Have this transaction on the disk when it is committed, even where the server is told not to wait."""
    wait = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
    connection.execute(text(wait))


def _count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _dropped(engine: Engine, month: months.Month) -> int:
    """Drop a month; returns how many rows it had."""
    count = _count(engine, month.table)
    with engine.begin() as connection:
        months.drop(connection, month)
    return count
