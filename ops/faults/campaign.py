"""One run: faults under traffic, then silence, then the verdict."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.faults.journal import cut_off
from ops.faults.ledger import Kept, Verdict, judge
from ops.faults.mutants import MUTANTS
from ops.faults.peers import Meta, Receivers
from ops.faults.rest import come_to_rest
from ops.faults.stage import HOOKS, TIMEOUT, Stage, hook
from ops.faults.steps import STEPS, Fault
from ops.faults.strikes import Strikes
from ops.faults.valkey import Valkey


@dataclass(frozen=True)
class Plan:
    """What a run does: `rate` in events a second, `workers` without a fault beside those that have one."""

    faults: tuple[Fault, ...] = ()
    mutants: tuple[str, ...] = ()
    events: int = 150
    rate: float = 40.0
    workers: int = 1
    #: Redis killed and started again, and workers without a fault killed, in between.
    outages: int = 0
    kills: int = 0
    #: Faults that are prepared at the same time.
    width: int = 2
    seed: int = 1
    slow_second: float = 0.0
    #: Seconds without any change after which what is missing counts as missing.
    patience: float = 12.0
    #: Seconds after which the run is broken off with TimeoutError.
    limit: float = 300.0


@dataclass
class Result:
    """What came of a run: the verdict, how often each step came about, and figures for the table."""

    verdict: Verdict
    fired: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    outages: int = 0
    cut_off: int = 0
    resent: int = 0
    states: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def of_mutant(name: str, *, mutated: bool = True) -> Plan:
    """Return the run that must find a mutant; without it (`mutated` False), the same faults must do no harm."""
    faults = tuple(Fault.parse(text) for text in MUTANTS[name].faults)
    if not mutated:  # the product has no gap in ADD: what comes nearest is its end
        faults = tuple(Fault("add") if fault.step == "gap" else fault for fault in faults)
    freezes = any(not fault.ends for fault in faults)
    slow = 1.5 if any(fault.step == "refused" for fault in faults) else 0.0
    # A dead worker's place stays empty until it is missed; a frozen one's work is taken over meanwhile.
    workers = 1 if freezes else 0
    # Slow answers take the hooks' slots: with more traffic the one event that matters would wait in a queue.
    events, rate = (12, 4.0) if slow else (40, 20.0)
    mutants, patience = ((name,), 5.0) if mutated else ((), 12.0)
    return Plan(
        faults, mutants, events=events, rate=rate, workers=workers, width=1, slow_second=slow, patience=patience
    )


async def run(plan: Plan, folder: Path) -> Result:
    """Carry out a plan in an empty folder and judge it."""
    started = time.monotonic()
    async with Receivers(plan.slow_second) as receivers:
        with Valkey(folder / "redis") as valkey:
            stage = Stage(folder, valkey, plan.mutants)
            stage.configure([hook(hook_id, receivers.url(hook_id)) for hook_id in HOOKS])
            try:
                async with asyncio.timeout(plan.limit):
                    result = await Campaign(plan, stage, receivers).run()
            finally:
                stage.close()
    result.seconds = time.monotonic() - started
    return result


class Campaign:
    """A run on its stage."""

    def __init__(self, plan: Plan, stage: Stage, receivers: Receivers) -> None:
        self._plan = plan
        self._stage = stage
        self._receivers = receivers
        self._strikes = Strikes(stage, width=plan.width, seed=plan.seed)
        self._meta = Meta(f"{stage.base}/webhooks/whatsapp/business", plan.rate, plan.seed)
        self._faulting = True

    async def run(self) -> Result:
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
        return self._faulting or self._meta.sent < self._plan.events

    async def _strike(self) -> None:
        """Let every planned fault come about."""
        alone = [fault for fault in self._plan.faults if fault.step == "recover" or _is_web(fault)]
        shared = [self._strikes.in_a_worker(fault) for fault in self._plan.faults if fault not in alone]
        await asyncio.gather(*shared, self._strikes.outages(self._plan.outages), self._strikes.kills(self._plan.kills))
        for fault in alone:
            await (self._in_web(fault) if _is_web(fault) else self._in_recovery(fault))
        if not self._stage.workers:
            self._stage.start("worker")

    async def _in_web(self, fault: Fault) -> None:
        for web in self._stage.web:
            web.kill()
        await self._strikes.reach(self._stage.start("serve", fault))
        if not self._stage.web:
            self._stage.start("serve")
        await self._stage.ready()

    async def _in_recovery(self, fault: Fault) -> None:
        """Nobody else may recover what the prey leaves, so the others go first."""
        for worker in self._stage.workers:
            worker.kill()
        await self._strikes.reach(self._stage.start("worker", Fault("read")))
        await self._strikes.reach(self._stage.start("worker", fault))
        for _ in range(self._plan.workers):
            self._stage.start("worker")

    async def _come_to_rest(self) -> None:
        """Wait until nothing is missing, or until nothing has changed for a while."""

        async def look() -> tuple[bool, object]:
            verdict = self._judge(await self._stage.listing())
            is_over = not (verdict.lost or verdict.stuck) or bool(verdict.twice_in or verdict.doubled)
            return is_over, (verdict.accepted, len(self._receivers.receipts))

        await come_to_rest(look, self._plan.patience)

    async def _close(self) -> Result:
        faults = [*self._strikes.faults, *await self._stage.stop(self._stage.workers)]
        kept = await self._stage.listing()
        verdict = self._judge(kept)
        verdict.disagreements = await self._stage.disagreements()
        verdict.faults = faults + self._stage.unexplained_ends()
        return Result(
            verdict,
            self._stage.fired(),
            kills=self._stage.kills,
            outages=len(self._stage.valkey.outages),
            cut_off=len(self._cut_off()),
            resent=self._meta.resent,
            states=Counter(one.state for one in kept),
        )

    def _judge(self, kept: Sequence[Kept]) -> Verdict:
        return judge(self._meta.acked, HOOKS, self._receivers.receipts, kept, self._cut_off())

    def _cut_off(self) -> set[str]:
        outages = self._stage.valkey.outages
        return {
            attempt
            for one in self._stage.launched
            if one.kind == "worker"
            for attempt in cut_off(one.lines(), killed=one.killed, outages=outages, lease=TIMEOUT)
        }


def _is_web(fault: Fault) -> bool:
    return STEPS[fault.step].process == "web"
