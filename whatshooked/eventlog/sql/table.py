"""The table of the event log, and how a row stands in it; pure.

Times are unix milliseconds. No text here can break a batch: what a database would refuse is put right on the way in.
"""

import math
import re
from datetime import UTC, datetime

import msgspec
from sqlalchemy import BigInteger, Column, Double, MetaData, RowMapping, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from whatshooked.eventlog.row import TEXT_COLUMNS, Place, Row, Tally, Wanted, id_of, place

#: The order of rows, and what no two have alike: with the time in front, the key also serves pages of all rows.
KEY = ("ms", "seq", "shard")
#: The order of columns in a record.
COLUMNS = (*KEY, "at", *TEXT_COLUMNS, "attempt", "status", "duration_ms")
#: Letters of an indexed column: PostgreSQL's indexes refuse more than 2,704 bytes in all.
INDEXED_LETTERS = 500
INDEXED = frozenset({"type", "account_id", "conversation", "event_id", "hook_id"})
#: What may tell of a person; PostgreSQL keeps no sample of it for its planner, which would outlive the rows.
PERSONAL = ("conversation", "message_id", "error", "actor", "text", "data")
#: How a table of versions is called after the table that it is about.
VERSIONS = "{}_version"

Value = str | int | float
Record = tuple[Value, ...]

_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_INT64 = 2**63 - 1
_rfc3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_plain = str.maketrans({"\x00": "�"})


class At(TypeDecorator[str]):
    """A moment as RFC 3339 with milliseconds, UTC: PostgreSQL keeps it as one, SQLite as it is written."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> "TypeEngine[str] | TypeEngine[datetime]":
        """Return the type that a database has for it."""
        return TIMESTAMP(timezone=True, precision=3) if dialect.name == "postgresql" else Text()

    def process_result_value(self, value: str | datetime | None, dialect: Dialect) -> str:  # noqa: ARG002 - by its name
        """Return what the database gave as a text."""
        return _written(value) if isinstance(value, datetime) else value or ""


def table_of(name: str) -> Table:
    """Return the table of this name as queries need it; `migrations` makes it."""
    # Byte order in both databases, which is the order of Python's strings.
    text = Text().with_variant(Text(collation="C"), "postgresql")
    kinds: dict[str, TypeEngine[str] | TypeEngine[int] | TypeEngine[float]] = {
        "ms": BigInteger(),
        "seq": BigInteger(),
        "at": At(),
        "attempt": BigInteger(),
        "status": BigInteger(),
        "duration_ms": Double(),
    }
    columns = (Column(column, kinds.get(column, text), nullable=False) for column in COLUMNS)
    return Table(name, MetaData(), *columns)


def record(row: Row) -> Record:
    """Return what the databases hold of a row, in the order of COLUMNS; raises ValueError when its id is none."""
    where = place(row)
    texts = [cleaned(getattr(row, column), column) for column in TEXT_COLUMNS]
    duration = row.duration_ms if math.isfinite(row.duration_ms) else 0.0
    numbers = (*(max(-_INT64, min(_INT64, number)) for number in (row.attempt, row.status)), duration)
    return (where.ms, where.seq, cleaned(where.shard), _at(row.at, where.ms), *texts, *numbers)


def row_of(kept: RowMapping) -> Row:
    """Return the row of what a database holds."""
    where = Place(int(kept["ms"]), int(kept["seq"]), str(kept["shard"]))
    found = {column: kept[column] for column in COLUMNS[len(KEY) :]}
    found |= {"id": id_of(where), "duration_ms": found["duration_ms"] or 0}  # 0.0 would stand in a line, 0 does not
    return msgspec.convert(found, Row)


def tally_of(found: RowMapping) -> Tally:
    """Return what a database counted."""
    return msgspec.convert({name: found[name] for name in Tally.__struct_fields__}, Tally)


def cleaned(text: str, column: str = "") -> str:
    """Return a text as both databases can keep it: no NUL, no half of a surrogate pair, no endless key."""
    if column in INDEXED:
        text = text[:INDEXED_LETTERS]
    if "\x00" in text:
        text = text.translate(_plain)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def asked(wanted: Wanted) -> Wanted:
    """Return what is asked for as the databases keep it."""
    names = ("account_id", "conversation", "hook_id", "event_id", "text")
    changed = {name: cleaned(getattr(wanted, name), name) for name in names}
    types = tuple(cleaned(one, "type") for one in wanted.types)
    return msgspec.structs.replace(wanted, types=types, states=tuple(map(cleaned, wanted.states)), **changed)


def _at(text: str, ms: int) -> str:
    """Return the moment of a row, that of its place when it has none that a database takes."""
    try:
        if _rfc3339.fullmatch(text) and datetime.fromisoformat(text):
            return text
    except ValueError:  # a day that no calendar has
        pass
    return _written(datetime.fromtimestamp(min(ms / 1000, _LAST.timestamp()), UTC))


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
