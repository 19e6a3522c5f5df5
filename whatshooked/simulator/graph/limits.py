"""Meta's limits, as token buckets on the simulated clock, and the usage headers that warn before them.

Source: Meta's pages on pair rate, throughput and business use case limits.
"""

import json
import math
from collections import deque

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.world.clock import Clock
from whatshooked.simulator.world.model import Number, State, Waba

#: Messages to one user: a burst, then one in six seconds.
PAIR_BURST, PAIR_SECONDS = 45, 6.0
#: Messages in and out a second, by the number's level.
THROUGHPUT = {"STANDARD": 80, "HIGH": 1000, "COEXISTENCE": 20}
#: Management calls an hour per app and WABA: until a number of it is registered, and from then on.
CALLS_PER_HOUR, CALLS_PER_HOUR_REGISTERED = 200, 5000
#: Registrations of a number, and the seconds in which they count.
REGISTRATIONS, REGISTRATION_SECONDS = 10, 72 * 3600.0
_HOUR = 3600.0


class Bucket:
    """Holds `most` tokens, `rate` of them come back a second."""

    def __init__(self, most: float, rate: float, now: float) -> None:
        self.most, self.rate = most, rate
        self._left, self._at = most, now

    def take(self, now: float) -> bool:
        """Take a token; False when none is left."""
        self._left = min(self.most, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Limits:
    """All buckets of a world; they are not part of its state and start full."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        self._calls: dict[tuple[str, ...], deque[float]] = {}

    def pair(self, number: Number, user_id: str, throttle_status: int) -> None:
        """Count a message to a user; raises Refusal 131056 above the pair rate."""
        if not self._take(("pair", number.id, user_id), PAIR_BURST, 1 / PAIR_SECONDS):
            details = "Too many messages were sent from this number to the same number in a short time."
            raise _throttled(
                131056, "(Business Account, Consumer Account) pair rate limit hit", details, throttle_status
            )

    def throughput(self, number: Number, throttle_status: int) -> None:
        """Count a message of a number; raises Refusal 130429 above its throughput."""
        if not self.passes(number):
            details = "Too many messages were sent from this number in a short time."
            raise _throttled(130429, "Rate limit hit", details, throttle_status)

    def passes(self, number: Number) -> bool:
        """Count a message of a number, in or out; False above its throughput."""
        most = THROUGHPUT[number.throughput]
        return self._take(("throughput", number.id), most, most)

    def count(self, names: tuple[str, str], most: int, throttle_status: int) -> dict[str, str]:
        """Count a management call of an app on a WABA ("" = on none); return the usage headers.

        Raises Refusal 80008, with the headers, when `most` calls of the last hour were counted before.
        """
        now = self._clock.now()
        if len(self._recent(names)) >= most:
            text = "There have been too many calls to this WhatsApp Business account"
            refusal = _throttled(80008, text, "", throttle_status)
            refusal.headers |= self.usage(names, most)
            raise refusal
        for key in {names, names[:1]}:
            self._recent(key).append(now)
        return self.usage(names, most)

    def usage(self, names: tuple[str, str], most: int) -> dict[str, str]:
        """Return the usage headers, the calls in percent of `most`."""
        found = {"X-App-Usage": _json(_percentages(len(self._recent(names[:1])), most))}
        if not names[1]:
            return found
        calls = self._recent(names)
        wait = math.ceil((calls[0] + _HOUR - self._clock.now()) / 60) if len(calls) >= most else 0
        entry = {"type": "whatsapp"} | _percentages(len(calls), most) | {"estimated_time_to_regain_access": wait}
        return found | {"X-Business-Use-Case-Usage": _json({names[1]: [entry]})}

    def _recent(self, names: tuple[str, ...]) -> deque[float]:
        """Return when the calls of the last hour came."""
        calls = self._calls.setdefault(names, deque())
        while calls and calls[0] <= self._clock.now() - _HOUR:
            calls.popleft()
        return calls

    def _take(self, name: tuple[str, ...], most: float, rate: float) -> bool:
        now = self._clock.now()
        bucket = self._buckets.get(name)
        if bucket is None or bucket.most != most:
            bucket = self._buckets[name] = Bucket(most, rate, now)
        return bucket.take(now)


def calls_an_hour(state: State, waba: Waba | None) -> int:
    """Return how many management calls an hour Meta allows on a WABA."""
    registered = any(number.registered for number in state.numbers.values() if waba and number.waba_id == waba.id)
    return CALLS_PER_HOUR_REGISTERED if registered or waba is None else CALLS_PER_HOUR


def _percentages(calls: int, most: int) -> dict[str, int | str]:
    share = round(calls * 100 / most)
    return {"call_count": share, "total_cputime": share, "total_time": share}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _throttled(code: int, text: str, details: str, status: int) -> refusals.Refusal:
    found = refusals.message(code, text, details, status=status)
    if status == 429:
        found.headers["Retry-After"] = "6"
    return found
