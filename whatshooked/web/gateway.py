"""What one web process holds: the config of the moment, the accounts and their signers, and its way to Redis."""

import asyncio
import time
from collections.abc import Sequence

from whatshooked import logs, metrics
from whatshooked.boot import end, follow_reloads, read_again
from whatshooked.config import Config
from whatshooked.errors import StartError, StreamUnavailable
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.media.store import Store, open_store
from whatshooked.meta.accounts import Accounts
from whatshooked.meta.signature import Signer
from whatshooked.metrics import zeros
from whatshooked.scrape import Scrape, Serving
from whatshooked.stream import layout
from whatshooked.stream.activity import Activity
from whatshooked.stream.cache import Cache
from whatshooked.stream.consume import ensure_group
from whatshooked.stream.follow import shards
from whatshooked.stream.intake import Added, Addition, Intake
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Outbox
from whatshooked.stream.outbox_upkeep import OutboxUpkeep
from whatshooked.stream.refused import RefusedReplies
from whatshooked.stream.registry import hooks_now, link_key
from whatshooked.stream.replay import Operator
from whatshooked.traces import open_traces
from whatshooked.web.customers import Looks
from whatshooked.web.live import Live
from whatshooked.web.readers import Readers

log = logs.get("web")


#: Seconds that the key of links is used before it is asked for again: a flushed Redis has another.
_KEY_HELD = 5.0
#: As large as an event: right at the edge of full a smaller write would be taken where an event is not.
_EVENT_SIZED = b"." * 4096

#: Seconds between two looks whether somebody watches what happens.
_WATCHED_EVERY = 0.5
#: Seconds between two times that this process shows its accounts; a third of what counts as removed.
_SHOWN_EVERY = 20.0


