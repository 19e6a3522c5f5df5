"""One run of replies: customers write, workers die on the replies' way, and Meta's own record says what was sent."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ops.faults.reply_ledger import TOO_FAST, Listed, Verdict, busiest, judge
from ops.faults.reply_mutants import REPLY_MUTANTS
from ops.faults.rest import come_to_rest
from ops.faults.stage import ACCOUNT, TOKEN, Stage, hook
from ops.faults.steps import Fault
from ops.faults.strikes import Strikes
from ops.faults.talk import Customers, Mirror, SimulatedMeta
from ops.faults.valkey import Valkey
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import STATES, Outbox, Record
from whatshooked.stream.outbox_fsck import examine_outboxes

HOOK = "h1"
#: Replies to one user, asked for in one message: more than Meta takes at once from one number.
HOT, _HOT_PHONE = 48, "4915200000000"
#: What befalls sends at Meta: taken and no answer, taken and cut off, cut off before, out of order for a while.
TROUBLE = ("hang_after", "reset_after", "reset", "error_131016")
#: Seconds over which a rate is measured: shorter than the burst that Meta's limit lets pass says nothing.
STRETCH = 5.0
#: What a number may pass, in and out together, and a little for what came in and is counted late.
MOST_RATE = 82.0


@dataclass(frozen=True)
class ReplyPlan:
    """What a run does: `rate` in events a second, `workers` without a fault beside those that have one."""

    faults: tuple[Fault, ...] = ()
    mutants: tuple[str, ...] = ()
    replies: int = 150
    rate: float = 25.0
    #: Replies that one message asks for.
    asks: int = 1
    one_user: bool = False
    #: One user asks for more at once than may be sent at once.
    hot: bool = False
    workers: int = 1
    #: Redis killed and started again, and workers without a fault killed, in between.
    outages: int = 0
    kills: int = 0
    width: int = 2
    seed: int = 1
    resend: bool = False
    #: Faults of the simulated Meta, each in turn at one send in `trouble_every`.
    trouble: tuple[str, ...] = ()
    trouble_every: int = 15
    #: Seconds until Meta tells that a message was sent, later than a lease's end; None = never.
    told_after: float | None = 6.0
    #: Messages a second, in and out together, that must be reached, and MOST_RATE not passed; 0 = any.
    least_rate: float = 0.0
    #: Seconds without any change after which what is missing counts as missing.
    patience: float = 15.0
    #: Seconds after which the run is broken off with TimeoutError.
    limit: float = 300.0


@dataclass
class ReplyResult:
    """What came of a run: the verdict, how often each step came about, and figures for the table."""

    verdict: Verdict
    fired: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    outages: int = 0
    #: Messages a second in the busiest stretch, in and out together.
    rate: float = 0.0
    seconds: float = 0.0


def of_mutant(name: str) -> ReplyPlan:
    """Return the run that must find a mutant; without it, the faults are those of every run."""
    mutant = REPLY_MUTANTS[name]
    faults = tuple(Fault.parse(text) for text in mutant.faults)
    return ReplyPlan(
        faults,
        (name,),
        replies=mutant.messages * mutant.asks,
        rate=20.0,
        asks=mutant.asks,
        one_user=mutant.one_user,
        workers=0 if faults else 1,
        width=1,
        trouble=mutant.trouble,
        told_after=None,  # or a status would settle what the mistake leaves open
        patience=8.0,
    )


async def run(plan: ReplyPlan, folder: Path) -> ReplyResult:
    """Carry out a plan in an empty folder and judge it."""
    started = time.monotonic()
    async with Mirror() as mirror:
        with Valkey(folder / "redis") as valkey:
            stage = Stage(folder, valkey, plan.mutants)
            try:
                async with (
                    asyncio.timeout(plan.limit),
                    SimulatedMeta(folder, f"{stage.base}/webhooks/whatsapp/{ACCOUNT}", TOKEN) as meta,
                    Link(valkey.url) as link,
                ):
                    unknown = "resend" if plan.resend else "hold"
                    stage.configure([hook(HOOK, mirror.url(HOOK))], graph_url=meta.url, on_unknown=unknown)
                    result = await ReplyCampaign(plan, stage, meta, link).run()
            finally:
                stage.close()
    result.seconds = time.monotonic() - started
    return result


class ReplyCampaign:
    """A run on its stage."""

    def __init__(self, plan: ReplyPlan, stage: Stage, meta: SimulatedMeta, link: Link) -> None:
        self._plan = plan
        self._stage = stage
        self._meta = meta
        self._link = link
        self._outbox = Outbox(link, stage.keys)
        self._strikes = Strikes(stage, width=plan.width, seed=plan.seed)
        self._customers = Customers(meta, rate=plan.rate, asks=plan.asks, one_user=plan.one_user, seed=plan.seed)
        self._faulting = True

    async def run(self) -> ReplyResult:
        """Faults under traffic, silence, verdict."""
        await self._prepare()
        self._stage.start("serve")
        for _ in range(self._plan.workers):
            self._stage.start("worker")
        await self._stage.ready()
        watching = asyncio.create_task(self._watch())
        try:
            if self._plan.hot:
                await self._customers.ask(HOT, phone=_HOT_PHONE)
            async with asyncio.TaskGroup() as traffic:
                traffic.create_task(self._customers.write(self._goes_on))
                await self._strike()
                self._faulting = False
            await self._come_to_rest()
        finally:
            watching.cancel()
        return await self._close()

    async def _prepare(self) -> None:
        """Meta sends some webhooks twice, tells of what was sent and no more, and has trouble now and then."""
        told = {"sent_after": self._plan.told_after, "delivered_after": None, "read_after": None}
        await self._meta.control("PATCH", "knobs", json=told | {"duplicates": 0.05})
        every = self._plan.trouble_every
        await self._meta.trouble(self._plan.trouble, every=every, times=min(self._plan.replies // every, 200))

    def _goes_on(self) -> bool:
        return self._faulting or len(self._customers.asked) < self._plan.replies

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self._meta.look()

    async def _strike(self) -> None:
        """Let every planned fault come about."""
        shared = [self._strikes.in_a_worker(fault) for fault in self._plan.faults]
        outages, kills = self._strikes.outages(self._plan.outages), self._strikes.kills(self._plan.kills)
        await asyncio.gather(*shared, outages, kills)
        if not self._stage.workers:  # on a busy machine it takes long to start, and nobody would miss anything yet
            await self._strikes.reach(self._stage.start("worker"), lambda one: bool(one.lines()))

    async def _come_to_rest(self) -> None:
        """Wait until nothing is left that time might mend, or until nothing has changed for a while."""

        async def look() -> tuple[bool, object]:
            counts = await self._outbox.counts(ACCOUNT)
            if not (counts["new"] or counts["sending"]):
                verdict, _ = await self._judge()
                waits = bool(verdict.untold) and self._plan.told_after is not None
                if (verdict.at_rest and not waits) or verdict.doubled:
                    return True, counts
                await self._meta.hurry()
            return False, counts

        await come_to_rest(look, self._plan.patience)

    async def _close(self) -> ReplyResult:
        faults = [*self._strikes.faults, *await self._stage.stop(self._stage.workers)]
        faults += self._stage.unexplained_ends()
        await self._meta.look()
        verdict, times = await self._judge()
        verdict.throttled = [code for _, code in self._meta.answers if code in TOO_FAST]
        faults += [
            f"{one.what} of {one.id}"
            for one in [
                *await examine(self._link, self._stage.keys, [HOOK], repair=False),
                *await examine_outboxes(self._link, self._stage.keys, repair=False),
            ]
        ]
        faults += [f"reply {name} never moved" for name, _ in await self._outbox.replies(10)]
        rate = busiest(times, STRETCH)
        if self._plan.least_rate and not self._plan.least_rate <= rate <= MOST_RATE:
            faults.append(f"{rate:g} messages a second")
        verdict.faults = faults
        return ReplyResult(
            verdict,
            self._stage.fired(),
            kills=self._stage.kills,
            outages=len(self._stage.valkey.outages),
            rate=rate,
        )

    async def _judge(self) -> tuple[Verdict, list[float]]:
        listed = await self._listed()
        passed, times = await self._meta.record()
        parked = {one.message_id for one in await self._stage.listing() if one.state != "waiting"}
        resend = self._plan.resend
        ordered = resend or not any(fault.seconds for fault in self._plan.faults)
        return judge(self._customers.asked, passed, listed, parked, resend=resend, ordered=ordered), times

    async def _listed(self) -> list[Listed]:
        """Return what the outbox lists, state by state."""
        rows: list[Listed] = []
        for state in STATES:
            rows += [_shown(state, record) for record in await self._outbox.page(ACCOUNT, state, limit=100_000)]
        return rows


def _shown(state: str, record: Record) -> Listed:
    label = msgspec.json.decode(record.body)["text"]["body"]
    said = state if state == record.state else f"{state}, not {record.state}"
    return Listed(label, said, record.attempts, record.status)
