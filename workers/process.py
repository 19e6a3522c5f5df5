"""One worker process: what it consists of, how it starts, who watches it, and the order in which it stops."""

import asyncio
import dataclasses
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine

from whatshooked import logs, metrics
from whatshooked.boot import follow_reloads, read_again
from whatshooked.config import Config
from whatshooked.errors import StreamUnavailable
from whatshooked.events import EVENT_TYPES, Event
from whatshooked.hooks.delivery import Sender
from whatshooked.hooks.hook import Hooks, Switch
from whatshooked.keys import FIRST_SHARD, Keys
from whatshooked.meta.graph import Graph
from whatshooked.metrics import zeros
from whatshooked.scrape import Scrape, Serving
from whatshooked.stream import durability, layout
from whatshooked.stream.activity import Activity
from whatshooked.stream.consume import Consumer
from whatshooked.stream.follow import lags, shards, trim
from whatshooked.stream.fsck import examine
from whatshooked.stream.intake import Intake
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Outbox
from whatshooked.stream.outbox_fsck import examine_outboxes
from whatshooked.stream.outbox_upkeep import OutboxUpkeep
from whatshooked.stream.refused import RefusedReplies
from whatshooked.stream.registry import REMOVED_AFTER_MS, drop_lapsed, read_switches
from whatshooked.stream.replay import Operator
from whatshooked.stream.settle import Settler
from whatshooked.stream.upkeep import Limits, PushedOut, Upkeep
from whatshooked.traces import open_traces
from workers.accounts import Credentials
from workers.attempt import Attempts
from workers.consumer import Reader
from workers.due import Claimer
from workers.eventlog.keeper import Keeper
from workers.files import Files
from workers.outbox import Sending
from workers.outbox_upkeep import OutboxKeeper
from workers.recover import Recovery
from workers.replies import Replies
from workers.rounds import came_round, turning
from workers.slots import Slots
from workers.throughput import Throughput
from workers.traffic import Traffic

log = logs.get("hooks")

#: Seconds that attempts in flight may still take when the process is told to stop.
GRACE = 20.0
#: Seconds between two looks at the run-time switches.
SWITCHES_EVERY = 0.5
#: Seconds between two passes of upkeep.
UPKEEP_EVERY = 5.0


def begin_serving(config: Config) -> Serving | None:
    """Serve /metrics before there is a process, if the config names a port; what it finds out is added as it starts.

    Called from here, since `workers/boot.py` has to run before the metrics are imported.
    """
    return Serving.begin(config)