class Gateway:
    """One web process; `start` before the first request, `stop` after the last."""

    def __init__(self, config: Config, url: str) -> None:
        self.keys = Keys(config.redis.prefix)
        # The intake has a connection of its own: no listing of the cache stands in the way of a webhook.
        self._add = Link(url)
        # So has the question whether we are ready: whoever asks without end waits behind others who ask.
        self._probe = Link(url, timeout=2.0)
        # And so have messages to send, and those who wait for Meta's answer.
        self._send = Link(url)
        self.link = Link(url)
        self.activity = Activity(lambda: self.config.event_logger.enabled)
        self.traces = open_traces(config.traces, "web")
        self.intake = Intake(self._add, self.keys, self.activity)
        self.cache = Cache(self.link, self.keys)
        self.outbox = Outbox(self._send, self.keys, self.activity)
        self.messages = Outbox(self.link, self.keys, self.activity)
        self._link_key, self._link_key_until = b"", 0.0
        self.store: Store = open_store(config.media)
        self.refused = RefusedReplies(self.link, self.keys)
        self.customers = Looks(self.link, self.keys, lambda: self.config)
        self.readers = Readers(lambda: self.config)
        self.live = Live(Link(url), self.keys, lambda: self.config, self.streams)
        self._outboxes = OutboxUpkeep(self.link, self.keys)
        self.scrape = Scrape(lambda: self.config, self.keys, url)
        #: Where /metrics stands instead of the public port; a change of it wants a restart.
        self.metrics_port = config.metrics.port
        self._serving: Serving | None = None
        self._knows_layout = False
        self._showing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._use(config)

    def _use(self, config: Config) -> None:
        self.config = config
        self.accounts = Accounts(config.whatsapp)
        self.signers = {
            account.id: Signer(account.business_api.app_secret)
            for account in config.whatsapp
            if account.business_api is not None and account.business_api.app_secret
        }

    async def start(self) -> None:
        """Follow SIGHUP, and make the consumer group; Redis may come later, the workers make it then."""
        follow_reloads(self.reload)
        self._show_zeros()
        self._serving = Serving.begin(self.config)
        if self._serving is not None:
            self._serving.asks(self.scrape)
        try:
            await self._hold_layout()
            await ensure_group(self.link, self.keys)
        except StreamUnavailable as error:
            log.warn("Redis does not answer yet: webhooks are refused until it does", error=str(error))
        self._showing = asyncio.create_task(self._show_accounts())
        self._watching = asyncio.create_task(self._look_who_watches())

    async def stop(self) -> None:
        """Close the connections."""
        for task in (self._showing, self._watching, self._telling):
            if task is not None:
                task.cancel()
        if self._serving is not None:
            await self._serving.stop()
        self.customers.close()
        self.readers.close()
        await self.live.close()
        await self._add.close()
        await self._probe.close()
        await self._send.close()
        await self.scrape.close()
        await self.store.close()
        await self.link.close()
        await self.traces.close()

    def reload(self) -> None:
        """Read the config again, all of it or nothing; what `boot._fixed` names stays until a restart."""
        found = read_again(self.config)
        metrics.RELOADS.labels("ok" if found else "refused").inc()
        if found is not None:
            self._use(found)
            self.readers.follow()
            self._show_zeros()
        self._telling = asyncio.create_task(self.activity.tell_reload(self.link, self.keys, found is not None, "web"))

    def _show_zeros(self) -> None:
        zeros.web(account.id for account in self.config.whatsapp)

    async def _show_accounts(self) -> None:
        """Say time and again which accounts this process has: what waits for one that nobody has any more ends."""
        while True:
            try:
                await self._outboxes.show(a.id for a in self.config.whatsapp if a.business_api is not None)
            except StreamUnavailable:
                metrics.REDIS_ERRORS.labels("web").inc()
            await asyncio.sleep(_SHOWN_EVERY)

    async def _look_who_watches(self) -> None:
        while True:
            try:
                await self._hold_layout()
                await self.activity.look(self.link, self.keys)
            except StreamUnavailable:
                metrics.REDIS_ERRORS.labels("web").inc()
            await asyncio.sleep(_WATCHED_EVERY)

    async def _hold_layout(self) -> None:
        """End the process when Redis came after it and has keys of another layout; raises StreamUnavailable."""
        if self._knows_layout:
            return
        try:
            await layout.hold(self.link, self.keys)
        except StartError as error:
            end(error)
            return
        self._knows_layout = True

    async def take(self, additions: Sequence[Addition]) -> list[Added]:
        """Add events to the stream; raises StreamUnavailable, also while nobody has looked at the keys' layout yet."""
        if not self._knows_layout:
            raise StreamUnavailable("the layout of its keys is not known yet")
        return await self.intake.add(additions)

    def streams(self) -> dict[str, tuple[str, str]]:
        """Return the activity streams of the events and of the accounts that the config has."""
        return shards(self.keys, (account.id for account in self.config.whatsapp if account.business_api is not None))

    async def hooks(self) -> Hooks:
        """Return the hooks of this moment, with the run-time switches; raises StreamUnavailable."""
        return await hooks_now(self.link, self.keys, self.config)

    async def link_key(self) -> bytes:
        """Return what signs links to files, as it was a moment ago; raises StreamUnavailable."""
        now = time.monotonic()
        if not self._link_key or now > self._link_key_until:
            self._link_key, self._link_key_until = await link_key(self.link, self.keys), now + _KEY_HELD
        return self._link_key

    async def operator(self, actor: str) -> Operator:
        """Return what replays, deletes and clears, by the hooks of this moment; raises StreamUnavailable."""
        hooks = await self.hooks()
        hold_ms = self.config.media.hold_ms
        has = self.store.has
        return Operator(
            self.link,
            self.keys,
            lambda: hooks,
            has_file=has,
            hold_ms=hold_ms,
            activity=self.activity,
            actor=actor,
        )

    async def prove_ready(self) -> None:
        """Write to Redis as the intake does; raises StreamUnavailable when it does not take it."""
        await self._probe.call("SET", self.keys.ready, _EVENT_SIZED, "EX", 60)
