"""What goes wrong with a database, in one line with the place and the remedy."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator

import psycopg
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from whatshooked.errors import LogUnavailable

#: A server that lets nobody in tells it in words alone.
_REACH = (
    "see whether it runs and can be reached from here, and check host, username, password and database in `database`"
)
#: By the first letters of PostgreSQL's five.
_POSTGRES = {
    "42501": "let this user make and own tables there: GRANT CREATE ON SCHEMA public",
    "42P07": "that name is taken by something of others: choose another event_logger.table_name",
    "53100": "make room on its disk, or lower event_logger.postgres.max_age_days",
    "53300": "raise its max_connections, or close what others hold open",
    "25006": "name the server that takes writes, not a copy of it",
    "55P03": "another transaction holds a table: end it, the next try comes by itself",
    "57": "it is being stopped or started: the next try comes by itself",
    "08": _REACH,
}
_SQLITE = {
    sqlite3.SQLITE_BUSY: "another process holds it: end its transaction, the next try comes by itself",
    sqlite3.SQLITE_LOCKED: "another process holds it: end its transaction, the next try comes by itself",
    sqlite3.SQLITE_READONLY: "let the user of this process write there, or set event_logger.sqlite_path",
    sqlite3.SQLITE_CANTOPEN: "let the user of this process write there, or set event_logger.sqlite_path",
    sqlite3.SQLITE_FULL: "make room there, or lower event_logger.sqlite.max_age_days or max_bytes",
    sqlite3.SQLITE_CORRUPT: "move the file away and the log begins anew; sqlite3's .recover may read what was in it",
    sqlite3.SQLITE_NOTADB: "that is no file of SQLite's: move it away, or set event_logger.sqlite_path",
}


@contextlib.contextmanager
def told(place: str, lost: Callable[[], None]) -> Iterator[None]:
    """Raise what a database says as LogUnavailable, when `lost` has closed what may be broken."""
    try:
        yield
    except LogUnavailable:
        lost()
        raise
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error, CommandError, OSError) as error:
        lost()
        # From none of them: their texts show rows, and whom they are about.
        raise LogUnavailable(f"event log {place}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.Error):
        said = cause.diag.message_primary or _first_line(cause)
        return f"{said}; {_of_postgres(cause.sqlstate)}"
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return f"{_first_line(cause)}; {_SQLITE.get(code, 'see the log of the machine about this disk')}"
    if isinstance(cause, OSError):
        return f"{cause.strerror}; let the user of this process write there, or set event_logger.sqlite_path"
    return f"{_first_line(error)}; try again, and if it stays, see the database's log"


def _of_postgres(state: str | None) -> str:
    if state is None:  # it said nothing at all
        return _REACH
    return next((text for start, text in _POSTGRES.items() if state.startswith(start)), "see the database's log")


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
