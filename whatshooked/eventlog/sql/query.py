"""What is asked of the table, as statements for either database; nothing here runs one."""

from collections.abc import Iterator

from sqlalchemy import (
    ColumnElement,
    Delete,
    Integer,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from whatshooked.eventlog.row import Place, Wanted
from whatshooked.eventlog.sql.table import COLUMNS, KEY, PERSONAL

#: What a bound column of a key is called where the column itself is set in the same statement.
BOUND = "at_{}"


class _Bytes(FunctionElement[int]):
    """The bytes of a text, which both databases tell, each in its way."""

    type = Integer()
    inherit_cache = True


@compiles(_Bytes)
def _octets(element: _Bytes, compiler: SQLCompiler, **options: object) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"


@compiles(_Bytes, "sqlite")
def _blob(element: _Bytes, compiler: SQLCompiler, **options: object) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


def page(table: Table, wanted: Wanted, limit: int) -> Select[tuple[object, ...]]:
    """Return the question for the next rows asked for, in order.

    `text` is answered with a few rows too many: the letters of all the world have one case in Python alone.
    """
    key = [table.c[name] for name in KEY]
    order = [column.desc() if wanted.newest_first else column.asc() for column in key]
    return select(*(table.c[name] for name in COLUMNS)).where(*_conditions(table, wanted)).order_by(*order).limit(limit)


def tally(table: Table, since: int, until: int, span: int) -> Select[tuple[object, ...]]:
    """Return the question for counts by span, type, account, hook and state; the spans begin at `since`."""
    begin = (since + (table.c.ms - since) // span * span).label("ms")
    kinds = [table.c[name] for name in ("type", "account_id", "hook_id", "state")]
    found = select(begin, *kinds, func.count().label("count"), func.sum(table.c.duration_ms).label("duration_ms"))
    return found.where(table.c.ms >= since, table.c.ms < until).group_by(begin, *kinds).order_by(begin, *kinds)


def nth_oldest(table: Table, n: int, before: int | None = None) -> Select[tuple[int, int, str]]:
    """Return the question for the place of the nth oldest row, of those before a time (unix ms)."""
    key = [table.c[name] for name in KEY]
    return select(*key).where(_before(table, before)).order_by(*key).offset(n - 1).limit(1)


def remove(table: Table, last: Place | None, before: int | None = None) -> Delete:
    """Return the removal of rows up to a place, or of all, of those before a time (unix ms)."""
    conditions = [_before(table, before)]
    if last is not None:
        conditions += [table.c.ms <= last.ms, tuple_(*(table.c[name] for name in KEY)) <= tuple(last)]
    return delete(table).where(*conditions)


def mask(table: Table) -> Update:
    """Return the change of what a row tells of a person; its key is bound by BOUND."""
    key = [table.c[name] == bindparam(BOUND.format(name)) for name in KEY]
    return update(table).where(*key).values({name: bindparam(name) for name in PERSONAL})


def _before(table: Table, before: int | None) -> ColumnElement[bool]:
    return true() if before is None else table.c.ms < before


def _conditions(table: Table, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    columns = table.c
    if wanted.since is not None:
        yield columns.ms >= wanted.since
    if wanted.until is not None:
        yield columns.ms < wanted.until
    if wanted.after is not None:
        key, last = tuple_(*(columns[name] for name in KEY)), tuple(wanted.after)
        # The first says nothing new: by it PostgreSQL leaves whole months alone.
        yield columns.ms <= wanted.after.ms if wanted.newest_first else columns.ms >= wanted.after.ms
        yield key < last if wanted.newest_first else key > last
    for name in ("account_id", "conversation", "hook_id", "event_id"):
        if asked := getattr(wanted, name):
            yield columns[name] == asked
            yield columns[name] != literal_column("''")  # without it an index of what is not empty is no help
    if wanted.states:
        yield columns.state.in_(wanted.states)
    if wanted.types and "*" not in wanted.types:
        yield or_(*(_covers(columns.type, pattern) for pattern in wanted.types))
    if wanted.text:
        yield columns.error != literal_column("''")
        part = columns.error.icontains(wanted.text.lower(), autoescape=True)
        yield or_(part, _Bytes(columns.error) != func.length(columns.error))


def _covers(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    if not pattern.endswith(".*"):
        return column == pattern
    # "/" follows "." in the order of bytes: what is between begins with the family's name.
    return (column >= pattern[:-1]) & (column < f"{pattern[:-2]}/")
