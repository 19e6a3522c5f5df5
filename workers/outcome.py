"""Graph's answer to a send -> what is recorded: sent, failed, unknown, or again after a while; pure.

Source: Meta's error reference, by code. A code that Meta gives as "again later" is never an accepted message; where no
answer of Graph's came back, the message may have been sent.
"""

from typing import Any

from whatshooked.meta import codes
from whatshooked.meta.codes import Retry
from whatshooked.meta.failure import GraphFailure
from whatshooked.stream.outbox import MOST_LEASES, Again, Failed, Outcome, Sent, Unknown

#: Codes that say the token is no good: the account pauses until its credentials are accepted again.
TOKEN_CODES = frozenset({0, 104, 190})
#: Milliseconds an account pauses for that; the credentials check ends it sooner.
TOKEN_HOLD_MS = 3_600_000
#: Milliseconds after which a message that never got through is given up.
GIVE_UP_MS = 86_400_000
#: Tries of a failure that Meta says may pass after a few.
FEW = 3
PAIR_LIMIT = 131056
_FIRST_MS, _LONGEST_MS = 1_000, 600_000
_PAIR_LONGEST_MS = 4**5 * 1_000


def judge(found: dict[str, Any] | GraphFailure, attempts: int, age_ms: int, *, resend: bool) -> Outcome:
    """Return what a send came to; `attempts` counts this one, `age_ms` since the message was taken."""
    resend = resend and attempts < MOST_LEASES  # or a Graph that never answers would send it for ever
    if isinstance(found, dict):
        return _accepted(found, attempts, resend=resend)
    text = found.line
    if found.uncertain or (found.reached and not found.code and (found.status >= 500 or found.status == 200)):
        return Unknown(text, resend, _backoff(attempts))
    if found.reached and found.code in TOKEN_CODES and found.status in (400, 401):
        return Again(_FIRST_MS, text, found.code, hold_ms=TOKEN_HOLD_MS, tried=False, bad_token=True)
    pause = max(round(found.wait * 1000), round(codes.pause(found.code) * 1000))
    if age_ms + pause > GIVE_UP_MS:
        return Failed(found.code, f"given up after a day: {text}")
    if found.code == PAIR_LIMIT:
        return Again(max(pause, min(4**attempts * 1_000, _PAIR_LONGEST_MS)), text, found.code)
    if found.retry is Retry.LATER:
        delay = max(pause, _backoff(attempts))
        return Again(delay, text, found.code, hold_ms=delay if codes.throttles_all(found.code) else 0)
    if found.retry is Retry.NEVER or attempts >= FEW:
        return Failed(found.code, text)
    return Again(max(pause, _backoff(attempts)), text, found.code)


def _accepted(found: dict[str, Any], attempts: int, *, resend: bool) -> Outcome:
    messages = found.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[0], dict):
        return Sent(str(messages[0].get("id") or ""))
    if found.get("success") is True:  # a read mark
        return Sent("")
    return Unknown("Graph's answer names no message", resend, _backoff(attempts))


def _backoff(attempts: int) -> int:
    return min(_FIRST_MS << min(attempts - 1, 20), _LONGEST_MS)
