"""The long run's part about replies: both ways with what is unknown, full speed, then each mutant; a row each."""

import random
from collections.abc import Iterator

from ops.faults import rows
from ops.faults.replies import TROUBLE, ReplyPlan, ReplyResult, of_mutant, run
from ops.faults.reply_mutants import REPLY_MUTANTS
from ops.faults.steps import REPLY_STEPS, Fault

_ROW = "{:<18} {:>7} {:>6} {:>7} {:>6} {:>5} {:>6} {:>5} {:>7} {:>7} {:>5} {:>5} {:>5} {:>9} {:>5}  {}"
_HEAD = _ROW.format(
    *("run", "replies", "sent", "unknown", "twice", "kills", "outage", "a s"),
    *("missing", "doubled", "stuck", "wrong", "order", "throttled", "s", "verdict"),
)
#: Replies for which every step comes about once.
_ROUND = 500
#: Seconds for which a worker stands still: longer than the lease of a send.
_FREEZE = 6.0
#: Messages a second, in and out together, that must be reached where nothing goes wrong.
REACHED = 70.0


def carry_out(replies: int, seed: int, *, mutants: bool) -> bool:
    """Carry all runs out and print the table; return whether each came out as expected."""
    print(f"\n{_HEAD}", flush=True)
    plans = [*_plans(replies, seed), *(_mutants() if mutants else ())]
    results = [_row(name, plan, shows) for name, plan, shows in plans]
    rows.print_fired(result for result, _ in results)
    return all(as_expected for _, as_expected in results)


def _plans(replies: int, seed: int) -> Iterator[tuple[str, ReplyPlan, str]]:
    for name, resend in (("hold", False), ("resend", True)):
        yield name, storm(replies, seed, resend=resend), ""
    full = ReplyPlan(replies=1_000, rate=25.0, asks=25, workers=2, least_rate=REACHED, seed=seed)
    yield "full speed", full, ""


def storm(replies: int, seed: int, *, resend: bool) -> ReplyPlan:
    """Return a run in which everything goes wrong, in a random order and at random ones of each step's first calls."""
    chance = random.Random(seed)
    rounds = max(replies // _ROUND, 1)
    steps = [name for name in REPLY_STEPS if name != "reply_gap"]
    faults = [Fault(step, chance.randint(1, 6)) for step in steps * rounds]
    faults += [Fault(step, 2, _FREEZE) for step in ("send_claimed", "send_accepted")]
    chance.shuffle(faults)
    return ReplyPlan(
        tuple(faults),
        replies=replies,
        rate=30.0,
        hot=True,
        workers=2,
        outages=2 + rounds,
        kills=4 * rounds,
        width=3,
        seed=seed,
        resend=resend,
        trouble=TROUBLE,
        trouble_every=25,
        limit=200.0 + replies / 10,
    )


def _mutants() -> Iterator[tuple[str, ReplyPlan, str]]:
    for name, mutant in REPLY_MUTANTS.items():
        yield name, of_mutant(name), mutant.shows


def _row(name: str, plan: ReplyPlan, shows: str) -> tuple[ReplyResult, bool]:
    """Run a plan and print its row; whether it came out as expected: green, or red by what the mutant `shows`."""
    result, as_expected, said = rows.carry_out(run, plan, shows)
    verdict = result.verdict
    found = (verdict.missing, verdict.doubled, verdict.stuck, verdict.wrong, verdict.disordered, verdict.throttled)
    parts = [len(part) for part in found]
    figures = (verdict.replies, verdict.states["sent"], verdict.states["unknown"], verdict.twice)
    beside = (result.kills, result.outages, round(result.rate))
    print(_ROW.format(name, *figures, *beside, *parts, round(result.seconds), said), flush=True)
    if not as_expected:
        print(f"    {verdict}", flush=True)
    return result, as_expected
