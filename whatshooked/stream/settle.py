"""What attempts came to, written down in batches: DONE for those that were accepted, RETRY for the others."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec
from redis.exceptions import RedisError

from whatshooked import logs, metrics
from whatshooked.keys import GROUP, MEDIA_HOOK, Keys
from whatshooked.stream.activity import NOBODY, Activity, Note, record
from whatshooked.stream.coalesce import Coalescer
from whatshooked.stream.insist import insist
from whatshooked.stream.link import Link, Reply, Script, checked
from whatshooked.stream.refused import KINDS

log = logs.get("hooks")

#: Outcomes of one flush: bounds the keys of a script call and the time Redis is blocked.
OUTCOMES_PER_FLUSH = 512
#: Characters of an error that are kept with an event.
ERROR_CHARS = 300


class Made(msgspec.Struct, frozen=True):
    """The attempt itself, for those who want to know: of which account's event, the how-manieth, how long it took."""

    account_id: str = ""
    attempt: int = 0
    duration_ms: float = 0.0


class Taken(msgspec.Struct, frozen=True):
    """A hook accepted the event; `reply` is what its answer asked to send, kept in the same step.

    `refusal` is why that cannot be sent, as `kind|reason`; the kind is unusable or circular.
    """

    event_id: str
    hook_id: str
    reply: bytes = b""
    refusal: str = ""
    status: int = 0
    made: Made = Made()


class NotTaken(msgspec.Struct, frozen=True):
    """A hook did not; only who still holds the lease `token` may record it.

    `kind`: again = due after `delay_ms`; dead = given up, kept in the cache; drop = given up, not kept; free = no POST
    was made, due at once and not counted as an attempt.
    """

    event_id: str
    hook_id: str
    token: int
    kind: Literal["again", "dead", "drop", "free"]
    delay_ms: int = 0
    status: int = 0
    error: str = ""
    made: Made = Made()


Outcome = Taken | NotTaken

#: How the log calls what becomes of an event after an attempt that failed.
_STATES = {"again": "retrying", "dead": "dead", "drop": "dropped"}
_KINDS = {"again": "w", "dead": "d", "drop": "g", "free": "f"}


class _StrangeKeyError(Exception):
    """A key holds another type than ours: somebody else writes under our prefix."""


