"""The long run: rounds of every step, random kills and Redis outages; then each mutant, and its faults without it.

Events first, then replies (reply_runs.py), files (file_runs.py) and the event log (log.py).

    python -m ops.faults [--rounds N] [--replies N] [--files N] [--log N] [--seed N] [--no-mutants]

Prints a line a run and a verdict; exit code 0 when the product is green and every mutant red.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence

from ops.faults import file_runs, log, reply_runs, rows
from ops.faults.campaign import Plan, Result, of_mutant, run
from ops.faults.mutants import MUTANTS
from ops.faults.steps import STEPS, Fault

_ROW = "{:<24} {:>6} {:>8} {:>6} {:>5} {:>6} {:>7} {:>7} {:>4} {:>5} {:>7} {:>8} {:>5}  {}"
_HEAD = _ROW.format(
    *("run", "events", "accepted", "parked", "kills", "outage", "cut off", "doubles", "lost", "stuck", "doubled"),
    *("twice in", "s", "verdict"),
)


def main() -> int:
    """Carry all runs out, print the table, return the exit code."""
    parser = argparse.ArgumentParser("python -m ops.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="rounds of every step (default 6)")
    parser.add_argument("--replies", type=int, default=400, help="replies of a run (default 400), 0 leaves them out")
    parser.add_argument("--files", type=int, default=400, help="messages of a run (default 400), 0 leaves them out")
    parser.add_argument("--seed", type=int, default=1, help="the random choices (default 1)")
    parser.add_argument("--no-mutants", action="store_true", help="leave the mutants out")
    parser.add_argument("--log", type=int, default=20_000, help="events of the log's run (default 20000), 0: none")
    options = parser.parse_args()
    runs = list(_rounds(options.rounds, options.seed))
    if not options.no_mutants:
        runs += _mutants()
    good = _events(runs, options.rounds) if runs else True
    if options.replies:
        good = reply_runs.carry_out(options.replies, options.seed, mutants=not options.no_mutants) and good
    if options.files:
        good = file_runs.carry_out(options.files, options.seed, mutants=not options.no_mutants) and good
    if options.log:
        good = log.carry_out(options.log, mutants=not options.no_mutants) and good
    print("as it should be" if good else "NOT as it should be: see the rows marked !!")
    return 0 if good else 1


def _events(runs: Sequence[tuple[str, Plan, str]], rounds: int) -> bool:
    print(_HEAD, flush=True)
    results = [_carry_out(name, plan, shows) for name, plan, shows in runs]
    _summary([result for result, _ in results[:rounds]])
    return all(as_expected for _, as_expected in results)


def _rounds(count: int, seed: int) -> Iterator[tuple[str, Plan, str]]:
    """Yield rounds: each worker step once, at a random one of its first calls, and the web's step."""
    chance = random.Random(seed)
    steps = [name for name in STEPS if name != "gap"]
    for number in range(1, count + 1):
        chance.shuffle(steps)
        faults = tuple(Fault(step, 1 if step == "recover" else chance.randint(1, 12)) for step in steps)
        plan = Plan(faults, events=900, rate=60, workers=2, outages=3, kills=7, seed=seed + number, patience=20)
        yield f"round {number}", plan, ""


def _mutants() -> Iterator[tuple[str, Plan, str]]:
    for name, mutant in MUTANTS.items():
        yield name, of_mutant(name), mutant.shows
        yield "  the same without it", of_mutant(name, mutated=False), ""


def _carry_out(name: str, plan: Plan, shows: str) -> tuple[Result, bool]:
    """Run a plan and print its row; whether it came out as expected: green, or red by what the mutant `shows`."""
    result, as_expected, said = rows.carry_out(run, plan, shows)
    verdict = result.verdict
    counts = [len(part) for part in (verdict.lost, verdict.stuck, verdict.doubled, verdict.twice_in)]
    figures = (verdict.events, verdict.accepted, verdict.parked, result.kills, result.outages, result.cut_off)
    print(_ROW.format(name, *figures, verdict.explained, *counts, round(result.seconds), said), flush=True)
    for fault in (*verdict.disagreements, *verdict.faults) if not as_expected else ():
        print(f"    {fault}", flush=True)
    return result, as_expected


def _summary(rounds: Iterable[Result]) -> None:
    rounds = list(rounds)
    events, kills = sum(one.verdict.events for one in rounds), sum(one.kills for one in rounds)
    print(f"{events} events, {kills} processes killed, {sum(one.outages for one in rounds)} Redis outages")
    rows.print_fired(rounds)


if __name__ == "__main__":
    sys.exit(main())
