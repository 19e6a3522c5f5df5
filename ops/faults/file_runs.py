"""The long run's part about files: storms and random kills, then each mutant and its faults without it."""

import random
from collections.abc import Iterator

from ops.faults import rows
from ops.faults.file_mutants import FILE_MUTANTS
from ops.faults.files import FilePlan, FileResult, of_mutant, run
from ops.faults.steps import MEDIA_STEPS, Fault

#: What may be found, as the table shows it.
_FOUND = ("lost", "bare", "endless", "missing", "wrong", "torn", "twice", "unshared", "repeated", "litter")
_ROW = "{:<21}" + " {:>7}" * 7 + " {:>8}" * len(_FOUND) + " {:>4}  {}"
_HEAD = _ROW.format(
    *("run", "events", "files", "kills", "outage", "cut off", "amid", "excused"), *_FOUND, *("s", "verdict")
)
#: Messages for which every step comes about once.
_ROUND = 400
#: Seconds for which a worker stands still: longer than the lease of a file.
FREEZE = 5.0
#: The steps at which one stands still: with a lease and no byte, amid the download, and with the file.
_FROZEN = ("media_claimed", "media_begun", "media_kept")
#: Steps that come about without a mutant.
STEPS = tuple(name for name in MEDIA_STEPS if name != "media_gap")


def carry_out(events: int, seed: int, *, mutants: bool) -> bool:
    """Carry all runs out and print the table; return whether each came out as expected."""
    print(f"\n{_HEAD}", flush=True)
    plans = [*_plans(events, seed), *(_mutants() if mutants else ())]
    results = [_row(name, plan, shows) for name, plan, shows in plans]
    rows.print_fired(result for result, _ in results)
    return all(as_expected for _, as_expected in results)


def _plans(events: int, seed: int) -> Iterator[tuple[str, FilePlan, str]]:
    for number in range(1, 3):
        yield f"storm {number}", storm(events, seed + number), ""
    yield "random kills", FilePlan(events=events, workers=3, kills=10, outages=3, seed=seed), ""


def storm(events: int, seed: int) -> FilePlan:
    """Return a run in which everything goes wrong, in a random order and at random ones of each step's first calls."""
    chance = random.Random(seed)
    rounds = max(events // _ROUND, 1)
    faults = [Fault(step, chance.randint(1, 4)) for step in STEPS * rounds]
    faults += [Fault(step, 1, FREEZE) for step in _FROZEN]
    chance.shuffle(faults)
    return FilePlan(
        tuple(faults),
        events=events,
        workers=2,
        outages=2 + rounds,
        kills=4 * rounds,
        width=3,
        seed=seed,
        limit=200.0 + events / 2,
    )


def _mutants() -> Iterator[tuple[str, FilePlan, str]]:
    for name, mutant in FILE_MUTANTS.items():
        yield name, of_mutant(name), mutant.shows
        yield "  the same without it", of_mutant(name, mutated=False), ""


def _row(name: str, plan: FilePlan, shows: str) -> tuple[FileResult, bool]:
    """Run a plan and print its row; whether it came out as expected: green, or red by what the mutant `shows`."""
    result, as_expected, said = rows.carry_out(run, plan, shows)
    verdict = result.verdict
    found = [len(getattr(verdict, name)) for name in _FOUND]
    figures = (verdict.deliveries.events, verdict.files, result.kills, result.outages, result.cut_off, result.amid)
    print(_ROW.format(name, *figures, verdict.excused, *found, round(result.seconds), said), flush=True)
    if not as_expected:
        print(f"    {verdict}", flush=True)
    return result, as_expected
