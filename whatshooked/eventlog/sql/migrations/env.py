"""Run by alembic: brings one table to a version, on the connection and in the transaction of its caller."""

from alembic import context

from whatshooked.eventlog.sql.table import VERSIONS

_given = context.config.attributes
context.configure(connection=_given["connection"], version_table=VERSIONS.format(_given["table"]))
with context.begin_transaction():
    context.run_migrations()
