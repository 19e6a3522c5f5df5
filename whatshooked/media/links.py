"""Links to files: they expire, and their signature takes the place of credentials."""

import hashlib
import hmac
from urllib.parse import quote, urlencode


def link(base_url: str, account_id: str, filename: str, *, key: bytes, expires: int | None) -> str:
    """Return the link to a file, good until `expires` (seconds since 1970); None: only with credentials."""
    address = f"{base_url.rstrip('/')}/api/media/{quote(account_id, safe='')}/{quote(filename, safe='')}"
    if expires is None:
        return address
    query = {"expires": expires, "signature": sign(key, account_id, filename, expires)}
    return f"{address}?{urlencode(query)}"


def holds(key: bytes, account_id: str, filename: str, expires: str, signature: str, now: float) -> bool:
    """Return whether a link's signature is ours and its time not over; takes as long either way."""
    # Only as we write it: else one link could be written in many ways.
    fits = expires.isascii() and expires.isdigit() and len(expires) <= 12 and str(int(expires)) == expires
    until = int(expires) if fits else 0
    same = hmac.compare_digest(sign(key, account_id, filename, until).encode(), signature.encode("utf-8", "replace"))
    return same and fits and now < until


def sign(key: bytes, account_id: str, filename: str, expires: int) -> str:
    """Return the signature of a file and a time."""
    # With the length in front no part can pass for the end of another.
    text = f"{len(account_id)}:{account_id}/{filename}:{expires}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, text, hashlib.sha256).hex()
