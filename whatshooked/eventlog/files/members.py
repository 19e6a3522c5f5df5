"""A compressed file that can be read from any place in it.

It is an ordinary gzip file of many members, about a megabyte of lines each. The extra field of each member's header
(RFC 1952) says how long the member is and what rows it holds, so that a reader hops from header to header.
"""

import os
import struct
import zlib
from typing import NamedTuple

from whatshooked.eventlog.files.lines import Span

#: Bytes of lines in a member, and read at a time from any file.
BLOCK = 1_048_576

_MAGIC = b"\x1f\x8b"
#: Deflate with an extra field; no name, no time, unknown system; one subfield: bytes of the member, low, high, rows.
_HEAD = struct.Struct("<4sIBBH2sHIQQI")
_HEAD_OPENS = (b"\x1f\x8b\x08\x04", 0, 0, 255, 28, b"WH", 24)
_TAIL = struct.Struct("<II")
_RAW = -zlib.MAX_WBITS
_GZIP = zlib.MAX_WBITS | 16


class Member(NamedTuple):
    """Where a member lies in its file, and what it holds."""

    start: int
    size: int
    span: Span


def is_packed(descriptor: int) -> bool:
    """Return whether a file is compressed with gzip."""
    return os.pread(descriptor, 2, 0) == _MAGIC


def packed(block: bytes, span: Span) -> bytes:
    """Return a block as a member."""
    work = zlib.compressobj(6, zlib.DEFLATED, _RAW)
    body = work.compress(block) + work.flush()
    size = _HEAD.size + len(body) + _TAIL.size
    return _HEAD.pack(*_HEAD_OPENS, size, *span) + body + _TAIL.pack(zlib.crc32(block), len(block) & 0xFFFFFFFF)


def members(descriptor: int) -> list[Member] | None:
    """Return the members of a compressed file, None when another program made it or it is damaged; raises OSError."""
    found, start, end = list[Member](), 0, os.fstat(descriptor).st_size
    while start < end:
        head = os.pread(descriptor, _HEAD.size, start)
        if len(head) < _HEAD.size:
            return None
        *opens, size, low, high, rows = _HEAD.unpack(head)
        if tuple(opens) != _HEAD_OPENS or size <= _HEAD.size or start + size > end:
            return None
        found.append(Member(start, size, Span(low, high, rows)))
        start += size
    return found


def unpacked(member: bytes) -> bytes:
    """Return the block of a member; a damaged one is empty."""
    try:
        return zlib.decompress(member, _GZIP)
    except zlib.error:
        return b""
