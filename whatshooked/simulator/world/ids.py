"""Ids that look like Meta's own: of messages (wamid) and of users (BSUID). Nobody should read anything from them.

Source: real ids, decoded.
"""

import base64
import random as chance

#: Calling code -> country of the BSUIDs that we make up; elsewhere `_ELSEWHERE`.
_COUNTRIES = {
    "1": "US",
    "7": "KZ",
    "27": "ZA",
    "31": "NL",
    "33": "FR",
    "34": "ES",
    "39": "IT",
    "44": "GB",
    "49": "DE",
    "52": "MX",
    "54": "AR",
    "55": "BR",
    "62": "ID",
    "91": "IN",
    "234": "NG",
    "351": "PT",
}
_ELSEWHERE = "US"
_OUT, _IN = 0x11, 0x12


def wamid(phone: str, random: chance.Random, *, outgoing: bool) -> str:
    """Return a message id that holds the user's phone (or BSUID) and ten random bytes, as Meta's do."""
    whom, unique = phone.encode()[:255], random.randbytes(10).hex().upper().encode()
    direction = _OUT if outgoing else _IN
    parts = (b"\x1c\x18", _sized(whom), b"\x15\x02\x00", bytes([direction]), b"\x18", _sized(unique), b"\x00")
    return "wamid." + base64.b64encode(b"".join(parts)).decode()


def bsuid(phone: str, random: chance.Random) -> str:
    """Return a new business-scoped user id, of the country to which the phone's digits point."""
    country = next((_COUNTRIES[phone[:size]] for size in (3, 2, 1) if phone[:size] in _COUNTRIES), _ELSEWHERE)
    return f"{country}.{random.randrange(10**19, 10**20)}"


def _sized(text: bytes) -> bytes:
    return bytes([len(text)]) + text
