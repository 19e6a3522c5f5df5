"""0001: the table, in PostgreSQL partitioned by month from the first row on: to convert a grown one would lock it."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0001"
down_revision = None

#: Each opens an index; rows that leave it empty are not in it.
_PAGES = ("account_id", "conversation", "hook_id")
#: What people are told by. A sample of it, kept for the planner, would outlive the rows.
_SAYING = ("conversation", "message_id", "error", "actor", "text", "data")
_TEXTS = (
    *("type", "account_id", "conversation", "event_id", "message_id", "message_type", "hook_id", "state", "error"),
    *("actor", "text", "data"),
)


def upgrade() -> None:
    """Make the table and its indexes."""
    name = context.config.attributes["table"]
    postgres = op.get_bind().dialect.name == "postgresql"
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    at = sa.Text().with_variant(TIMESTAMP(timezone=True, precision=3), "postgresql")
    op.create_table(
        name,
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in ("ms", "seq")),
        sa.Column("shard", text, nullable=False),
        sa.Column("at", at, nullable=False),
        *(sa.Column(column, text, nullable=False, server_default="") for column in _TEXTS),
        *(sa.Column(column, sa.BigInteger(), nullable=False, server_default="0") for column in ("attempt", "status")),
        sa.Column("duration_ms", sa.Double(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("ms", "seq", "shard", name=f"{name}_key"),
        postgresql_partition_by="RANGE (ms)",
    )
    for column in _PAGES:
        _index(name, column, "ms", "seq")
    _index(name, "event_id")
    op.create_index(f"{name}_type", name, ["type", "ms", "seq"])
    if postgres:
        quote = op.get_bind().dialect.identifier_preparer.quote
        for column in _SAYING:
            op.execute(f"ALTER TABLE {quote(name)} ALTER COLUMN {quote(column)} SET STATISTICS 0")


def _index(name: str, *columns: str) -> None:
    filled = sa.text(f"{columns[0]} <> ''")
    op.create_index(f"{name}_{columns[0]}", name, columns, sqlite_where=filled, postgresql_where=filled)