class Settler:
    """Records outcomes; each caller learns whether its own was recorded (False: late, or the lease was lost)."""

    def __init__(self, link: Link, keys: Keys, activity: Activity = NOBODY, *, pause: float = 0.2) -> None:
        self._link = link
        self._activity = activity
        self._keys = keys
        self._pause = pause
        self._stopping = False
        self._queue: Coalescer[Outcome, bool] = Coalescer(self._flush, most=OUTCOMES_PER_FLUSH)

    def record(self, outcome: Outcome) -> "asyncio.Future[bool]":
        """Return a future of whether the outcome was recorded; it keeps trying while Redis is away."""
        return self._queue.put(outcome)

    async def drain(self, *, patience: float) -> None:
        """Return when all is recorded, or after `patience` seconds: leases end by themselves then."""
        self._stopping = True
        await self._queue.drain(patience)

    async def _flush(self, outcomes: Sequence[Outcome]) -> list[bool]:
        try:
            return await self._settle(outcomes)
        except _StrangeKeyError:
            return [await self._settle_alone(outcome) for outcome in outcomes]

    async def _settle_alone(self, outcome: Outcome) -> bool:
        """One event whose keys hold something else than they should must not keep the others from settling."""
        try:
            return (await self._settle([outcome]))[0]
        except _StrangeKeyError as error:
            log.error(
                "Outcome cannot be recorded", event_id=outcome.event_id, hook_id=outcome.hook_id, error=str(error)
            )
            return False

    async def _settle(self, outcomes: Sequence[Outcome]) -> list[bool]:
        taken = [outcome for outcome in outcomes if isinstance(outcome, Taken)]
        not_taken = [outcome for outcome in outcomes if isinstance(outcome, NotTaken)]
        calls = []
        if taken:
            calls.append(self._done(taken))
        if not_taken:
            calls.append(self._retry(not_taken))
        replies = await self._insist(calls)
        recorded: dict[tuple[str, str], bool] = {}
        if taken:
            _say_crowded(replies[0][2])
            for (event_id, hook_ids), flags in zip(_by_event(taken).items(), replies[0][0], strict=True):
                if -1 in flags:
                    log.error("Outcome cannot be recorded", event_id=event_id, error="its open key holds no hash")
                recorded |= {(event_id, hook): flag == 1 for hook, flag in zip(hook_ids, flags, strict=True)}
        if not_taken:
            flags = replies[-1][: len(not_taken)]
            recorded |= {(o.event_id, o.hook_id): bool(f) for o, f in zip(not_taken, flags, strict=True)}
        return [recorded[outcome.event_id, outcome.hook_id] for outcome in outcomes]

    async def _insist(self, calls: list[tuple[Script, list[str], tuple[str | bytes, ...]]]) -> list[Reply]:
        """Both scripts may be sent twice: the second time they find nothing open, or another token."""

        async def record() -> list[Reply]:
            replies = await self._link.run_all(calls)
            for reply in replies:
                if isinstance(reply, RedisError) and "WRONGTYPE" in str(reply):
                    raise _StrangeKeyError(str(reply))
            return checked(replies)

        said = "Outcomes could not be recorded, trying again"
        return await insist(record, lambda: self._stopping, pause=self._pause, part="settle", log=log, said=said)

    def _done(self, taken: Sequence[Taken]) -> tuple[Script, list[str], tuple[str | bytes, ...]]:
        by_event = _by_event(taken)
        hooks = list(dict.fromkeys(outcome.hook_id for outcome in taken))
        index = {hook: i + 1 for i, hook in enumerate(hooks)}
        fixed = [self._keys.events, self._keys.poison, self._keys.replies, self._keys.activity]
        keys = [*fixed, *self._keys.of_hooks(hooks), *self._keys.of_entries(by_event)]
        # Bytes travel as arguments of their own: the script's msgpack knows only text.
        asked = {(o.event_id, o.hook_id): o for o in taken if o.reply or o.refusal}
        places = {name: place if o.reply else -place for place, (name, o) in enumerate(asked.items(), 1)}
        if asked:
            keys += map(self._keys.refused, KINDS)
        keys.append(self._keys.ledger)
        rows = [
            (event_id, [_told(index[hook], places.get((event_id, hook))) for hook in hook_ids])
            for event_id, hook_ids in by_event.items()
        ]
        packed = (msgspec.msgpack.encode(hooks), msgspec.msgpack.encode(rows))
        answers = [o.reply or o.refusal for o in asked.values()]
        notes: list[bytes] = []
        if self._activity.on:
            by_name = {(o.event_id, o.hook_id): o for o in taken}
            notes = [_noted(by_name[event_id, hook]) for event_id, hooks in by_event.items() for hook in hooks]
        return self._link.scripts.done, keys, (GROUP, *packed, str(len(answers)), *answers, *notes)

    def _retry(self, outcomes: Sequence[NotTaken]) -> tuple[Script, list[str], tuple[str | bytes, ...]]:
        hooks = list(dict.fromkeys(outcome.hook_id for outcome in outcomes))
        index = {hook: i + 1 for i, hook in enumerate(hooks)}
        keys = [self._keys.events, self._keys.activity, *self._keys.of_hooks(hooks)]
        keys += [*(self._keys.open(o.event_id) for o in outcomes), self._keys.ledger]
        rows = [
            (o.event_id, index[o.hook_id], o.token, _KINDS[o.kind], o.delay_ms, o.status, o.error[:ERROR_CHARS])
            for o in outcomes
        ]
        told = [_noted(outcome) for outcome in outcomes] if self._activity.on else []
        return (
            self._link.scripts.retry,
            keys,
            (GROUP, msgspec.msgpack.encode(hooks), msgspec.msgpack.encode(rows), *told),
        )


def _noted(outcome: Outcome) -> bytes:
    """Return the record of an attempt's end; a lease that was given back unused was none, nor is a file's fetch."""
    made = outcome.made
    if isinstance(outcome, Taken):
        refused = f"its reply is not sent: {outcome.refusal.replace('|', ', ', 1)}" if outcome.refusal else ""
        ended = ("accepted", made.attempt, outcome.status, made.duration_ms, refused)
        return record(outcome.event_id, Note("hook.success", made.account_id, outcome.hook_id, *ended))
    if outcome.kind == "free" or outcome.hook_id == MEDIA_HOOK:
        return b""
    ended = (_STATES[outcome.kind], made.attempt, outcome.status, made.duration_ms, outcome.error[:ERROR_CHARS])
    return record(outcome.event_id, Note("hook.failed", made.account_id, outcome.hook_id, *ended))


def _say_crowded(count: int) -> None:
    """Count and log replies that were not kept."""
    if count:
        metrics.OUTBOX_REFUSED.labels("", "replies").inc(count)
        log.seldom("error", "Replies of hooks are not kept: too many wait already", replies=count)


def _by_event(taken: Sequence[Taken]) -> dict[str, list[str]]:
    events: dict[str, list[str]] = {}
    for outcome in taken:
        hooks = events.setdefault(outcome.event_id, [])
        if outcome.hook_id not in hooks:
            hooks.append(outcome.hook_id)
    return events


def _told(hook: int, place: int | None) -> int | tuple[int, int]:
    """Return a hook of an entry as DONE reads it."""
    return hook if place is None else (hook, place)
