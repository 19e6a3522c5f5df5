"""The claiming loop: what is due at a hook (a retry, a replay, a queue behind a full hook, a dead worker's lease)."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from whatshooked import events, logs, metrics
from whatshooked.config import Hook
from whatshooked.errors import NewerEntry, StreamUnavailable
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import MEDIA_HOOK, Keys
from whatshooked.stream.activity import Activity
from whatshooked.stream.leases import Claimed, Lease, Wish, claim
from whatshooked.stream.link import Link
from workers.attempt import Attempt, Attempts, lease_ms
from workers.bodies import common
from workers.media import Fetcher
from workers.rounds import came_round
from workers.slots import Slots

log = logs.get("hooks")

#: Seconds between two looks when nothing wakes the loop: a retry is late by this at most.
TICK = 0.1
_PAUSE = 0.5


class Claimer:
    """Claims due events while there are slots for them, until told to stop."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        attempts: Attempts,
        fetcher: Fetcher,
        slots: Slots,
        hooks: Callable[[], Hooks],
        activity: Activity,
    ) -> None:
        self._activity = activity
        self._link = link
        self._keys = keys
        self._attempts = attempts
        self._fetcher = fetcher
        self._slots = slots
        self._hooks = hooks
        self._suspects = 0
        self.stopping = False

    async def run(self) -> None:
        """Look, claim, start attempts; every trouble with Redis is waited out."""
        while not self.stopping:
            came_round()
            self._slots.wake.clear()
            try:
                again = await self._step()
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("claim").inc()
                log.warn("Claiming due events failed, trying again", error=str(error))
                await asyncio.sleep(_PAUSE)
                continue
            if not again:
                await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(TICK):
                await self._slots.wake.wait()
        except TimeoutError:
            return

    async def _step(self) -> bool:
        """Return whether to look again at once: something may be left that there is room for."""
        hooks = {hook.id: hook for hook in self._hooks().active if self._slots.room(hook) > 0}
        wishes = [Wish(hook.id, self._slots.room(hook), lease_ms(hook)) for hook in hooks.values()]
        wishes += self._fetcher.wishes()
        if not wishes:
            return False
        started = time.monotonic()
        suspects = 0 if self._suspects else 1
        hold_ms, activity = self._fetcher.hold_ms, self._activity
        claimed = await claim(self._link, self._keys, wishes, suspects=suspects, hold_ms=hold_ms, activity=activity)
        for hook_id, found in claimed.items():
            _count(hook_id, found)
        self._fetcher.begin(claimed.pop(MEDIA_HOOK, None), started)
        for hook_id, hook in hooks.items():
            self._start(hook, claimed.get(hook_id), started)
        return any(found.more and found.leases and self._slots.room(hooks[h]) > 0 for h, found in claimed.items())

    def _start(self, hook: Hook, claimed: Claimed | None, started: float) -> None:
        if claimed is None or not claimed.more:
            self._slots.backlog.discard(hook.id)
        if claimed is None:
            return
        if claimed.more:
            self._slots.backlog.add(hook.id)
        for event_id in claimed.poisoned:
            metrics.POISONED.inc()
            log.error(
                "Event set aside: its attempts kept ending without an outcome", hook_id=hook.id, event_id=event_id
            )
        for event_id in claimed.vanished:
            log.warn("A due event is no longer in the stream", hook_id=hook.id, event_id=event_id)
        for lease in claimed.leases:
            self._begin(hook, lease, started)

    def _begin(self, hook: Hook, lease: Lease, started: float) -> None:
        try:
            event = events.decode(lease.blob)
        except (msgspec.MsgspecError, UnicodeDecodeError, NewerEntry) as error:
            # It was readable when it was routed, and CLAIM leaves a newer version's: after a few leases it is poison.
            log.error("Due entry cannot be read", event_id=lease.event_id, error=str(error))
            return
        self._slots.hold(hook.id)
        deadline = started + lease_ms(hook) / 1000
        payload = common(event, lease.event_id)
        attempt = Attempt(lease.event_id, event, hook, lease.token, lease.attempt, lease.replay, deadline, payload)
        if lease.suspect:
            self._suspects += 1
            self._attempts.start(attempt, then=self._suspect_is_over)
        else:
            self._attempts.start(attempt)

    def _suspect_is_over(self) -> None:
        self._suspects -= 1
        self._slots.wake.set()


def _count(hook_id: str, claimed: Claimed) -> None:
    """Count a claim's leases that another process had and lost, and the events that somebody took out of the stream."""
    if expired := sum(lease.expired for lease in claimed.leases) + len(claimed.poisoned):
        metrics.LEASES_EXPIRED.labels(hook_id).inc(expired)
    if claimed.vanished:
        metrics.VANISHED.inc(len(claimed.vanished))
