"""The reading loop: entries are routed as soon as they are read, never held for want of a slot."""

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from whatshooked import events, logs, metrics
from whatshooked.config import Hook
from whatshooked.errors import NewerEntry, StreamUnavailable
from whatshooked.events import Event
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import MEDIA_HOOK
from whatshooked.meta import attachment
from whatshooked.stream.consume import Consumer, Entry, Park, Route, Want
from whatshooked.stream.outbox import Outbox
from workers import statuses
from workers.attempt import Attempt, Attempts, lease_ms
from workers.bodies import common
from workers.media import LEASE_MS, Fetcher, Job
from workers.rounds import came_round
from workers.slots import Slots

log = logs.get("hooks")

_PAUSE_SECONDS = (0.1, 2.0)


class Reader:
    """Reads and routes until told to stop."""

    def __init__(
        self,
        consumer: Consumer,
        attempts: Attempts,
        fetcher: Fetcher,
        slots: Slots,
        outbox: Outbox,
        hooks: Callable[[], Hooks],
        saw: Callable[[Event], None],
    ) -> None:
        self._consumer = consumer
        self._outbox = outbox
        #: Told of each event that this process routed.
        self._saw = saw
        self._attempts = attempts
        self._fetcher = fetcher
        self._slots = slots
        self._hooks = hooks
        self._routing = asyncio.Lock()
        self.stopping = False
        self.keeps_unmatched = True
        #: Entries may lie in our name that we never saw: an answer was lost on its way.
        self.look_back = True

    async def run(self) -> None:
        """Read and route; every trouble with Redis is waited out."""
        pause = _PAUSE_SECONDS[0]
        while not self.stopping:
            came_round()
            try:
                await self._step()
                pause = _PAUSE_SECONDS[0]
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("consumer").inc()
                log.warn("Reading from the stream failed, trying again", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_SECONDS[1])
                self.look_back = True
                await self._repair()

    async def _step(self) -> None:
        looking_back = self.look_back
        entries = await (self._consumer.read_own() if looking_back else self._consumer.read())
        if entries:
            await self.route(entries)
        elif looking_back:
            self.look_back = False

    async def _repair(self) -> None:
        try:
            await self._consumer.ensure_group()
        except StreamUnavailable:
            metrics.REDIS_ERRORS.labels("consumer").inc()

    async def route(self, entries: Sequence[Entry]) -> None:
        """Route entries that this process owns and start their first attempts; raises StreamUnavailable."""
        async with self._routing:
            if not (found := await self._readable(entries)):
                return
            hooks = self._hooks()
            plans = [self._plan(entry, event, hooks) for entry, event in found]
            # Before the entries are routed: a crash in between says it twice, which does no harm.
            if told := [one for event, _, _ in plans if event and (one := statuses.told(event)) is not None]:
                await self._outbox.statuses(told)
            leases = {hook.id: lease_ms(hook) for _, matching, _ in plans for hook in matching} | {MEDIA_HOOK: LEASE_MS}
            started = time.monotonic()
            try:
                routes = [route for _, _, route in plans]
                routed = await self._consumer.route(routes, leases, hold_ms=self._fetcher.hold_ms)
            except StreamUnavailable:
                for _, matching, route in plans:
                    self._give_back(matching, route)
                raise
            for event, matching, route in plans:
                if route.id in routed.ids and event is not None:
                    self._saw(event)
                    self._begin(event, matching, route, routed.now, started)
                else:
                    self._give_back(matching, route)

    async def _readable(self, entries: Sequence[Entry]) -> list[tuple[Entry, Event | None]]:
        """Hand on what only a newer version can read, and return the rest with their events, None of what has none."""
        found: list[tuple[Entry, Event | None]] = []
        beyond: dict[str, int] = {}
        for entry in entries:
            try:
                found.append((entry, events.decode(entry.blob) if entry.blob else None))
            except NewerEntry as error:
                beyond[entry.id] = error.version
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                _set_aside(entry, error)
                found.append((entry, None))
        if beyond:
            await self._hand_on(beyond)
        return found

    async def _hand_on(self, beyond: dict[str, int]) -> None:
        await self._consumer.hand_on(beyond)
        log.seldom(
            "warn",
            "Entries of a newer version wait for its workers: start one, or finish the upgrade",
            entries=len(beyond),
            version=max(beyond.values()),
        )

    def _give_back(self, matching: Sequence[Hook], route: Route) -> None:
        """Free the slots of leases that did not come about."""
        for hook in matching:
            if _leased(route, hook.id):
                self._slots.free(hook)
        if _leased(route, MEDIA_HOOK):
            self._fetcher.free()

    def _plan(self, entry: Entry, event: Event | None, hooks: Hooks) -> tuple[Event | None, tuple[Hook, ...], Route]:
        if event is None:  # without a blob it was deleted since it was read
            return None, (), Route(entry.id, Park.POISON if entry.blob else Park.NO, ())
        try:
            matching = hooks.match(event)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # a `hook.*` event that tells of no hook
            _set_aside(entry, error)
            return None, (), Route(entry.id, Park.POISON, ())
        keep = self.keeps_unmatched and events.is_kept_unmatched(event.type)
        if (matching or keep) and attachment.brings(event):
            # Also when no hook wants it: Meta forgets a file in seven days.
            wants = [Want(MEDIA_HOOK, self._fetcher.take()), *(Want(hook.id, False, held=True) for hook in matching)]
        else:
            wants = [Want(hook.id, self._slots.take(hook)) for hook in matching]
        return event, matching, Route(entry.id, Park.YES if keep else Park.NO, wants, event.account_id)

    def _begin(self, event: Event, matching: Sequence[Hook], route: Route, now: int, started: float) -> None:
        if log.debugs:
            log.debug("Hook manager received event", event_type=event.type, event_id=route.id)
            for hook in matching:
                log.debug("Hook matches event", hook_id=hook.id, event_type=event.type)
            log.debug("Found relevant hooks for event", event_type=event.type, hook_count=len(matching))
        if not matching and events.is_kept_unmatched(event.type):
            metrics.UNMATCHED.labels(events.family(event.type)).inc()
            if not self.keeps_unmatched:
                text = "Event that no hook wanted is not kept: the message cache is off"
                log.seldom("warn", text, event_type=event.type)
        self._start(event, matching, route, now, started)

    def _start(self, event: Event, matching: Sequence[Hook], route: Route, now: int, started: float) -> None:
        """Start what was leased, and have the rest claimed as soon as there is room."""
        if _leased(route, MEDIA_HOOK):
            self._fetcher.start(Job(route.id, event, now + LEASE_MS, 1, 0, started + LEASE_MS / 1000))
        if route.wants and route.wants[0].hook_id == MEDIA_HOOK:
            return
        payload = common(event, route.id) if any(want.leased for want in route.wants) else b""
        for hook, want in zip(matching, route.wants, strict=True):
            if not want.leased:
                self._slots.queue(hook.id)
                continue
            lease = lease_ms(hook)
            deadline = started + lease / 1000
            self._attempts.start(Attempt(route.id, event, hook, now + lease, 1, False, deadline, payload))


def _set_aside(entry: Entry, error: Exception) -> None:
    log.error("Entry cannot be read, set aside as poison", event_id=entry.id, error=str(error))
    metrics.POISONED.inc()


def _leased(route: Route, hook_id: str) -> bool:
    return any(want.leased for want in route.wants if want.hook_id == hook_id)
