"""Rows as others take them: JSON lines, CSV and Parquet, a piece at a time, so that nobody holds them all."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import msgspec
from msgspec import structs

from whatshooked.eventlog.files.lines import encoded
from whatshooked.eventlog.row import Row

Name = Literal["jsonl", "csv", "parquet"]

#: Bytes of a piece at least, but for the last one.
PIECE = 65_536
COLUMNS = tuple(field.name for field in structs.fields(Row))
#: How a text begins that a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(NamedTuple):
    """How rows are written: the type of the whole, and what makes pieces of it."""

    media_type: str
    pieces: Callable[[Iterator[Row]], Iterator[bytes]]


def shown(row: Row) -> bytes:
    """Return a row as one line of JSON without its end: what is empty is left out, `data` is an object and no text."""
    # Databases give 0.0, and only the default itself is left out.
    line = encoded(structs.replace(row, data="", duration_ms=row.duration_ms or 0))
    return line[:-2] + b',"data":' + _object(row.data) + b"}" if row.data else line[:-1]


def _object(data: str) -> bytes:
    """Return a JSON object as it is but for its spaces; what is none, since somebody edited it, stands in one."""
    raw = data.encode("utf-8", "replace")
    try:
        msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return msgspec.json.format(raw, indent=-1)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode({"unreadable": raw.decode()})


def jsonl(rows: Iterator[Row]) -> Iterator[bytes]:
    """Yield rows as JSON lines."""
    lines, size = list[bytes](), 0
    for row in rows:
        line = shown(row) + b"\n"
        lines.append(line)
        size += len(line)
        if size >= PIECE:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def comma_separated(rows: Iterator[Row]) -> Iterator[bytes]:
    """Yield rows as CSV (RFC 4180, UTF-8) with a header; no text begins as a formula of a spreadsheet would."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_guarded(value) for value in structs.astuple(row)])
        if text.tell() >= PIECE:
            yield _taken(text)
    yield _taken(text)


def _guarded(value: str | float) -> str | float:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _taken(text: io.StringIO) -> bytes:
    taken = text.getvalue().encode("utf-8", "replace")
    text.seek(0)
    text.truncate()
    return taken


def columnar(rows: Iterator[Row]) -> Iterator[bytes]:
    """Yield rows as a Parquet file, which is whole on the disk before its first piece comes; raises OSError there."""
    from whatshooked.eventlog.parquet import pieces  # its library is large, and seldom wanted

    return pieces(rows, PIECE)


FORMATS: dict[Name, Format] = {
    "jsonl": Format("application/x-ndjson", jsonl),
    "csv": Format("text/csv; charset=utf-8; header=present", comma_separated),
    "parquet": Format("application/vnd.apache.parquet", columnar),
}
