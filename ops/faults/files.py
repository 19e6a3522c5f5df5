"""One run of files: messages bring them, workers die on the files' way, and the folder says what came of it."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ops.faults import file_host, ledger, shelf
from ops.faults.file_host import ACCOUNTS, MOST, FileHost, Lookers
from ops.faults.file_ledger import Cut, FileVerdict, Told, judge
from ops.faults.file_mutants import FILE_MUTANTS, Habits
from ops.faults.journal import Line, cut_off, named, of_kind, unrecorded
from ops.faults.launch import FETCH, LOOK_UP
from ops.faults.ledger import Kept
from ops.faults.peers import Meta
from ops.faults.rest import come_to_rest
from ops.faults.stage import HOOKS, TIMEOUT, Stage, account, hook
from ops.faults.steps import Fault
from ops.faults.strikes import Strikes
from ops.faults.valkey import Valkey

#: Files fetched at once per worker: so few that others wait in Redis.
_CONCURRENCY = 4
#: Bytes above which a file goes out as a link alone.
_INLINE = 64 * 1024
#: Seconds that a message waits for its file: all faults of a run have their time in it; where nobody is there, less.
HOLD, SHORT_HOLD = 30.0, 5.0
#: Seconds beyond the hold for which nobody is there: more than a claim may be late.
_AWAY = 4.0


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What a run does: `rate` in events a second, `workers` without a fault beside those that have one."""

    faults: tuple[Fault, ...] = ()
    mutants: tuple[str, ...] = ()
    events: int = 120
    rate: float = 20.0
    workers: int = 1
    #: Redis killed and started again, and workers without a fault killed, in between.
    outages: int = 0
    kills: int = 0
    #: Faults that are prepared at the same time.
    width: int = 2
    seed: int = 1
    habits: Habits = field(default_factory=Habits)
    #: All workers are killed, and no other is there for longer than a message waits for its file.
    away: bool = False
    #: Seconds without any change after which what is missing counts as missing.
    patience: float = 15.0
    #: Seconds after which the run is broken off with TimeoutError.
    limit: float = 300.0

    @property
    def relief(self) -> bool:
        """Whether another worker starts when the first one stands still: that one must be the first to fetch."""
        return not self.workers and any(not fault.ends for fault in self.faults)


@dataclass
class FileResult:
    """What came of a run: the verdict, how often each step came about, and figures for the table."""

    verdict: FileVerdict
    fired: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    outages: int = 0
    #: Fetches that faults cut off, and temporary files that they left half written.
    cut_off: int = 0
    amid: int = 0
    #: Looks of who lists the folder all the time.
    looks: int = 0
    seconds: float = 0.0


def of_mutant(name: str, *, mutated: bool = True) -> FilePlan:
    """Return the run that must find a mutant; without it (`mutated` False), the same faults must do no harm."""
    mutant = FILE_MUTANTS[name]
    faults = tuple(Fault.parse(text) for text in mutant.faults)
    if not mutated:  # the product has no gap in keep: what comes nearest is its end
        faults = tuple(Fault("media_kept") if fault.step == "media_gap" else fault for fault in faults)
    return FilePlan(
        faults,
        (name,) if mutated else (),
        events=mutant.events,
        workers=0 if faults else 1,
        width=1,
        habits=mutant.habits,
        away=mutant.away,
        patience=mutant.patience if mutated else max(mutant.patience, 15.0),
    )


async def run(plan: FilePlan, folder: Path) -> FileResult:
    """Carry out a plan in an empty folder and judge it."""
    started = time.monotonic()
    store = folder / "files"
    host = FileHost(plan.habits, plan.seed)
    async with host.serve(), Lookers(store, host.brought) as lookers:
        with Valkey(folder / "redis") as valkey, shelf.Watcher(store, host.brought) as watcher:
            stage = Stage(folder, valkey, plan.mutants)
            _configure(stage, plan, host, lookers, store)
            try:
                async with asyncio.timeout(plan.limit):
                    result = await FileCampaign(plan, stage, host, lookers, watcher, store).run()
            finally:
                stage.close()
    result.seconds = time.monotonic() - started
    return result


def _configure(stage: Stage, plan: FilePlan, host: FileHost, lookers: Lookers, store: Path) -> None:
    modes = dict(zip(HOOKS, ("link", "both"), strict=True))
    hooks = [hook(hook_id, lookers.url(hook_id)) | {"media_mode": mode} for hook_id, mode in modes.items()]
    api = {"graph_url": host.world.address}
    accounts = [
        account(file_host.account(n), file_host.phone(n), phone_number_id=file_host.number_id(n), **api)
        for n in range(ACCOUNTS)
    ]
    bounds = {"max_bytes": MOST, "base64_max_bytes": _INLINE, "concurrency": _CONCURRENCY}
    wait = {"max_wait": SHORT_HOLD if plan.away else HOLD}
    stage.configure(hooks, accounts=accounts, media={"data_path": str(store), "base_url": stage.base} | bounds | wait)


