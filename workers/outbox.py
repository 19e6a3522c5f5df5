"""The sending loop: replies move into the outbox, due messages are claimed, sent through Graph, and settled."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from whatshooked import logs, metrics
from whatshooked.config import Account, Config
from whatshooked.errors import OutboxFull, StreamUnavailable
from whatshooked.meta import callback, codes, send
from whatshooked.meta.graph import Access, Graph
from whatshooked.meta.reply import Reply
from whatshooked.meta.send import stored
from whatshooked.meta.send.kinds import CHECKS
from whatshooked.stream.outbox import (
    LEASE_MS,
    Again,
    Failed,
    Lease,
    Outbox,
    Outcome,
    Record,
    Sent,
    Unknown,
    kept_reply,
)
from whatshooked.stream.refused import RefusedReplies
from whatshooked.stream.submit import entry
from workers import outcome
from workers.rounds import came_round
from workers.throughput import Throughput
from workers.uploads import Uploads

log = logs.get("outbox")

#: Seconds between two looks when nothing wakes the loop: an API call's message is late by this at most.
TICK = 0.1
#: Messages of one account in flight in this process, and for how many a second there is one, where that is more.
AT_ONCE, PER_AT_ONCE = 32, 8
#: Seconds one send may take, and seconds of its lease after which it does not begin any more: a lease outlasts both.
TIMEOUT = 20.0
BEGINS_WITHIN = 15.0
#: Replies moved at once.
_MOVED = 100
_PAUSE = 0.5
#: Seconds in which a process that ends puts back what it has not sent, and how that is written down.
_GIVES_BACK = 3.0
_STOPPED = Again(0, "the worker stopped", tried=False)


class Sending:
    """Sends what waits until told to stop; `came_in` counts inbound messages by account since the last look."""

    def __init__(
        self,
        outbox: Outbox,
        graph: Graph,
        config: Callable[[], Config],
        refused: RefusedReplies,
        throughput: Throughput,
        uploads: Uploads,
    ) -> None:
        self._outbox = outbox
        self._throughput = throughput
        self._uploads = uploads
        self._refused = refused
        self._graph = graph
        self._config = config
        self._tasks: dict[asyncio.Task[None], Lease] = {}
        #: Ids of messages that may be at Meta by now: they are being sent, or were.
        self._left: set[str] = set()
        self._busy: Counter[str] = Counter()
        #: Account -> when its number may pass the next message (time.monotonic).
        self._paced: dict[str, float] = {}
        #: Replies that cannot be read, each said once.
        self._unread: set[str] = set()
        self.came_in: Counter[str] = Counter()
        #: Set when this process has put something into the outbox.
        self.wake = asyncio.Event()
        self.stopping = False
        #: Told the accounts whose token Graph no longer takes, so that they are checked at once.
        self.on_bad_token: Callable[[str], None] = lambda _: None

    async def run(self) -> None:
        """Move, claim and send; every trouble with Redis is waited out."""
        while not self.stopping:
            came_round()
            self.wake.clear()
            try:
                again = await self._step()
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("outbox").inc()
                log.seldom("warn", "The outbox cannot be reached, trying again", error=str(error))
                await asyncio.sleep(_PAUSE)
                continue
            if not again:
                await self._rest()

    async def drain(self, patience: float) -> None:
        """Wait for sends in flight, `patience` seconds: then one that still waits for its file goes back into its line.

        What has begun to leave, and has no answer by then, becomes unknown when its lease ends.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        broken = list(self._tasks.items())
        for task, lease in broken:
            task.cancel()
            if lease.message.id in self._left:
                log.warn("A send is broken off: what came of it will be unknown", message_id=lease.message.id)
        unsent = [(task, lease) for task, lease in broken if lease.message.id not in self._left]
        if unsent:
            # Ended before it is written down, or one might begin to send meanwhile.
            await asyncio.wait([task for task, _ in unsent])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GIVES_BACK):
                    await asyncio.gather(*(self._record(lease, _STOPPED) for _, lease in unsent))
        await self._uploads.close()

    async def _rest(self) -> None:
        now = time.monotonic()
        pauses = [at - now for at in self._paced.values() if at > now]
        try:
            async with asyncio.timeout(min([TICK, *pauses])):
                await self.wake.wait()
        except TimeoutError:
            return

    async def _step(self) -> bool:
        """Return whether to look again at once."""
        await self._outbox.give_back()
        moved = await self._moved()
        accounts = {account.id: account for account in self._config().whatsapp if account.business_api is not None}
        await self._throughput.look(accounts)
        now = time.monotonic()
        free = [account_id for account_id in accounts if self._paced.get(account_id, 0.0) <= now]
        heads = await self._outbox.due(free, max(map(self._at_once, free))) if free else {}
        for account_id in set(free) - heads.keys():
            self.came_in.pop(account_id, None)  # by the next send the number has long had room again
        started = 0
        for account_id, found in heads.items():
            started += await self._claim(accounts[account_id], found)
        return bool(moved or started)

    async def _moved(self) -> int:
        """Move replies as far as Redis takes them: one that is full must not keep the outbox from being emptied."""
        try:
            return await self._move()
        except StreamUnavailable as error:
            metrics.REDIS_ERRORS.labels("outbox").inc()
            log.seldom("warn", "Replies cannot be put into the outbox, trying again", error=str(error))
            return 0

    async def _move(self) -> int:
        """Move replies from where DONE put them into their accounts' outboxes; a repeated move adds nothing."""
        count = 0
        for name, blob in sorted(await self._outbox.replies(_MOVED), key=_in_order):
            try:
                hook_id, asked = kept_reply(blob)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._leave(name, error)
                continue
            try:
                await self._put(name, hook_id, asked)
            except OutboxFull as error:
                if error.bound == "memory":  # that passes, and what was asked stays where DONE put it
                    log.seldom("warn", "Replies wait", error=str(error))
                    return count
                await self._refuse(name, hook_id, asked[0].account_id, error)
            await self._outbox.moved([name])
            count += 1
        return count

    async def _put(self, name: str, hook_id: str, asked: Sequence[Reply]) -> None:
        """Put the messages of a reply into the outbox, all or, where it is full, none; raises OutboxFull."""
        for place, reply in enumerate(asked):
            message = entry(
                callback.reply_id(name, place), reply.outgoing, cause=callback.of_reply(name), hook_id=hook_id
            )
            await self._outbox.add(reply.account_id, [message], bounded=place == 0)

    async def _refuse(self, name: str, hook_id: str, account_id: str, error: OutboxFull) -> None:
        """Say that a reply found no room; a crash behind this says it twice."""
        await self._refused.add(callback.of_reply(name), hook_id, str(error))
        metrics.REPLIES.labels(hook_id, "unusable").inc()
        metrics.OUTBOX_REFUSED.labels(account_id, error.bound).inc()
        log.seldom("error", "Reply of a hook cannot be sent", hook_id=hook_id, error=str(error))

    def _leave(self, name: str, error: Exception) -> None:
        """Leave a reply where it is: another version may have written it, and be able to read it."""
        if name not in self._unread:
            self._unread.add(name)
            log.error("A reply cannot be read, and is not sent", reply=name, error=str(error))

    async def _claim(self, account: Account, heads: Sequence[tuple[str, str]]) -> int:
        started = time.monotonic()
        claimed = await self._outbox.claim(
            account.id,
            heads,
            most=self._at_once(account.id) - self._busy[account.id],
            a_second=self._throughput.of(account.id),
            came_in=self.came_in.pop(account.id, 0),
            resend=_resends(account),
            lease_ms=LEASE_MS,
        )
        # Looked at no sooner, and no later: what it does not pass in time it never makes up for.
        self._paced[account.id] = time.monotonic() + claimed.wait_ms / 1000
        for message_id in claimed.unknown:
            self._say_unknown(account.id, message_id, "the worker ended while it was sent")
        for lease in claimed.leases:
            self._busy[account.id] += 1
            task = asyncio.create_task(self._send(account, lease, started + BEGINS_WITHIN))
            self._tasks[task] = lease
            task.add_done_callback(self._ended)
        return len(claimed.leases)

    def _at_once(self, account_id: str) -> int:
        return max(AT_ONCE, self._throughput.of(account_id) // PER_AT_ONCE)

    def _ended(self, task: asyncio.Task[None]) -> None:
        lease = self._tasks.pop(task)
        self._left.discard(lease.message.id)
        self._busy[lease.account_id] -= 1
        self.wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.bug("A send ended in an error of ours", error)

    async def _send(self, account: Account, lease: Lease, latest: float) -> None:
        message = lease.message
        asked = _asked(message)
        not_now = await self._uploads.fill(account, message, asked, until=latest) if _has_files(message) else None
        if not_now is None and time.monotonic() > latest:
            # This process stood still: another may have taken the message for unknown, or have sent it, by its end.
            not_now = Again(0, "its lease was about to end", tried=False)
        if not_now is not None:
            await self._record(lease, not_now)
            return
        number = account.business_api.phone_number_id if account.business_api else ""
        self._left.add(message.id)
        found = await self._graph.ask(Access.of(account), "POST", f"{number}/messages", json=asked, seconds=TIMEOUT)
        result = outcome.judge(found, message.attempts, outcome.age_ms(message), resend=_resends(account))
        if isinstance(result, Failed) and _has_files(message) and not codes.is_of_user(result.code):
            await self._forget_files(account, message)
        await self._record(lease, result)
        if isinstance(result, Again) and result.code == outcome.THROUGHPUT:
            await self._slow_down(account.id)

    async def _forget_files(self, account: Account, message: Record) -> None:
        """Let the files of a message that was refused be uploaded anew: it may have been refused for them."""
        try:
            await self._uploads.forget(account, message.body)
        except StreamUnavailable:
            metrics.REDIS_ERRORS.labels("outbox").inc()  # the next refusal says it again

    async def _slow_down(self, account_id: str) -> None:
        try:
            await self._throughput.refused(account_id)
        except StreamUnavailable:
            metrics.REDIS_ERRORS.labels("outbox").inc()  # the next refusal says it again

    async def _record(self, lease: Lease, result: Outcome) -> None:
        """Write down what came of a send, as often as it takes: without it the message would become unknown."""
        while True:
            try:
                state = await self._outbox.settle(lease, result)
                break
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("outbox").inc()
                log.seldom("warn", "What came of a send cannot be recorded, trying again", error=str(error))
                await asyncio.sleep(_PAUSE)
        self._say(lease, result, state)

    def _say(self, lease: Lease, result: Outcome, state: str | None) -> None:
        account_id, message = lease.account_id, lease.message
        kind = message.kind if message.kind in CHECKS or message.kind == send.READ else "other"
        error = "" if isinstance(result, Sent) else _unnamed(result.error, message.to)
        match result:
            case Sent():
                metrics.SENT.labels(kind, "sent").inc()
                metrics.SENT_SECONDS.observe(max(time.time() - (message.since or message.at) / 1000, 0.0))
                log.debug("Message sent", account_id=account_id, message_id=message.id, to=message.to)
            case Failed():
                metrics.SENT.labels(kind, "failed").inc()
                metrics.FAILED.labels(str(result.code)).inc()
                log.error("Message refused", account_id=account_id, message_id=message.id, error=error)
            case Unknown() if state == "unknown":
                metrics.SENT.labels(kind, "unknown").inc()
                self._say_unknown(account_id, message.id, error)
            case Unknown():
                log.warn("No answer to a message", account_id=account_id, message_id=message.id, state=state)
            case Again():
                metrics.SENT.labels(kind, "again").inc()
                log.seldom("warn", "Message is sent later", account_id=account_id, error=error)
                if result.bad_token:
                    self.on_bad_token(account_id)

    def _say_unknown(self, account_id: str, message_id: str, error: str) -> None:
        metrics.OUTBOX_UNKNOWN.labels(account_id).inc()
        log.error("Nobody knows whether a message was sent", account_id=account_id, message_id=message_id, error=error)


def _has_files(message: Record) -> bool:
    return stored.MARK in message.body


def _asked(message: Record) -> dict[str, Any]:
    """Return what Graph is asked to send."""
    body = message.body
    if message.kind != send.READ:  # no status ever tells of a mark as read
        body = send.with_callback(body, callback.mark(message.id, message.callback))
    return msgspec.json.decode(body, type=dict[str, Any])


def _in_order(reply: tuple[str, bytes]) -> tuple[int, str, int, str]:
    """Return where a reply stands among others: an event id's two numbers have no fixed length."""
    ms, _, rest = reply[0].partition("-")
    return len(ms), ms, rest.find("."), rest


def _unnamed(error: str, to: str) -> str:
    """Return what Meta said of a message, fit for a log: it may quote whom the message is for."""
    return error.replace(to, logs.mask(to))


def _resends(account: Account) -> bool:
    return account.business_api is not None and account.business_api.on_unknown == "resend"
