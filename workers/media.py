"""The internal hook `_media`: an event that brings a file is routed to it first, and to the others when it is done.

Its leases are short and renewed as long as a download goes on, so that the work of a process that died comes back soon,
and a slow file is no dead process. The others are held in Redis for `media.max_wait` at most: should no fetch ever end,
they get the message then, without its file.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from whatshooked import events, logs, metrics
from whatshooked.config import Config
from whatshooked.errors import NewerEntry, StoreUnavailable, StreamUnavailable
from whatshooked.events import Event
from whatshooked.keys import MEDIA_HOOK, Keys
from whatshooked.meta import attachment
from whatshooked.stream.consume import Park
from whatshooked.stream.leases import Claimed, Wish, renew
from whatshooked.stream.link import Link
from whatshooked.stream.media import Finding, Findings
from whatshooked.stream.record import Record
from whatshooked.stream.settle import NotTaken, Settler
from workers import fetch_retry as retry
from workers.bodies import Bodies
from workers.fetch import Fetch, Fetched, Gone, Later, Stored
from workers.rounds import came_round
from workers.slots import Slots

log = logs.get("media")

#: Milliseconds of a lease, and seconds between two renewals.
LEASE_MS = 15_000
RENEW_EVERY = 5.0
#: Leases in succession without an outcome after which the file is given up: it may be what kills its workers.
KILLS = 4
#: For CLAIM: a message is never poison for the sake of its file.
_NEVER = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """The right and the duty to fetch one event's file; one process may have two of an event, when a lease ran out."""

    event_id: str
    event: Event
    token: int
    attempt: int
    unfinished: int
    #: When its lease ends unless it is renewed, by this process's own clock (time.monotonic).
    deadline: float

    @property
    def is_suspect(self) -> bool:
        """Return whether it may be what killed its workers: then it is fetched beside no other such."""
        return self.unfinished >= 2


