"""X-Hub-Signature-256: proof that a body comes from Meta, over the raw bytes as they came."""

import enum
import hashlib
import hmac
from collections.abc import Sequence

_PREFIX = "sha256="


class Verdict(enum.Enum):
    """What a signature header proves."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"


class Signer:
    """Checks signatures made with any of an app's secrets (two while one is being replaced).

    Each secret is keyed into an HMAC once and copied per body, which halves the cost of a check.
    Raises ValueError on an empty secret: anybody could sign with it.
    """

    __slots__ = ("_keyed",)

    def __init__(self, secrets: Sequence[str]) -> None:
        if not all(secrets):
            raise ValueError("an app secret is empty; leave it out or give the one of the app's dashboard")
        self._keyed = tuple(hmac.new(secret.encode(), digestmod=hashlib.sha256) for secret in secrets)

    def check(self, body: bytes, header: str | None) -> Verdict:
        """Return what the `X-Hub-Signature-256` header proves about the body, in constant time.

        Only `sha256=` counts; hex digits in either case. Without secrets nothing is OK.
        """
        if not header:
            return Verdict.MISSING
        if not header.startswith(_PREFIX):
            return Verdict.WRONG
        given = header[len(_PREFIX) :].strip().lower().encode()
        matches = [hmac.compare_digest(_digest(keyed, body), given) for keyed in self._keyed]
        return Verdict.OK if any(matches) else Verdict.WRONG


def _digest(keyed: hmac.HMAC, body: bytes) -> bytes:
    signer = keyed.copy()
    signer.update(body)
    return signer.hexdigest().encode()


def sign(body: bytes, secret: str) -> str:
    """Return the `X-Hub-Signature-256` header that Meta would send with this body."""
    return _PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