class Process:
    """Everything of one worker process; `start`, then `stop`."""

    def __init__(self, config: Config, url: str, serving: Serving | None = None) -> None:
        self.config = config
        self._url = url
        self.keys = Keys(config.redis.prefix)
        self.hooks = Hooks(config.hooks)
        self._switches: dict[str, Switch] = {}
        #: The file was read, and may overrule switches.
        self._file_is_new = True
        self._links = {
            name: Link(url)
            for name in ("read", "route", "settle", "claim", "add", "outbox", "media", "eventlog", "other")
        }
        self._sender = Sender()
        self._traces = open_traces(config.traces, "worker")
        self._graph = Graph()
        self._scrape = Scrape(lambda: self.config, self.keys, url)
        self._serving = serving
        self.activity = Activity(lambda: self.config.event_logger.enabled)
        self._settler = Settler(self._links["settle"], self.keys, self.activity)
        self._intake = Intake(self._links["add"], self.keys, self.activity)
        self._slots = Slots()
        self._build()
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._telling: asyncio.Task[None] | None = None
        #: Target of the event log → records that it had lost at the last look.
        self._lost: dict[str, int] = {}
        self._stopping = False

    def _build(self) -> None:
        links, keys, now = self._links, self.keys, lambda: self.hooks
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.consumer = Consumer(links["route"], links["read"], keys, name, self.activity)
        self._files = Files(
            links["media"],
            keys,
            name,
            self._graph,
            self._settler,
            self._slots,
            lambda: self.config,
            now,
            self.activity,
        )
        refused, throughput = RefusedReplies(links["outbox"], keys), Throughput(links["outbox"], keys)
        outgoing, uploads = Outbox(links["outbox"], keys, self.activity), self._files.uploads
        self._sending = Sending(outgoing, self._graph, lambda: self.config, refused, throughput, uploads)
        replies = Replies(lambda: self.config, self._sending.wake.set)
        self._fetcher = self._files.fetcher
        settler, slots, bodies = self._settler, self._slots, self._files.bodies
        self._attempts = Attempts(self._sender, settler, self._intake, slots, now, replies, bodies, self._traces)
        outbox = Outbox(links["route"], keys, self.activity)
        self._reader = Reader(self.consumer, self._attempts, self._fetcher, self._slots, outbox, now, self._saw)
        self._claimer = Claimer(links["claim"], keys, self._attempts, self._fetcher, self._slots, now, self.activity)
        self._recovery = Recovery(self.consumer, self._reader, now)
        self._traffic = Traffic(links["other"], keys)
        self._credentials = Credentials(
            links["other"],
            keys,
            name,
            self._intake,
            lambda: self.config,
            now,
            self._graph,
            self._traffic,
            self.activity,
        )
        self._sending.on_bad_token = self._credentials.doubt
        self._upkeep = Upkeep(
            links["other"], keys, Operator(links["other"], keys, now, activity=self.activity), self.activity
        )
        self._outboxes = OutboxKeeper(OutboxUpkeep(links["other"], keys, self.activity))
        self._eventlog = Keeper(links["eventlog"], keys, name, lambda: self.config, self._url)
        self._apply_cache_mode()

    async def start(self) -> None:
        """Follow SIGHUP, show that this process lives, start its loops; waits for Redis as long as it takes.

        Raises StartError when the keys there have a layout that this code does not know.
        """
        follow_reloads(self.reload)
        self._show_zeros()
        self._serving = self._serving or begin_serving(self.config)
        if self._serving is not None:
            self._serving.asks(self._scrape)
        while True:
            try:
                await layout.hold(self._links["other"], self.keys)
                await self._refresh_switches()
                await self.consumer.ensure_group()
                await self._recovery.beat()
                break
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("start").inc()
                log.warn("Waiting for Redis", error=str(error))
                await asyncio.sleep(0.5)
        # A full Redis may have no key of links, and must drain all the same.
        await self._one_step(self._refresh_files, [])
        self._watch("reader", self._reader.run())
        self._watch("claimer", self._claimer.run())
        self._watch("sending", self._sending.run())
        self._watch("recovery", self._recovery.run())
        self._watch("credentials", self._credentials.run())
        self._watch("switches", self._follow_switches())
        self._watch("upkeep", self._keep_up())
        self._watch("fetcher", self._fetcher.run())
        self._watch("files", self._files.keep_up())
        self._watch("eventlog", self._eventlog.run())
        log.info("Hook manager started and subscribed to events", event_types=len(EVENT_TYPES))

    async def stop(self) -> None:
        """No new reads, let attempts in flight finish, hand the rest back, say goodbye."""
        self._stopping = self._reader.stopping = self._claimer.stopping = self._sending.stopping = True
        self._recovery.stopping.set()
        self._credentials.stopping.set()
        self._slots.wake.set()
        self._sending.wake.set()
        await self._end("reader", "claimer", "sending")
        self._fetcher.stopping.set()
        await asyncio.gather(self._attempts.drain(GRACE), self._sending.drain(GRACE), self._fetcher.drain(5.0))
        await self._settler.drain(patience=5.0)
        await self._intake.drain()  # the last `hook.*` events
        for name in ("credentials", "upkeep", "files"):  # a call to Graph or a long pass is not worth waiting for
            if name in self._loops:
                self._loops[name].cancel()
        self._eventlog.stopping.set()  # last: what was done until now is written yet, as far as its targets are there
        await self._end("recovery", "switches", "credentials", "upkeep", "fetcher", "files", "eventlog")
        try:
            await self.consumer.farewell()
        except StreamUnavailable:
            metrics.REDIS_ERRORS.labels("stop").inc()  # the heartbeat runs out by itself
        await self._sender.close()
        await self._traces.close()
        await self._graph.close()
        await self._files.close()
        if self._serving is not None:
            await self._serving.stop()
        await self._scrape.close()
        for link in self._links.values():
            await link.close()
        log.info("Worker stopped", attempts_left=self._slots.busy)

    def _saw(self, event: Event) -> None:
        self._traffic.saw(event)
        if event.type == "message.received":
            self._sending.came_in[event.account_id] += 1

    def reload(self) -> None:
        """Read the config again, all of it or nothing."""
        found = read_again(self.config)
        metrics.RELOADS.labels("ok" if found else "refused").inc()
        told = self.activity.tell_reload(self._links["other"], self.keys, found is not None, "worker")
        self._telling = asyncio.create_task(told)
        if found is None:
            return
        self.config = found
        self._file_is_new = True
        self.hooks = Hooks(found.hooks, self._switches)
        self._show_zeros()
        self._apply_cache_mode()

    async def self_check(self) -> None:
        """Log every disagreement between the keys, and what has become wrong with Redis; raises StreamUnavailable."""
        for line in (await durability.examine(self._links["other"])).refusals:
            log.error(line)
        found = await examine(self._links["other"], self.keys, list(self.hooks.by_id), repair=False)
        found += await examine_outboxes(self._links["other"], self.keys, repair=False)
        for one in found[:20]:
            log.error("Keys disagree, run fsck --repair", event_id=one.id, what=one.what, hook_id=one.hook or None)
        metrics.DISAGREEMENTS.inc(len(found))

    async def _keep_up(self) -> None:
        while not self._stopping:
            came_round()
            await self._one_pass()
            await asyncio.sleep(UPKEEP_EVERY)

    async def _one_pass(self) -> None:
        """Each step's trouble with Redis is left to its next pass, and keeps no other step from its own."""
        hooks = list(self.hooks.by_id)
        upkeep = (self._enforce, self._forget, self._drop_removed, self._keep_outboxes, self._refresh_files)
        for step in (*upkeep, self._trim_activity):
            await self._one_step(step, hooks)

    async def _one_step(self, step: Callable[[list[str]], Awaitable[None]], hooks: list[str]) -> None:
        try:
            await step(hooks)
        except StreamUnavailable as error:
            metrics.REDIS_ERRORS.labels("upkeep").inc()
            log.warn("Upkeep failed, trying again", step=step.__name__.strip("_"), error=str(error))

    async def _enforce(self, hooks: list[str]) -> None:
        aged, crowded = await self._upkeep.enforce(self._limits(), hooks)
        old, many = ("too_old", "too_many") if self.config.message_cache.enabled else ("cache_off", "cache_off")
        for reason, counts in ((old, aged), (many, crowded)):
            if counts:
                _count_removed(reason, counts)
                log.warn("Cached events pushed out", reason=reason, events=counts.total())

    async def _forget(self, _: list[str]) -> None:
        limits = self._limits()
        if self.config.event_logger.enabled:
            limits = dataclasses.replace(limits, keep_from=await self._unwritten())
        metrics.FORGOTTEN.inc(await self._upkeep.forget(limits))

    async def _drop_removed(self, hooks: list[str]) -> None:
        if not self._is_steady():
            return
        for hook, counts in (await self._upkeep.drop_removed(hooks)).items():
            _count_removed("hook_removed", counts)
            log.warn("Events of a removed hook given up", hook_id=hook, events=counts.total())

    async def _refresh_files(self, _: list[str]) -> None:
        await self._files.refresh()

    async def _unwritten(self) -> float:
        """Return when the oldest record was noted that some target of the log has yet to write (unix ms)."""
        link, targets = self._links["other"], self.config.event_logger.targets
        found = await lags(link, {FIRST_SHARD: (self.keys.activity, self.keys.dropped)}, targets)
        return await link.now() - max((lag.seconds for lag in found.values()), default=0.0) * 1000

    async def _trim_activity(self, _: list[str]) -> None:
        link, logger = self._links["other"], self.config.event_logger
        accounts = await self._outboxes.known(self.config)
        targets = logger.targets if logger.enabled else ()
        streams = shards(self.keys, accounts)
        await trim(link, streams, targets, logger.buffer_bytes)
        lost = {target: lag.dropped for target, lag in (await lags(link, streams, targets)).items()}
        for target, count in lost.items():
            if count > self._lost.get(target, count):
                log.error("Records dropped before they were logged", target=target, records=count - self._lost[target])
        self._lost = lost

    async def _keep_outboxes(self, _: list[str]) -> None:
        await self._outboxes.run_pass(self.config, is_steady=self._is_steady())

    def _is_steady(self) -> bool:
        """Only who has been in touch all along may judge that nobody shows a hook, or an account, any more."""
        return self._recovery.steady_seconds * 1000 > REMOVED_AFTER_MS

    def _limits(self) -> Limits:
        cache, day = self.config.message_cache, 86_400_000
        return Limits(
            max_events=cache.max_events if cache.enabled else 0,
            max_age_ms=round(cache.max_age_days * day) if cache.enabled else 0,
            history_ms=round(cache.history_hours * day / 24),
            history_bytes=cache.history_bytes,
        )

    def _apply_cache_mode(self) -> None:
        self._reader.keeps_unmatched = self._attempts.keeps_dead = self.config.message_cache.enabled

    def _show_zeros(self) -> None:
        config = self.config
        logged = config.event_logger.targets if config.event_logger.enabled else ()
        zeros.worker(self.hooks.by_id, (account.id for account in config.whatsapp), logged)

    async def _follow_switches(self) -> None:
        while not self._stopping:
            came_round()
            self._slots.show()
            try:
                await self._refresh_switches()
                await self.activity.look(self._links["other"], self.keys)
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("switches").inc()
                log.debug("Switches could not be read", error=str(error))
            await asyncio.sleep(SWITCHES_EVERY)

    async def _refresh_switches(self) -> None:
        switches = await read_switches(self._links["other"], self.keys)
        if self._file_is_new:
            judged = self.config
            in_file = {hook.id: hook.active for hook in judged.hooks}
            await drop_lapsed(self._links["other"], self.keys, in_file, switches)
            self._file_is_new = judged is not self.config  # a reload may have come meanwhile
        if switches != self._switches:
            self._switches = switches
            self.hooks = Hooks(self.config.hooks, switches)
            self._slots.wake.set()

    def _watch(self, name: str, loop: Coroutine[None, None, None]) -> None:
        task = self._loops[name] = turning(name, loop)
        task.add_done_callback(self._loop_ended)

    def _loop_ended(self, task: asyncio.Task[None]) -> None:
        """A loop that ends unasked is a bug: the process ends with it and its supervisor starts another."""
        if self._stopping or task.cancelled():
            return
        log.error(
            "A loop of the worker ended, stopping the process", loop=task.get_name(), error=repr(task.exception())
        )
        os.kill(os.getpid(), signal.SIGTERM)

    async def _end(self, *names: str) -> None:
        """Wait for loops that were told to stop; a read waits a second for news at most, and is never cancelled."""
        tasks = [self._loops[name] for name in names if name in self._loops]
        if tasks:
            await asyncio.wait(tasks, timeout=15.0)


def _count_removed(reason: str, counts: PushedOut) -> None:
    for state, count in counts.items():
        metrics.LEFT_CACHE.labels(reason, state).inc(count)