class FileCampaign:
    """A run on its stage."""

    def __init__(
        self, plan: FilePlan, stage: Stage, host: FileHost, lookers: Lookers, watcher: shelf.Watcher, store: Path
    ) -> None:
        self._plan = plan
        self._stage = stage
        self._host = host
        self._lookers = lookers
        self._watcher = watcher
        self._store = store
        self._strikes = Strikes(stage, width=plan.width, seed=plan.seed)
        self._meta = Meta(f"{stage.base}/webhooks/whatsapp/{file_host.account(0)}", plan.rate, plan.seed, host.body)
        self._faulting = True

    async def run(self) -> FileResult:
        """Faults under traffic, silence, verdict."""
        self._stage.start("serve")
        for _ in range(self._plan.workers):
            self._stage.start("worker")
        await self._stage.ready()
        async with asyncio.TaskGroup() as traffic:
            traffic.create_task(self._meta.send(self._goes_on))
            await self._strike()
            self._faulting = False
        await self._come_to_rest()
        return await self._close()

    def _goes_on(self) -> bool:
        few = self._plan.relief or self._plan.away  # their files have to come in time
        return self._meta.sent < self._plan.events or (self._faulting and not few)

    async def _strike(self) -> None:
        """Let every planned fault come about."""
        work = [self._strikes.in_a_worker(fault) for fault in self._plan.faults]
        work += [self._strikes.outages(self._plan.outages), self._strikes.kills(self._plan.kills)]
        work += [self._go_away()] if self._plan.away else []
        work += [self._relieve()] if self._plan.relief else []
        await asyncio.gather(*work)
        if not self._stage.workers:
            self._stage.start("worker")

    async def _go_away(self) -> None:
        """Leave messages whose files are on their way to nobody, until they have waited too long."""
        while not self._lookers.told:
            await asyncio.sleep(0.05)
        for worker in self._stage.workers:
            worker.kill()
        await asyncio.sleep(SHORT_HOLD + _AWAY)

    async def _relieve(self) -> None:
        """Let another worker take over what one that stands still has begun."""
        while not any(one.fault is not None and one.begun() for one in self._stage.launched):
            await asyncio.sleep(0.05)
        self._stage.start("worker")

    async def _come_to_rest(self) -> None:
        """Wait until nothing is missing, or until nothing has changed for a while."""

        async def look() -> tuple[bool, object]:
            verdict = await asyncio.to_thread(self._judge, await self._stage.listing())
            is_over = verdict.at_rest or bool(verdict.deliveries.twice_in or verdict.deliveries.doubled)
            return is_over, (verdict.deliveries.accepted, len(self._lookers.receipts))

        await come_to_rest(look, self._plan.patience)

    async def _close(self) -> FileResult:
        told = await self._follow()
        faults = [*self._strikes.faults, *await self._stage.stop(self._stage.workers)]
        kept = await self._stage.listing()
        verdict = self._judge(kept, told)
        verdict.torn = list(self._watcher.torn)
        verdict.deliveries.disagreements = await self._stage.disagreements()
        # Each fetch has one, and keep writes another beside it.
        verdict.litter = await shelf.litter(self._store, 2 * _CONCURRENCY * self._stage.kills)
        verdict.faults = faults + self._stage.unexplained_ends()
        return FileResult(
            verdict,
            self._stage.fired(),
            kills=self._stage.kills,
            outages=len(self._stage.valkey.outages),
            cut_off=sum(self._cut(kept).fetches.values()),
            amid=self._watcher.amid(self._host.sizes),
            looks=self._watcher.looks,
        )

    async def _follow(self) -> list[Told]:
        """Follow the last link of each message, as whoever received it does; return what they led to."""
        found = []
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            for message_id, url in self._lookers.urls.items():
                answer = await client.get(url)
                sha256 = hashlib.sha256(answer.content).hexdigest() if answer.status_code == 200 else ""
                filename = url.partition("?")[0].rpartition("/")[2]
                found.append(Told(message_id, filename, found=(sha256,)))
        return found

    def _judge(self, kept: Sequence[Kept], followed: Sequence[Told] = ()) -> FileVerdict:
        acked, told = set(self._meta.acked), [*self._lookers.told, *followed]
        cut_posts = {
            attempt
            for one in self._stage.launched
            for attempt in self._cut_off(of_kind(one.lines(), *HOOKS), killed=one.killed, lease=TIMEOUT)
        }
        deliveries = ledger.judge(self._meta.acked, HOOKS, self._lookers.receipts, kept, cut_posts)
        brought = {i: one for i, one in self._host.brought.items() if i in acked}
        lying, downloads = shelf.lying(self._store), self._host.downloads()
        verdict = judge(deliveries, brought, told, lying, downloads, self._cut(kept))
        verdict.endless = [one.message_id for one in kept if FETCH in one.hooks]
        return verdict

    def _cut(self, kept: Sequence[Kept]) -> Cut:
        """Return the fetches and look-ups that faults cut off, or that failed."""
        messages = {one.event_id: one.message_id for one in self._lookers.receipts}
        messages |= {one.event_id: one.message_id for one in kept}
        fetches, look_ups = Counter[str](), Counter[str]()
        for one in self._stage.launched:
            lines = one.lines()
            about = named(lines)
            begun, asked = of_kind(lines, FETCH), of_kind(lines, LOOK_UP)
            fetches.update(messages.get(about[i][0], "") for i in self._cut_off(begun, killed=one.killed))
            doubtful = self._cut_off(asked, killed=one.killed) | unrecorded(asked)
            look_ups.update(about[i][0].partition("/")[0] for i in doubtful)
        return Cut(fetches, look_ups)

    def _cut_off(self, lines: Sequence[Line], *, killed: bool, lease: float = 0.0) -> set[str]:
        return cut_off(lines, killed=killed, outages=self._stage.valkey.outages, lease=lease)
