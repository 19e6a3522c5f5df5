"""Graph's answer to a send -> what is recorded: sent, failed, unknown, or again after a while; pure but for the clock.

Source: Meta's error reference, by code. A code that Meta gives as "again later" is never an accepted message; where no
answer of Graph's came back, the message may have been sent.
"""

import time
from typing import Any

from whatshooked.meta import codes
from whatshooked.meta.codes import Retry
from whatshooked.meta.failure import GraphFailure
from whatshooked.stream.outbox import MOST_LEASES, TOKEN_HOLD_MS, Again, Failed, Outcome, Record, Sent, Unknown

#: Codes that say the token is no good: the account pauses until its credentials are accepted again.
TOKEN_CODES = frozenset({0, 104, 190})
#: Milliseconds after which a message that never got through is given up.
GIVE_UP_MS = 86_400_000
#: Seconds that a pause is believed which no code sets, but a header: somebody between us and Meta may be wrong.
_LONGEST_WAIT = 3_600.0
#: Tries of a failure that Meta says may pass after a few.
FEW = 3
PAIR_LIMIT, THROUGHPUT = 131056, 130429
_FIRST_MS, _LONGEST_MS = 1_000, 600_000
_PAIR_LONGEST_MS = 4**5 * 1_000


def judge(found: dict[str, Any] | GraphFailure, attempts: int, age_ms: int, *, resend: bool) -> Outcome:
    """Return what a send came to; `attempts` counts this one, `age_ms` since the message was taken."""
    resend = resend and attempts < MOST_LEASES  # or a Graph that never answers would send it for ever
    if isinstance(found, dict):
        return _accepted(found, attempts, resend=resend)
    text = found.line
    if found.uncertain or (found.reached and not found.code and _may_be_done(found.status)):
        return Unknown(text, resend, _backoff(attempts))
    if _is_bad_token(found):
        return Again(_FIRST_MS, text, found.code, hold_ms=TOKEN_HOLD_MS, tried=False, bad_token=True)
    return _refused(found, attempts, age_ms)


def of_upload(found: GraphFailure, attempts: int, age_ms: int) -> Outcome:
    """Return what becomes of a message whose file Meta did not take: nothing of it was sent, so it may be again.

    `attempts` counts this one, `age_ms` since the message was taken.
    """
    text = f"its file was not taken: {found.line}"
    if _is_bad_token(found):
        return Again(_FIRST_MS, text, found.code, hold_ms=TOKEN_HOLD_MS, tried=False, bad_token=True)
    if found.retry is Retry.NEVER or (found.retry is not Retry.LATER and attempts >= FEW):
        return Failed(found.code, text)
    pause = _pause(found)
    if not found.reached and pause:  # not called at all: the limit of such calls is not that of messages
        return of_wait(text, pause, age_ms)
    delay = max(pause, _backoff(attempts))
    if age_ms + delay > GIVE_UP_MS:
        return Failed(found.code, f"no other try within its day: {text}")
    return Again(delay, text, found.code, hold_ms=delay if codes.throttles_all(found.code) else 0)


def of_wait(text: str, delay_ms: int, age_ms: int) -> Outcome:
    """Return what becomes of a message for which nothing could be tried, and which may be after the delay."""
    if age_ms + delay_ms > GIVE_UP_MS:
        return Failed(0, f"no other try within its day: {text}")
    return Again(delay_ms, text, tried=False)


def age_ms(message: Record) -> int:
    """Return how long ago a message was taken, or put into its line again by an operator."""
    return round(time.time() * 1000) - (message.since or message.at)


def _refused(found: GraphFailure, attempts: int, age_ms: int) -> Outcome:
    """Return what becomes of a message that Meta surely does not have."""
    text = found.line
    pause = _pause(found)
    if age_ms + pause > GIVE_UP_MS:
        return Failed(found.code, f"no other try within its day: {text}")
    if not found.reached and pause:  # the limit's use, as we know it, kept the call from being made
        return Again(pause, text, hold_ms=pause, tried=False)
    if found.code == PAIR_LIMIT:
        return Again(max(pause, min(4**attempts * 1_000, _PAIR_LONGEST_MS)), text, found.code)
    if found.retry is Retry.LATER:
        delay = max(pause, _backoff(attempts))
        return Again(delay, text, found.code, hold_ms=delay if codes.throttles_all(found.code) else 0)
    if found.retry is Retry.NEVER or attempts >= FEW:
        return Failed(found.code, text)
    return Again(max(pause, _backoff(attempts)), text, found.code)


def _may_be_done(status: int) -> bool:
    """Return whether Meta may have taken what it, or something before it, answered so without a code."""
    return status >= 500 or 200 <= status < 300


def _is_bad_token(found: GraphFailure) -> bool:
    """Return whether the token was refused; an answer without a code, which reads as 0, is one at 401 alone."""
    at_400 = found.status == 400 and found.code > 0
    return found.reached and found.code in TOKEN_CODES and (found.status == 401 or at_400)


def _accepted(found: dict[str, Any], attempts: int, *, resend: bool) -> Outcome:
    messages = found.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[0], dict):
        return Sent(str(messages[0].get("id") or ""))
    if found.get("success") is True:  # a read mark
        return Sent("")
    return Unknown("Graph's answer names no message", resend, _backoff(attempts))


def _pause(found: GraphFailure) -> int:
    """Return the ms that Meta, or a code, asks to wait at least."""
    return round(max(min(found.wait, _LONGEST_WAIT), codes.pause(found.code)) * 1000)


def _backoff(attempts: int) -> int:
    return min(_FIRST_MS << min(attempts - 1, 20), _LONGEST_MS)
