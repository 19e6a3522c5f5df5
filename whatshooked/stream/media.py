"""What became of an event's file: noted with the event, in the step that lets its hooks go."""

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence

import msgspec

from whatshooked import logs
from whatshooked.keys import GROUP, MEDIA_HOOK, Keys
from whatshooked.stream.activity import NOBODY, Activity, Note
from whatshooked.stream.activity import record as activity_record
from whatshooked.stream.coalesce import Coalescer
from whatshooked.stream.consume import Park
from whatshooked.stream.insist import insist
from whatshooked.stream.link import Link, checked
from whatshooked.stream.record import Record, fields, record

log = logs.get("media")

#: Milliseconds for which it is remembered that an event's file could not be had: nothing ends that by itself.
REMEMBERED_MS = 86_400_000
#: Characters of an error that are noted.
_ERROR_CHARS = 300
#: Findings of one script call.
_PER_FLUSH = 128


class Finding(msgspec.Struct, frozen=True):
    """The end of a fetch: only who still holds the lease `token` may note it."""

    event_id: str
    token: int
    record: Record
    park: Park
    account_id: str = ""


class Findings:
    """Notes what fetches came to, in batches; `hook_ids` tells the hooks that may have been held."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        hook_ids: Callable[[], Iterable[str]],
        activity: Activity = NOBODY,
        *,
        pause: float = 0.2,
    ) -> None:
        self._link = link
        self._activity = activity
        self._keys = keys
        self._hook_ids = hook_ids
        self._pause = pause
        self._stopping = False
        self._queue: Coalescer[Finding, bool] = Coalescer(self._flush, most=_PER_FLUSH)

    def note(self, finding: Finding) -> "asyncio.Future[bool]":
        """Return a future of whether it was noted (False: the lease was lost); it keeps trying while Redis is away."""
        return self._queue.put(finding)

    async def drain(self, *, patience: float) -> None:
        """Return when all is noted, or after `patience` seconds: leases end by themselves then."""
        self._stopping = True
        await self._queue.drain(patience)

    async def _flush(self, findings: Sequence[Finding]) -> list[bool]:
        said = "What became of files could not be noted, trying again"
        note = functools.partial(self._note, findings)
        return await insist(note, lambda: self._stopping, pause=self._pause, part="media", log=log, said=said)

    async def _note(self, findings: Sequence[Finding]) -> list[bool]:
        hooks = list(self._hook_ids())
        rows = [(f.event_id, f.token, int(f.park), int(bool(f.record.error)), fields(f.record)) for f in findings]
        keys = [self._keys.events, self._keys.unmatched, self._keys.due(MEDIA_HOOK), self._keys.activity]
        keys.append(self._keys.fileless)
        keys += map(self._keys.due, hooks)
        keys += [*self._keys.of_whole_entries(f.event_id for f in findings), self._keys.ledger]
        packed = (msgspec.msgpack.encode(hooks), msgspec.msgpack.encode(rows), REMEMBERED_MS)
        told = map(_noted, findings) if self._activity.on else ()
        answer = await self._link.run(self._link.scripts.media_done, keys, GROUP, MEDIA_HOOK, *packed, *told)
        return [flag == 1 for flag in answer]


def _noted(finding: Finding) -> bytes:
    error = finding.record.error
    kind, state = ("media.failed", "failed") if error else ("media.stored", "stored")
    return activity_record(finding.event_id, Note(kind, finding.account_id, state=state, error=error[:_ERROR_CHARS]))


async def records(link: Link, keys: Keys, event_ids: Sequence[str]) -> dict[str, Record]:
    """Return what is known of these events' files, nothing of a fetch that goes on; raises StreamUnavailable."""
    if not event_ids:
        return {}
    replies = checked(await link.batch([("HGETALL", keys.media(i)) for i in event_ids]))
    return {i: record(reply) for i, reply in zip(event_ids, replies, strict=True) if reply}


async def known(link: Link, keys: Keys, event_id: str) -> Record:
    """Return what is known of an event's file, be it why it did not come in time; raises StreamUnavailable."""
    commands = [("HGETALL", keys.media(event_id)), ("HGET", keys.open(event_id), MEDIA_HOOK)]
    found, fetching = checked(await link.batch(commands))
    if found:
        return record(found)
    error = fetching.decode("utf-8", "replace").split("|", 5)[-1] if fetching else ""
    return Record(error=f"not fetched in time: {error}" if error else "not fetched in time")


async def needed(link: Link, keys: Keys, event_ids: Iterable[str]) -> set[tuple[str, str]]:
    """Return account and name of each file that these events brought; raises StreamUnavailable."""
    replies = checked(await link.batch([("HMGET", keys.media(i), "account_id", "filename") for i in event_ids]))
    return {(account.decode(), name.decode()) for account, name in replies if account and name}
