"""One attempt: the POST, what came of it, and writing that down.

Between reading and settling nothing is shared but slots and leases, so an attempt is a task of its own; whatever
happens to it, its lease ends by itself and another process makes the next one.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from whatshooked import events, logs, metrics
from whatshooked.config import Hook
from whatshooked.errors import StreamUnavailable
from whatshooked.events import Event
from whatshooked.hooks import retry
from whatshooked.hooks.delivery import Delivered, Refused, Sender, shown
from whatshooked.hooks.hook import Hooks
from whatshooked.stream.intake import Added, Addition, Intake
from whatshooked.stream.settle import Made, NotTaken, Settler, Taken
from whatshooked.traces import OFF, Traces
from workers.bodies import Bodies
from workers.replies import Replies
from workers.slots import Slots

log = logs.get("hooks")

#: Seconds a lease lasts beyond the hook's own timeout: for the way to the POST and back to the settling.
LEASE_MARGIN = 10.0


def lease_ms(hook: Hook) -> int:
    """Return how long a lease on an event of this hook lasts."""
    return round((hook.timeout + LEASE_MARGIN) * 1000)


class Attempt(msgspec.Struct, frozen=True):
    """The right and the duty to make one attempt; `deadline` is this process's own clock (time.monotonic)."""

    event_id: str
    event: Event
    hook: Hook
    token: int
    number: int
    replay: bool
    deadline: float
    #: The body, where all hooks get the same.
    body: bytes


class Counts:
    """A hook's metrics, kept at hand: to look one up by its label costs as much as to count."""

    def __init__(self, hook_id: str) -> None:
        self.accepted = metrics.ATTEMPTS.labels(hook_id, "accepted")
        self.seconds = metrics.ATTEMPT_SECONDS.labels(hook_id)
        self.delivery = metrics.DELIVERY_SECONDS.labels(hook_id)
        self.retries = metrics.RETRIES.labels(hook_id)


