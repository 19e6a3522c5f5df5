"""The versions of the table: made or brought to ours by alembic, or refused where it is not ours to touch."""

import threading

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, inspect

from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.sql.table import VERSIONS

#: alembic keeps in the module what it is at: two targets of one process take turns.
_turn = threading.Lock()


def migrate(connection: Connection, place: str, table: Table) -> None:
    """Make the table, or bring it to our version; raises LogUnavailable when it is somebody else's, or newer than we.

    The caller holds the transaction, and what keeps other processes out until it ends.
    """
    with _turn:
        config = Config()
        config.set_main_option("script_location", "whatshooked.eventlog.sql:migrations")
        config.attributes.update(connection=connection, table=table.name)
        script = ScriptDirectory.from_config(config)
        if _version(connection, place, table, script) != script.get_current_head():
            command.upgrade(config, "head")
        _compare(connection, place, table)


def _version(connection: Connection, place: str, table: Table, script: ScriptDirectory) -> str | None:
    """Return the version of the table, None when there is none yet."""
    versions = VERSIONS.format(table.name)
    there, known = (inspect(connection).has_table(name) for name in (table.name, versions))
    if there and not known:
        raise _foreign(place, table)
    if not known:
        return None
    context = MigrationContext.configure(connection, opts={"version_table": versions})
    found = context.get_current_revision()
    if found is not None and found not in {one.revision for one in script.walk_revisions()}:
        raise LogUnavailable(
            f"event log {place}: table {table.name!r} has version {found} of a newer WhatsHooked; run that one, or "
            "choose another event_logger.table_name"
        )
    if found is not None and not there:
        raise LogUnavailable(
            f"event log {place}: table {table.name!r} is gone, but {versions!r} tells of it; bring it back, or drop "
            f"{versions!r} too"
        )
    if found is None and there:
        raise _foreign(place, table)
    return found


def _compare(connection: Connection, place: str, table: Table) -> None:
    has = {column["name"] for column in inspect(connection).get_columns(table.name)}
    if not has >= set(table.c.keys()):
        raise _foreign(place, table)


def _foreign(place: str, table: Table) -> LogUnavailable:
    return LogUnavailable(
        f"event log {place}: there is a table {table.name!r} that is not ours, such as an earlier program's; choose "
        "another event_logger.table_name"
    )
