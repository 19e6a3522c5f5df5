"""How many attempts each hook may have in this process at once: one hook's trouble never takes another's place.

A hook's `concurrency` bounds its POSTs. Leases are taken a little ahead of that, so that a burst waits here for some
milliseconds instead of going the long way over the due list; the lease's deadline bounds that wait.
"""

import asyncio
from collections import Counter

from whatshooked import metrics
from whatshooked.config import Hook
from workers.pace import Pace

#: Leases per POST that a hook may have at once, while it accepts events.
AHEAD = 16


class Slots:
    """Counts attempts in flight by hook, and knows which hooks have due events waiting in Redis."""

    def __init__(self) -> None:
        self._busy: Counter[str] = Counter()
        self._posting: dict[tuple[str, int], asyncio.Semaphore] = {}
        #: Hooks with due events left behind: new events queue up behind them instead of overtaking.
        self.backlog: set[str] = set()
        #: Hooks whose last attempt failed: no lease is taken ahead for them, it would only run out.
        self.failing: set[str] = set()
        #: Lets fetches of files give way to attempts.
        self.pace = Pace()
        #: Set when a hook with a backlog has room for a good part of its cap.
        self.wake = asyncio.Event()

    @property
    def busy(self) -> int:
        """All attempts in flight."""
        return self._busy.total()

    def room(self, hook: Hook) -> int:
        """Return how many more attempts the hook may have now."""
        ahead = 1 if hook.id in self.failing else AHEAD
        return max(hook.concurrency * ahead - self._busy[hook.id], 0)

    def take(self, hook: Hook) -> bool:
        """Take a slot for a new event, unless the hook is at its cap or older events wait for it."""
        if hook.id in self.backlog or self.room(hook) <= 0:
            return False
        self._busy[hook.id] += 1
        return True

    def show(self) -> None:
        """Show how many attempts each hook has now; the leases taken ahead of them only wait."""
        most: Counter[str] = Counter()
        for hook_id, concurrency in self._posting:
            most[hook_id] = max(most[hook_id], concurrency)
        for hook_id, count in self._busy.items():
            metrics.IN_FLIGHT.labels(hook_id).set(min(count, most[hook_id]))

    def posting(self, hook: Hook) -> asyncio.Semaphore:
        """Return what bounds the hook's POSTs."""
        return self._posting.setdefault((hook.id, hook.concurrency), asyncio.Semaphore(hook.concurrency))

    def hold(self, hook_id: str) -> None:
        """Take a slot for a lease that was claimed within `room`."""
        self._busy[hook_id] += 1

    def free(self, hook: Hook) -> None:
        """Give a slot back."""
        self._busy[hook.id] -= 1
        # Not at every single slot: a claim for one event costs as much as one for sixteen.
        if hook.id in self.backlog and self.room(hook) >= hook.concurrency:
            self.wake.set()

    def queue(self, hook_id: str) -> None:
        """Remember that a hook has due events waiting."""
        self.backlog.add(hook_id)
        self.wake.set()
