"""The months of the table in PostgreSQL, a partition each: made before a row needs them, dropped when they are over.

A month out of which rows were removed or changed is marked, in the same transaction, by a comment on it: what they were
still lies in its pages, until `compact` has written it anew and takes the mark away. So no crash between the two makes
anybody forget about it. (What others remove by hand has no mark: its bytes stay until the month is written anew.)
"""

import re
import zlib
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow
from sqlalchemy import Connection, Table, text

from whatshooked.eventlog.sql.table import PERSONAL, table_of

#: The last month that has a name holds all that comes behind it; places end here (row.py).
_END = 10**15
_LAST = (9999, 12)
_MARK = "holes"


class Month(NamedTuple):
    """A partition, from `start` to before `end` (unix ms, UTC)."""

    name: str
    start: int
    end: int

    @property
    def table(self) -> Table:
        """The partition as a table of its own."""
        return table_of(self.name)


def month_of(table: Table, ms: int) -> Month:
    """Return the month of a moment (unix ms)."""
    last = datetime(*_LAST, 1, tzinfo=UTC).timestamp()
    moment = datetime.fromtimestamp(min(ms / 1000, last), UTC)
    return _month(table, moment.year, moment.month)


def _month(table: Table, year: int, number: int) -> Month:
    start = _ms(year, number)
    end = _END if (year, number) == _LAST else _ms(year + number // 12, number % 12 + 1)
    return Month(f"{table.name}_{year:04}{number:02}", start, end)


def _ms(year: int, number: int) -> int:
    return int(datetime(year, number, 1, tzinfo=UTC).timestamp()) * 1000


def hold(connection: Connection, table: Table) -> None:
    """Keep other processes from making tables of this name, until the transaction ends."""
    key = zlib.crc32(f"whatshooked {table.name}".encode())
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def existing(connection: Connection, table: Table) -> list[Month]:
    """Return the months that there are, oldest first."""
    found = connection.execute(
        text("SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = to_regclass(:table)"),
        {"table": quoted(connection, table.name)},
    )
    named = (re.fullmatch(re.escape(table.name) + r"_([0-9]{4})([0-9]{2})", name) for name in found.scalars())
    return sorted((_month(table, int(one[1]), int(one[2])) for one in named if one), key=lambda month: month.start)


def make(connection: Connection, table: Table, month: Month) -> None:
    """Make a month, unless another process was first; who reads or writes the others is not held up."""
    hold(connection, table)
    if month in existing(connection, table):
        return
    ours, whole = quoted(connection, month.name), quoted(connection, table.name)
    connection.exec_driver_sql(f"CREATE TABLE {ours} (LIKE {whole} INCLUDING DEFAULTS)")
    for column in PERSONAL:
        connection.exec_driver_sql(f"ALTER TABLE {ours} ALTER COLUMN {column} SET STATISTICS 0")
    # To attach one is a lighter lock on the whole than to make it as a part.
    bounds = f"FOR VALUES FROM ({month.start}) TO ({month.end})"
    connection.exec_driver_sql(f"ALTER TABLE {whole} ATTACH PARTITION {ours} {bounds}")


def drop(connection: Connection, month: Month) -> None:
    """Drop a month with all that is in it; does not wait long for who reads, since all others would wait behind."""
    connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
    connection.exec_driver_sql(f"DROP TABLE {quoted(connection, month.name)}")


def size(connection: Connection, month: Month) -> int:
    """Return the bytes of a month, with its indexes."""
    statement = text("SELECT pg_total_relation_size(to_regclass(:name))")
    return int(connection.execute(statement, {"name": quoted(connection, month.name)}).scalar_one() or 0)


def mark(connection: Connection, month: Month) -> None:
    """Note, in the transaction that makes them, that a month has holes; each mark is another."""
    token = connection.execute(text("SELECT pg_current_xact_id()::text")).scalar_one()
    connection.exec_driver_sql(f"COMMENT ON TABLE {quoted(connection, month.name)} IS '{_MARK} {int(token)}'")


def marked(connection: Connection, table: Table) -> list[Month]:
    """Return the months with holes, oldest first."""
    return [month for month in existing(connection, table) if _mark_of(connection, month)]


def compact(connection: Connection, month: Month) -> bool:
    """Write a month anew, without its holes; returns whether nothing was left that another transaction still sees.

    The connection is one without transactions. Nobody reads or writes this month until it is done.
    """
    ours, seen, driver = quoted(connection, month.name), _mark_of(connection, month), driver_of(connection)
    left: list[int] = []

    def notice(said: Diagnostic) -> None:
        # "0 dead row versions cannot be removed yet.", in the server's language
        found = re.match(r"[0-9]+", said.message_detail or "")
        left.append(int(found[0]) if found else 0)

    driver.add_notice_handler(notice)
    try:
        connection.exec_driver_sql("SET lock_timeout = '10s'")
        connection.exec_driver_sql(f"VACUUM (FULL, VERBOSE) {ours}")
    finally:
        driver.remove_notice_handler(notice)
        if not driver.broken:
            connection.exec_driver_sql("RESET lock_timeout")
    if any(left):
        return False
    with driver.transaction():
        # Another process may have made holes since: it waits for this lock with its mark.
        connection.exec_driver_sql(f"LOCK TABLE {ours} IN SHARE UPDATE EXCLUSIVE MODE")
        if _mark_of(connection, month) == seen:
            connection.exec_driver_sql(f"COMMENT ON TABLE {ours} IS NULL")
    return True


def quoted(connection: Connection, name: str) -> str:
    """Return a table's name as statements take it."""
    return connection.dialect.identifier_preparer.quote_identifier(name)


def driver_of(connection: Connection) -> psycopg.Connection[TupleRow]:
    """Return the driver's own connection, for what only it can do."""
    found = connection.connection.driver_connection
    if not isinstance(found, psycopg.Connection):
        raise TypeError(f"{type(found).__name__} is no connection of psycopg")
    return found


def _mark_of(connection: Connection, month: Month) -> str | None:
    statement = text("SELECT obj_description(to_regclass(:name), 'pg_class')")
    found = connection.execute(statement, {"name": quoted(connection, month.name)}).scalar_one()
    return found if found and found.startswith(_MARK) else None
