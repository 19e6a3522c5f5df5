"""When a file is tried again, and for how long; pure.

How long a message has waited is reckoned from the number of tries: a clock would also count the time in which no
worker was there. The hold in Redis bounds the wait in any case.
"""

from whatshooked.hooks.retry import JITTER

#: Seconds between two tries; the last one repeats.
SCHEDULE = (1, 2, 5, 10, 20)
#: Seconds by which a try ends before the hold does, so that the message goes out with the reason.
_AHEAD = 1.0
#: Seconds that a try has at least.
_LEAST = 5.0


def delay(attempt: int, seconds: float, wait: float, max_wait: float, *, spread: float) -> float | None:
    """Return the seconds to wait after try number `attempt` (from 1), which took `seconds`; None when it was the last.

    `wait` is what the other side asked for, `max_wait` what a message waits for its file; `spread` is -1 to 1.
    """
    pause = max(SCHEDULE[min(attempt, len(SCHEDULE)) - 1] * (1 + JITTER * spread), wait)
    # What begins when the hold ends is of no use to the message.
    return pause if _passed(attempt) + seconds + pause < max_wait - 2 * _ahead(max_wait) else None


def seconds(attempt: int, max_wait: float) -> float:
    """Return the seconds that a try may take."""
    left = max_wait - _passed(attempt)
    return max(left - _ahead(left), min(_LEAST, max_wait / 2))


def _ahead(wait: float) -> float:
    return min(_AHEAD, wait / 10)


def _passed(attempt: int) -> float:
    """Return the seconds that passed between the tries before this one, at least."""
    repeated = max(attempt - 1 - len(SCHEDULE), 0)
    return sum(SCHEDULE[: attempt - 1]) + repeated * SCHEDULE[-1]
