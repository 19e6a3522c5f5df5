"""What is known of an event's file, as Redis holds it beside the event; pure."""

from collections.abc import Sequence

import msgspec


class Record(msgspec.Struct, frozen=True):
    """A file that is stored (`filename`), or why there is none (`error`)."""

    filename: str = ""
    mime_type: str = ""
    #: Hex.
    sha256: str = ""
    size: int = 0
    account_id: str = ""
    error: str = ""


def fields(record: Record) -> list[str]:
    """Return a record as the fields and values of a hash."""
    told = {name: str(value) for name, value in msgspec.structs.asdict(record).items() if value}
    return [part for pair in told.items() for part in pair]


def record(rows: Sequence[bytes]) -> Record:
    """Return the record of a hash's fields and values; what a newer version added is left out."""
    told = {rows[i].decode(): rows[i + 1].decode("utf-8", "replace") for i in range(0, len(rows), 2)}
    size = told.pop("size", "0")
    known = {name: told[name] for name in Record.__struct_fields__ if name in told}
    return Record(**known, size=int(size) if size.isdecimal() else 0)
