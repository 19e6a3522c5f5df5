"""Rows to lines and back; pure. A block is some whole lines, as bytes."""

import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

import msgspec

from whatshooked.eventlog.files.names import day
from whatshooked.eventlog.row import Place, Row, Wanted, is_wanted, place
from whatshooked.keys import FIRST_SHARD

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Row)
#: How our own lines begin.
_ids = re.compile(rb'\n\{"id":"(?:([^"\\\n]{1,200}):)?([0-9]{1,15})-([0-9]{1,15})"')


#: How a line says that it is torn, or none of ours.
_NO_ROW = (msgspec.MsgspecError, UnicodeDecodeError, ValueError)


class Line(NamedTuple):
    """A row as it is written, with its end of line."""

    where: Place
    text: bytes


class Span(NamedTuple):
    """The unix ms of the earliest and of the latest row of a block, and how many rows it holds."""

    low: int
    high: int
    rows: int


NOTHING = Span(0, 0, 0)


def encoded(row: Row) -> bytes:
    """Return the line of a row; half a character that no encoding can hold becomes a question mark."""
    try:
        return _encoder.encode(row) + b"\n"
    except UnicodeEncodeError:
        columns = {key: _clean(value) for key, value in msgspec.structs.asdict(row).items()}
        return _encoder.encode(msgspec.convert(columns, Row)) + b"\n"


def _clean(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def decoded(line: bytes) -> Row | None:
    """Return the row of a line, None when it is torn or somebody else's."""
    try:
        row = _decoder.decode(line)
        place(row)
    except _NO_ROW:
        return None
    return row


def places(block: bytes) -> list[Place]:
    """Return where the rows of a block stand, in the order of its lines."""
    found = _ids.findall(b"\n" + block)
    if len(found) == block.count(b"\n"):
        return [Place(int(ms), int(seq), shard.decode() if shard else FIRST_SHARD) for shard, ms, seq in found]
    return [place(row) for row in map(decoded, block.split(b"\n")) if row is not None]


def span(where: Sequence[Place]) -> Span:
    """Return the span of some places."""
    return Span(min(where)[0], max(where)[0], len(where)) if where else NOTHING


def needles(wanted: Wanted) -> list[bytes]:
    """Return what every line must hold that is asked for: cheaper to look for than to decode each."""
    exact = (wanted.account_id, wanted.conversation, wanted.hook_id, wanted.event_id)
    return [_encoder.encode(value) for value in exact if value]


def found(block: bytes, wanted: Wanted, must_hold: list[bytes]) -> list[tuple[Place, Row]]:
    """Return the rows of a block that are asked for, in the order of its lines."""
    if not all(needle in block for needle in must_hold):
        return []
    lines: Sequence[bytes] = block.split(b"\n")
    for needle in must_hold:
        lines = [line for line in lines if needle in line]
    rows = list[tuple[Place, Row]]()
    for line in lines:
        try:
            row = _decoder.decode(line)
            if is_wanted(row, wanted):
                rows.append((place(row), row))
        except _NO_ROW:
            continue
    return rows


def in_order(rows: list[tuple[Place, Row]], *, descending: bool) -> None:
    """Sort rows by their places."""
    rows.sort(key=itemgetter(0), reverse=descending)


def fresh(rows: Sequence[Row], marks: dict[str, tuple[int, int]]) -> list[Line]:
    """Return the lines of rows that stand behind the last one of their shard (ms, seq): the others are kept already."""
    last = dict(marks)
    lines = []
    for row in rows:
        where = place(row)
        if where[:2] > last.get(where.shard, (-1, -1)):
            last[where.shard] = where[:2]
            lines.append(Line(where, encoded(row)))
    return lines


def portions(lines: list[Line], size: int, high: int, most: int) -> Iterator[tuple[bool, list[Line]]]:
    """Yield the lines that go into one file, and whether a new one begins with them.

    The current file has `size` bytes, and its latest row is of `high` (unix ms). One ends when it would grow over
    `most` bytes, or when a day is over (UTC).
    """
    begins, portion = False, list[Line]()
    for line in lines:
        length = len(line.text)
        if size and (size + length > most or day(line.where.ms) > day(high)):
            if portion:
                yield begins, portion
            begins, portion, size, high = True, [], 0, 0
        portion.append(line)
        size += length
        high = max(high, line.where.ms)
    if portion:
        yield begins, portion