class Attempts:
    """Makes attempts in tasks of their own."""

    def __init__(
        self,
        sender: Sender,
        settler: Settler,
        intake: Intake,
        slots: Slots,
        hooks: Callable[[], Hooks],
        replies: Replies,
        bodies: Bodies,
        traces: Traces = OFF,
    ) -> None:
        self._sender = sender
        self._traces = traces
        self._settler = settler
        self._intake = intake
        self._slots = slots
        self._hooks = hooks
        self._replies = replies
        self._bodies = bodies
        self._tasks: dict[asyncio.Task[None], Attempt] = {}
        self._posting: set[int] = set()
        self._counts: dict[str, Counts] = {}
        self.keeps_dead = True

    def start(self, attempt: Attempt, then: Callable[[], None] | None = None) -> None:
        """Begin an attempt whose slot is taken; `then` runs when it is over."""
        if attempt.body:  # one with a file is what files wait for, not what they give way to
            self._slots.pace.attempt(time.monotonic())
        task = asyncio.create_task(self._run(attempt))
        self._tasks[task] = attempt
        task.add_done_callback(self._tasks.pop)
        if then is not None:
            task.add_done_callback(lambda _: then())

    async def drain(self, patience: float) -> None:
        """Wait for the attempts in flight; those that outlast `patience` seconds are broken off and handed back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for task, attempt in list(self._tasks.items()):
            task.cancel()
            # Once its POST began the hook may have it: that was an attempt. Either way the next one is due at once.
            kind: Literal["again", "free"] = "again" if id(attempt) in self._posting else "free"
            made = Made(attempt.event.account_id, attempt.number)
            outcome = NotTaken(
                attempt.event_id, attempt.hook.id, attempt.token, kind, error="the worker stopped", made=made
            )
            self._settler.record(outcome).add_done_callback(_retrieved)

    async def _run(self, attempt: Attempt) -> None:
        hook = attempt.hook
        try:
            async with self._bodies.room(attempt.event, hook), self._slots.posting(hook):
                self._posting.add(id(attempt))
                outcome = await self._make(attempt)
        finally:
            self._posting.discard(id(attempt))
            self._slots.free(hook)
        try:
            await self._settler.record(outcome)
            if isinstance(outcome, Taken) and outcome.reply:
                self._replies.wake()
        except StreamUnavailable as error:  # only while stopping: the lease ends by itself
            metrics.REDIS_ERRORS.labels("settle").inc()
            log.warn("Outcome could not be recorded", hook_id=hook.id, event_id=attempt.event_id, error=str(error))

    async def _make(self, attempt: Attempt) -> Taken | NotTaken:
        hook, event = attempt.hook, attempt.event
        if time.monotonic() + hook.timeout + LEASE_MARGIN / 2 > attempt.deadline:
            # Another process may hold the event before this POST is over and its outcome recorded.
            metrics.LEASES_LATE.labels(hook.id).inc()
            return NotTaken(attempt.event_id, hook.id, attempt.token, "free")
        if log.debugs:
            log.debug("Sending to hook", hook_id=hook.id, url=shown(hook.url), event_id=attempt.event_id)
        payload = attempt.body
        if not payload:
            try:
                first = attempt.number == 1 and not attempt.replay
                payload = await self._bodies.own(event, attempt.event_id, hook, first=first)
            except StreamUnavailable as error:
                log.seldom("warn", "A payload could not be made", event_id=attempt.event_id, error=str(error))
                return NotTaken(attempt.event_id, hook.id, attempt.token, "free")
        self._tell("triggered", attempt)
        result = await self._traces.post(
            self._sender, hook, event, attempt.event_id, payload, number=attempt.number, replay=attempt.replay
        )
        self._count(hook.id).seconds.observe(result.seconds)
        match result:
            case Delivered():
                return self._accepted(attempt, result)
            case Refused():
                return self._refused(attempt, result)

    def _accepted(self, attempt: Attempt, result: Delivered) -> Taken:
        hook = attempt.hook
        counts = self._count(hook.id)
        counts.accepted.inc()
        age = time.time() - events.received_ms(attempt.event_id) / 1000
        counts.delivery.observe(max(age, 0.0))
        if hook.id in self._slots.failing:
            self._slots.failing.discard(hook.id)
            log.info("Hook accepts events again", hook_id=hook.id)
        self._tell("success", attempt, result)
        reply, refusal = self._replies.kept(attempt.event, hook.id, result.answer)
        return Taken(attempt.event_id, hook.id, reply, refusal, result.status, _made(attempt, result))

    def _refused(self, attempt: Attempt, result: Refused) -> NotTaken:
        hook, event_type = attempt.hook, attempt.event.type
        metrics.ATTEMPTS.labels(hook.id, "refused" if result.status else "failed").inc()
        if hook.id not in self._slots.failing:
            self._slots.failing.add(hook.id)
            log.warn("Hook does not accept events", hook_id=hook.id, url=shown(hook.url), error=result.error)
        self._tell("failed", attempt, result)
        delay = retry.delay_ms(attempt.number, event_type)
        kind: Literal["again", "dead", "drop"] = "again"
        if delay is None:
            kind = "dead" if self.keeps_dead and retry.is_kept_when_dead(event_type) else "drop"
            metrics.DEAD.labels(hook.id).inc()
            log.error(
                "Event given up after the last retry",
                hook_id=hook.id,
                event_id=attempt.event_id,
                event_type=event_type,
                attempts=attempt.number,
                error=result.error,
                kept=kind == "dead",
            )
        else:
            self._count(hook.id).retries.inc()
            if log.debugs:
                log.debug("Hook will be tried again", hook_id=hook.id, event_id=attempt.event_id, delay_ms=delay)
        made = _made(attempt, result)
        return NotTaken(attempt.event_id, hook.id, attempt.token, kind, delay or 0, result.status, result.error, made)

    def _count(self, hook_id: str) -> Counts:
        counts = self._counts.get(hook_id)
        if counts is None:
            counts = self._counts[hook_id] = Counts(hook_id)
        return counts

    def _tell(self, what: str, attempt: Attempt, result: Delivered | Refused | None = None) -> None:
        """Publish `hook.<what>` when some other hook asks for it; a lost one is counted and nothing else."""
        event_type, hook = f"hook.{what}", attempt.hook
        hooks = self._hooks()
        if not hooks.tells or attempt.event.type.startswith("hook."):
            return
        if not hooks.anyone_wants(event_type, attempt.event.account_id, but=hook.id):
            return
        data = {
            "hook_id": hook.id,
            "event_id": attempt.event_id,
            "event_type": attempt.event.type,
            "attempt": attempt.number,
            "status": result.status if result else None,
            "duration_ms": round(result.seconds * 1000, 1) if result else None,
            "error": result.error if isinstance(result, Refused) else None,
        }
        told = msgspec.json.encode(data)
        account_id, trace = attempt.event.account_id, attempt.event.trace
        blob = events.encode(Event(events.ENTRY_VERSION, event_type, account_id, told, trace=trace))
        name = f"{event_type}\0{attempt.event_id}\0{hook.id}\0{attempt.token}"
        identity = hashlib.blake2b(name.encode(), digest_size=16).digest()
        self._intake.submit(Addition(blob, identity, int(time.time()) // 86_400, event_type)).add_done_callback(
            _count_untold
        )


def _made(attempt: Attempt, result: Delivered | Refused) -> Made:
    return Made(attempt.event.account_id, attempt.number, round(result.seconds * 1000, 1))


def _retrieved(future: "asyncio.Future[bool]") -> None:
    """Redis may be away while we stop: the lease ends by itself then."""
    if not future.cancelled():
        future.exception()


def _count_untold(future: "asyncio.Future[Added]") -> None:
    if not future.cancelled() and future.exception() is not None:
        metrics.UNTOLD.labels("redis").inc()
