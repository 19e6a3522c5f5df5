"""Rows as a Parquet file: texts as they are, the time as a moment in UTC with milliseconds, numbers as numbers."""

import tempfile
from collections.abc import Iterator
from itertools import islice

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet
from msgspec import structs

from whatshooked.eventlog.row import Row, place

#: Rows that are columns in memory at a time, and those of a group in the file.
BATCH = 2_000
GROUP = 10_000
_TYPES = {
    "at": DataType.timestamp("ms", tz="UTC"),
    "attempt": DataType.int64(),
    "status": DataType.int64(),
    "duration_ms": DataType.float64(),
}
_FIELDS = tuple(
    Field(field.name, _TYPES.get(field.name, DataType.utf8()), nullable=False) for field in structs.fields(Row)
)
_SCHEMA = Schema(_FIELDS)


def pieces(rows: Iterator[Row], size: int) -> Iterator[bytes]:
    """Write a temporary file, which has no name and so outlives nobody, and yield it in pieces of `size` bytes.

    Raises OSError when it has no room, and what `rows` raises.
    """
    with tempfile.TemporaryFile(prefix="whatshooked-") as file:
        batches = _Batches(rows)
        try:
            write_parquet(
                RecordBatchReader.from_batches(_SCHEMA, iter(batches)),
                file,
                compression="zstd(3)",
                max_row_group_size=GROUP,
            )
        except Exception as error:
            raise batches.failure or error from None
        file.seek(0)
        while piece := file.read(size):
            yield piece


class _Batches:
    """Rows as columns, some at a time; what goes wrong with them is kept, since the writer tells only a text of it."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[RecordBatch]:
        try:
            while some := list(islice(self._rows, BATCH)):
                yield _batch(some)
        except Exception as error:
            self.failure = error
            raise


def _batch(rows: list[Row]) -> RecordBatch:
    columns = [_column(field, rows) for field in _FIELDS]
    return RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _column(field: Field, rows: list[Row]) -> Array:
    if field.name == "at":
        return Array([place(row).ms for row in rows], DataType.int64()).cast(field.type)
    values = [getattr(row, field.name) for row in rows]
    return Array(values, field.type)