class Fetcher:
    """Fetches files in tasks of their own; `media.concurrency` bounds them."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        fetch: Fetch,
        findings: Findings,
        settler: Settler,
        slots: Slots,
        bodies: Bodies,
        config: Callable[[], Config],
    ) -> None:
        self._link = link
        self._keys = keys
        self._fetch = fetch
        self._findings = findings
        self._settler = settler
        self._slots = slots
        self._bodies = bodies
        self._config = config
        self._busy = 0
        self._suspects = 0
        #: Whether events wait in Redis for a place.
        self._behind = False
        self._tasks: dict[asyncio.Task[None], Job] = {}
        #: Tokens of the leases whose fetch goes on; who ends one takes it out first.
        self._tokens: dict[Job, int] = {}
        self._renewing = asyncio.Lock()
        self.stopping = asyncio.Event()

    @property
    def hold_ms(self) -> int:
        """Return how long hooks wait for a file at most."""
        return self._config().media.hold_ms

    def take(self) -> bool:
        """Take a place for the file of a message that came in, if there is one."""
        self._slots.pace.came(time.monotonic())
        if self._room <= 0:
            self._behind = True
            return False
        self._busy += 1
        return True

    def free(self) -> None:
        """Give a place back; what waits in Redis is claimed."""
        self._busy -= 1
        # Not at every single place, or each would cost a claim of its own; the claimer looks by itself soon.
        if self._behind and self._room >= self._config().media.concurrency / 2:
            self._slots.wake.set()

    def wishes(self) -> list[Wish]:
        """Return what to claim for the places that are free."""
        suspects = 0 if self._suspects else 1
        return [Wish(MEDIA_HOOK, self._room, LEASE_MS, _NEVER, suspects)] if self._room > 0 else []

    def begin(self, claimed: Claimed | None, asked: float) -> None:
        """Start the fetches of leases that were claimed by `wishes`, `asked` for at that time (time.monotonic)."""
        self._behind = claimed is not None and claimed.more
        for lease in claimed.leases if claimed is not None else ():
            try:
                event = events.decode(lease.blob)
            except (msgspec.MsgspecError, UnicodeDecodeError, NewerEntry) as error:  # as in due.py
                log.error("Due entry cannot be read", event_id=lease.event_id, error=str(error))
                continue
            self._busy += 1
            self.start(
                Job(lease.event_id, event, lease.token, lease.attempt, lease.unfinished, asked + LEASE_MS / 1000)
            )

    def start(self, job: Job) -> None:
        """Start a fetch whose place is taken."""
        self._suspects += job.is_suspect
        self._tokens[job] = job.token
        task = asyncio.create_task(self._run(job))
        self._tasks[task] = job
        task.add_done_callback(self._tasks.pop)

    async def run(self) -> None:
        """Renew the leases of fetches that go on, until told to stop."""
        while not self.stopping.is_set():
            came_round()
            try:
                async with asyncio.timeout(RENEW_EVERY):
                    await self.stopping.wait()
            except TimeoutError:
                await self._renew()

    async def drain(self, patience: float) -> None:
        """Break off what goes on and hand it back; what is over may still be noted, for `patience` seconds."""
        async with self._renewing:
            for task, job in list(self._tasks.items()):
                if (token := self._tokens.pop(job, None)) is not None:
                    task.cancel()
                    back = NotTaken(job.event_id, MEDIA_HOOK, token, "free")
                    self._settler.record(back).add_done_callback(_retrieved)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        await self._findings.drain(patience=patience)

    @property
    def _room(self) -> int:
        return self._config().media.concurrency - self._busy

    async def _renew(self) -> None:
        async with self._renewing:
            jobs = list(self._tokens)
            if not jobs:
                return
            try:
                leases = [(job.event_id, self._tokens[job]) for job in jobs]
                renewed = await renew(self._link, self._keys, MEDIA_HOOK, leases, LEASE_MS)
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("media").inc()
                log.debug("Leases of files could not be renewed", error=str(error))
                return
            for job, token in zip(jobs, renewed, strict=True):
                if token and job in self._tokens:
                    self._tokens[job] = token

    async def _ends(self, job: Job) -> int:
        """Return the token with which an end can be noted: it is not renewed any more."""
        async with self._renewing:
            return self._tokens.pop(job)

    async def _run(self, job: Job) -> None:
        started = time.monotonic()
        try:
            try:
                if started > job.deadline:  # this process stood still: another has the file's lease
                    return
                found = await self._found(job)
            finally:
                self.free()  # the next file does not wait for the note of this one
                self._suspects -= job.is_suspect
            await self._note(job, found, time.monotonic() - started)
        except StreamUnavailable as error:  # only while stopping: its lease ends by itself
            metrics.REDIS_ERRORS.labels("media").inc()
            log.warn("What became of a file could not be noted", event_id=job.event_id, error=str(error))
        except Exception as error:
            # Its lease ends then, and is counted as one without an outcome: it is not tried so for ever.
            log.bug("A fetch ended in an error of ours", error)
        finally:
            self._tokens.pop(job, None)  # what has no outcome is not renewed

    async def _found(self, job: Job) -> Fetched:
        told = attachment.of(job.event)
        if told is None:
            return Gone("the message brings no file", "gone")
        if job.unfinished >= KILLS:
            return Gone("its fetch kept ending without an outcome", "killed")
        config = self._config()
        account = next((one for one in config.whatsapp if one.id == job.event.account_id), None)
        age = time.time() - events.received_ms(job.event_id) / 1000
        await self._slots.pace.turn(age, config.media.max_wait)
        seconds = retry.seconds(job.attempt, config.media.max_wait)
        return await self._fetch(account, told, config.media, attempt=job.attempt, seconds=seconds)

    async def _note(self, job: Job, found: Fetched, seconds: float) -> None:
        self._count(found, seconds)
        if isinstance(found, Later) and (again := self._delay(job, found, seconds)) is not None:
            await self._again(job, found, again)
        else:
            await self._end(job, _record(found))

    def _delay(self, job: Job, found: Later, seconds: float) -> float | None:
        """Return the seconds until the next try, None when the message does not wait for it."""
        spread = random.uniform(-1, 1)
        return retry.delay(job.attempt, seconds, found.wait, self._config().media.max_wait, spread=spread)

    async def _again(self, job: Job, found: Later, delay: float) -> None:
        delay_ms = round(delay * 1000)
        log.debug("File will be tried again", event_id=job.event_id, error=found.error, delay_ms=delay_ms)
        token = await self._ends(job)
        await self._settler.record(NotTaken(job.event_id, MEDIA_HOOK, token, "again", delay_ms, error=found.error))

    async def _end(self, job: Job, record: Record) -> None:
        """Note what was found, and have the hooks that were held claimed at once."""
        event = job.event
        if record.error:
            told = {"event_id": job.event_id, "account_id": event.account_id, "error": record.error}
            log.warn("Message goes out without its file", **told)
        keeps = self._config().message_cache.enabled and events.is_kept_unmatched(event.type)
        token = await self._ends(job)
        finding = Finding(job.event_id, token, record, Park.YES if keeps else Park.NO, event.account_id)
        if await self._findings.note(finding):
            self._bodies.remember(job.event_id, record)
        else:
            log.debug("Another process has this file's lease by now", event_id=job.event_id)
            await self._remove_orphan(job.event_id, record)
        self._slots.wake.set()

    async def _remove_orphan(self, event_id: str, record: Record) -> None:
        """Remove the file of an event that was deleted meanwhile, and with it maybe the person who sent it."""
        if not record.filename or await self._link.call("XRANGE", self._keys.events, event_id, event_id):
            return
        try:
            await self._fetch.remove(record)
        except StoreUnavailable as error:
            log.error("A file of a deleted event stays, run forget again", event_id=event_id, error=str(error))

    def _count(self, found: Fetched, seconds: float) -> None:
        metrics.MEDIA_FETCHES.labels("stored" if isinstance(found, Stored) else found.why).inc()
        if isinstance(found, Stored):
            metrics.MEDIA_SECONDS.observe(seconds)
            metrics.MEDIA_FETCHED_BYTES.inc(found.record.size)


def _record(found: Fetched) -> Record:
    return found.record if isinstance(found, Stored) else Record(error=found.error)


def _retrieved(future: "asyncio.Future[bool]") -> None:
    """Redis may be away while we stop: the lease ends by itself then."""
    if not future.cancelled():
        future.exception()
