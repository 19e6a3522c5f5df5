"""When an attempt that failed is made again; pure.

The schedule is the contract's: 13 delays, so 14 attempts over a little more than three days.
"""

import random

#: Seconds before the second, third ... attempt.
SCHEDULE = (3, 10, 30, 120, 600, 1_800, 3_600, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: `hook.*` events tell of deliveries and are worth little later: three tries more, and nothing is kept of them.
SHORT_SCHEDULE = SCHEDULE[:3]
#: Share by which a delay is varied, so that a receiver that comes back is not met by everything at once.
JITTER = 0.2


def delay_ms(attempt: int, event_type: str, *, spread: float | None = None) -> int | None:
    """Return the milliseconds to wait after attempt number `attempt` (from 1), or None when it was the last.

    `spread` between -1 and 1 replaces chance, for tests.
    """
    schedule = SHORT_SCHEDULE if event_type.startswith("hook.") else SCHEDULE
    if attempt > len(schedule):
        return None
    chance = random.uniform(-1, 1) if spread is None else spread
    return round(schedule[attempt - 1] * 1000 * (1 + JITTER * chance))


def is_kept_when_dead(event_type: str) -> bool:
    """Return whether an event whose last attempt failed stays in the cache."""
    return not event_type.startswith("hook.")
