"""All that a worker does with files: fetch them, hand them to hooks and to Meta, keep the store within its bounds."""

import asyncio
import random
from collections.abc import Callable

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.errors import StoreUnavailable, StreamUnavailable
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.media.retention import Limits
from whatshooked.media.store import open_store
from whatshooked.media.sweep import sweep
from whatshooked.meta.graph import Graph
from whatshooked.meta.media import Downloads
from whatshooked.stream.activity import Activity
from whatshooked.stream.budget import Budget
from whatshooked.stream.cache import Cache
from whatshooked.stream.link import Link
from whatshooked.stream.media import Findings, needed
from whatshooked.stream.outbox_view import OutboxView
from whatshooked.stream.registry import link_key
from whatshooked.stream.settle import Settler
from whatshooked.stream.uploads import Uploaded
from workers.bodies import Bodies
from workers.fetch import Fetch
from workers.media import Fetcher
from workers.rounds import came_round
from workers.slots import Slots
from workers.uploads import Uploads

log = logs.get("media")

#: Seconds between two looks for files that have to go, by whichever worker.
SWEEP_EVERY = 600.0
#: The first one comes after this share of that: nobody knows what is stored until then.
_FIRST = 0.05
_DAY = 86_400.0


class Files:
    """A worker's files; `name` is the process."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        name: str,
        graph: Graph,
        settler: Settler,
        slots: Slots,
        config: Callable[[], Config],
        hooks: Callable[[], Hooks],
        activity: Activity,
    ) -> None:
        self._link = link
        self._keys = keys
        self._name = name
        self._config = config
        self._store = open_store(config().media)
        self._downloads = Downloads()
        self.bodies = Bodies(link, keys, self._store, config)
        fetch = Fetch(graph, self._downloads, self._store, Budget(link, keys))
        findings = Findings(link, keys, lambda: hooks().by_id, activity)
        self.fetcher = Fetcher(link, keys, fetch, findings, settler, slots, self.bodies, config)
        self.uploads = Uploads(self._store, graph, Uploaded(link, keys))
        self._cache = Cache(link, keys)
        self._outbox = OutboxView(link, keys)

    async def refresh(self) -> None:
        """Take the key of links as it stands in Redis; raises StreamUnavailable."""
        self.bodies.link_key = await link_key(self._link, self._keys)

    async def keep_up(self) -> None:
        """Remove files that are over a limit, now and then, until cancelled; one of the workers does it."""
        share = _FIRST
        while True:
            came_round()
            await asyncio.sleep(SWEEP_EVERY * random.uniform(share / 2, share))
            share = 1.0
            try:
                turn = ("SET", self._keys.sweep, self._name, "NX", "EX", round(SWEEP_EVERY / 2))
                if await self._link.call(*turn):
                    await self.sweep()
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("media").inc()
                log.warn("Files could not be looked through, trying again", error=str(error))
            except StoreUnavailable as error:
                log.warn("Files could not be looked through, trying again", error=str(error))
            except Exception as error:  # to look for old files is not worth a worker
                log.bug("Files could not be looked through", error)

    async def sweep(self) -> None:
        """Remove files that are over a limit and that no cached event and no waiting message needs.

        Raises StoreUnavailable and StreamUnavailable.
        """
        media = self._config().media
        swept = await sweep(self._store, Limits(media.max_age_days * _DAY, media.max_total_bytes), self._needed)
        await self._link.call("HSET", self._keys.media_totals, "files", swept.files_left, "bytes", swept.bytes_left)

    async def close(self) -> None:
        """Close the connections."""
        await self._downloads.close()
        await self._store.close()

    async def _needed(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        after = ""
        while ids := await self._cache.ids(after):
            after = ids[-1]
            found |= await needed(self._link, self._keys, ids)
        for account in self._config().whatsapp:
            found |= {(account.id, filename) for filename in await self._outbox.waiting_files(account.id)}
        return found
