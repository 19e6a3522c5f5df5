"""Which part of a file a request wants, or that it has it already (RFC 9110 sections 13 and 14)."""

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.IGNORECASE)


class Wanted(NamedTuple):
    """The status of the answer, and the bytes of its body: 200, 206, 304 or 416."""

    status: int
    start: int
    length: int


def wanted(headers: Mapping[str, str], *, size: int, etag: str, modified: float, head: bool = False) -> Wanted:
    """Return what to answer; header names are lower case, `etag` is quoted, `modified` in seconds since 1970.

    Several ranges at once are answered with the whole file, as is allowed; nobody we know asks so.
    """
    if _has_it(headers, etag, modified):
        return Wanted(304, 0, 0)
    whole = Wanted(200, 0, size)
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if head or found is None or not _is_same(headers.get("if-range"), etag, modified):
        return whole
    first, last, final = found.groups()
    if final is not None:
        start, end = max(size - int(final), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return whole
    return Wanted(206, start, end - start) if start < end else Wanted(416, 0, 0)


def http_date(modified: float) -> str:
    """Return a time as HTTP writes it, to the second."""
    return formatdate(int(modified), usegmt=True)


def _has_it(headers: Mapping[str, str], etag: str, modified: float) -> bool:
    known = headers.get("if-none-match")
    if known is not None:
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return etag in tags or "*" in tags
    since = _seconds(headers.get("if-modified-since", ""))
    return since is not None and int(modified) <= since


def _is_same(known: str | None, etag: str, modified: float) -> bool:
    """Return whether a part of this file fits what the client has of it; without a condition it does."""
    return known is None or known.strip() in (etag, http_date(modified))


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
