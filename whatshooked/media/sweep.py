"""Removes what retention says has to go, some at a time, and what dead processes left behind."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from whatshooked import logs, metrics
from whatshooked.media.names import account_folder
from whatshooked.media.retention import Going, Limits, Name, going, interesting
from whatshooked.media.store import Held, Store

log = logs.get("media")

#: Files removed between two questions whether somebody needs them by now.
BATCH = 200

#: Answers the files that cached events and waiting messages still need, by account id and file name.
Needed = Callable[[], Awaitable[set[tuple[str, str]]]]


class Swept(NamedTuple):
    """Files removed by reason, and bytes freed; contents that are still shared freed none. Then what is left."""

    count_by_reason: dict[str, int]
    bytes: int
    files_left: int = 0
    bytes_left: int = 0


async def sweep(store: Store, limits: Limits, needed: Needed) -> Swept:
    """Remove the files that nobody needs and that are over a limit; raises StoreUnavailable, and what `needed` does."""
    now, count = time.time(), 0
    files: list[Held] = []
    async for batch in store.held():
        count += len(batch)
        files += [held for held in batch if interesting(held, limits, now)]
    if going(files, limits, frozenset(), now):
        swept = await _remove(store, going(files, limits, await _names(needed), now), needed)
    else:
        swept = Swept({}, 0)
    tidied = await store.tidy()
    metrics.MEDIA_REMOVED_BYTES.inc(tidied.freed)
    left = count - sum(swept.count_by_reason.values())
    swept = Swept(swept.count_by_reason, swept.bytes + tidied.freed, left, tidied.kept)
    if swept.bytes or swept.count_by_reason:
        log.info("Stored files removed", **swept.count_by_reason, bytes=swept.bytes)
    return swept


async def _remove(store: Store, plan: list[Going], needed: Needed) -> Swept:
    counts: Counter[str] = Counter()
    freed = 0
    for start in range(0, len(plan), BATCH):
        wanted = await _names(needed)
        batch = [one for one in plan[start : start + BATCH] if (one.held.folder, one.held.filename) not in wanted]
        bytes_freed = await store.remove([one.held for one in batch])
        metrics.MEDIA_REMOVED_BYTES.inc(bytes_freed)
        for one in batch:
            metrics.MEDIA_REMOVED.labels(one.reason).inc()
        counts.update(one.reason for one in batch)
        freed += bytes_freed
    return Swept(dict(counts), freed)


async def _names(needed: Needed) -> set[Name]:
    return {(account_folder(account_id), filename) for account_id, filename in await needed()}
