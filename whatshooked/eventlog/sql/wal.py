"""PostgreSQL's write-ahead log, when a person is forgotten: it holds each row as it was written, and as it was copied.

A checkpoint ends the need for what is written so far, but does not remove it: the old files get names of files to come,
and keep their bytes until their turn comes. So the log is moved on through all of them: what is left of a file when it
is ended early is filled with zeros. No setting of the server's is changed, and a crash between two steps leaves a
server like any other.
"""

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

#: Files that are moved through at most; a server keeps 64 by default.
MOST_FILES = 4096
_NO_RIGHTS = (
    "PostgreSQL's write-ahead log holds old bytes until it is recycled and written over; a superuser's CHECKPOINT and "
    "pg_switch_wal() speed that up, ask the database's administrator"
)
_HELD = (
    "PostgreSQL keeps files of its write-ahead log that hold old bytes, for a copy, an archive or wal_keep_size; ask "
    "the database's administrator"
)
_COPIES = (
    (
        "SELECT count(*) > 0 FROM pg_stat_replication",
        "copies of this PostgreSQL have their own write-ahead logs, which hold old bytes until they are recycled",
    ),
    (
        "SELECT current_setting('archive_mode') <> 'off'",
        "the archive of PostgreSQL's write-ahead log holds old bytes as long as its files are kept",
    ),
    (
        "SELECT current_setting('log_statement') = 'all' OR current_setting('log_min_duration_statement') <> '-1'",
        "PostgreSQL's own log shows what is asked of it, so it may name whom somebody looked for",
    ),
)
_FILES = "SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' ORDER BY substr(name, 9)"


def clean(connection: Connection) -> list[str]:
    """Leave no byte of what was written until now in the log; returns what could not be reached, a sentence each.

    The connection is one without transactions.
    """
    left = []
    try:
        if not _moved_on(connection):
            left.append(_HELD)
    except DBAPIError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        left.append(_NO_RIGHTS)
    return left + [sentence for question, sentence in _COPIES if connection.execute(text(question)).scalar_one()]


def _moved_on(connection: Connection) -> bool:
    """Move the log on; returns whether all files of until now are gone."""
    last = _current(connection)
    _switch(connection)
    connection.exec_driver_sql("CHECKPOINT")
    ahead = max(_files(connection))
    for _ in range(MOST_FILES):
        if _current(connection) > ahead:
            break
        _switch(connection)
    connection.exec_driver_sql("CHECKPOINT")
    return min(_files(connection)) > last


def _switch(connection: Connection) -> None:
    # A file in which nothing stands yet is not ended.
    connection.execute(text("SELECT pg_logical_emit_message(false, 'whatshooked', '')"))
    connection.execute(text("SELECT pg_switch_wal()"))


def _current(connection: Connection) -> str:
    return _number(str(connection.execute(text("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")).scalar_one()))


def _files(connection: Connection) -> list[str]:
    return [_number(name) for name in connection.execute(text(_FILES)).scalars()]


def _number(name: str) -> str:
    """Return the place of a file in the log, which is all but the timeline it begins with."""
    return name[8:]
