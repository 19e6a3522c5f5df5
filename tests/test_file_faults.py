"""Workers die at every step of a file's way, and Meta's log, the hooks and the folder show each file once and whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.faults import ledger
from ops.faults.file_ledger import Brought, Cut, FileVerdict, Lying, Told, judge
from ops.faults.file_mutants import FILE_MUTANTS
from ops.faults.file_runs import FREEZE, STEPS, storm
from ops.faults.files import FilePlan, FileResult, of_mutant, run
from ops.faults.steps import Fault

#: A message that goes out too soon, and a file that is seen too soon; the others, and the controls, are slow.
QUICK = ("not_held", "kept_in_two")


def _marked(quick: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in FILE_MUTANTS]


async def _green(plan: FilePlan, folder: Path) -> FileResult:
    result = await run(plan, folder)
    assert result.verdict.green, str(result.verdict)
    assert result.verdict.deliveries.events >= plan.events
    assert set(result.fired) == {fault.step for fault in plan.faults}
    return result


async def test_a_kill_at_each_step_leaves_every_file_there_once_and_whole(tmp_path: Path) -> None:
    """Workers die at each step, one stands still amid a download for longer than its lease, and Redis dies once."""
    faults = (*(Fault(step) for step in STEPS), Fault("media_begun", 1, FREEZE))
    result = await _green(FilePlan(faults, events=60, outages=1, width=6), tmp_path)
    assert result.kills == len(STEPS)
    assert result.outages == 1
    assert result.amid > 0, "no kill ever met a download"
    assert result.cut_off > 0
    assert result.verdict.deliveries.parked > 0, "the ledger's way through the cache was never taken"


@pytest.mark.slow
async def test_a_storm_loses_no_file(tmp_path: Path) -> None:
    """Every step in a random order, freezes, random kills and outages, with two workers and more."""
    await _green(storm(300, 1), tmp_path)


@pytest.mark.parametrize("name", _marked(QUICK))
async def test_the_ledger_turns_red_for(name: str, tmp_path: Path) -> None:
    """A known mistake in the code is found, and called what it is."""
    result = await run(of_mutant(name), tmp_path)
    assert getattr(result.verdict, FILE_MUTANTS[name].shows), str(result.verdict)
    assert not result.verdict.faults, "red must come of the ledger, not of a harness that broke"


@pytest.mark.slow
@pytest.mark.parametrize("name", FILE_MUTANTS)
async def test_the_faults_of_a_mutant_do_no_harm_without_it(name: str, tmp_path: Path) -> None:
    """What turns a mutant's run red is the mistake and not the fault that brings it to light."""
    await _green(of_mutant(name, mutated=False), tmp_path)


FILE = {"m": Brought("business", "aa")}
SEEN = Told("m", "m_aa.jpg", found=("aa",))
THERE = Lying("m", "m_aa.jpg", "aa", 1)
NO_MORE = Told("m", error="five look-ups failed within an hour, and Meta allows no more")


def _of_one(told: Told = SEEN, *lying: Lying, downloads: int = 1, cut: Cut | None = None) -> FileVerdict:
    return judge(ledger.Verdict(), FILE, [told], lying or [THERE], {"m": downloads}, cut or Cut())


def test_a_message_has_its_file() -> None:
    """Without it a message is bare, whatever it says; only Meta's own limit excuses that, when it was reached."""
    assert _of_one().green
    assert _of_one(Told("m", error="not fetched in time")).bare == [("m", "not fetched in time")]
    assert _of_one(NO_MORE, cut=Cut(look_ups={"business": 4, "other": 9})).bare
    excused = _of_one(NO_MORE, cut=Cut(look_ups={"business": 5}))
    assert (excused.green, excused.excused) == (True, 1)


def test_a_link_leads_to_the_file() -> None:
    """One that led nowhere when it arrived, or does in the end, and one that leads to other bytes: all of it shows."""
    assert _of_one(replace(SEEN, found=("",))).missing == ["m_aa.jpg"]
    assert _of_one(replace(SEEN, filename="m_bb.jpg")).missing == ["m_bb.jpg"]
    assert _of_one(replace(SEEN, found=("aa", "bb"))).wrong == ["m_aa.jpg"]


def test_a_file_lies_in_the_folder_once() -> None:
    """Also that of a message which only the cache has; two names, other bytes, a stranger and a copy are found."""
    assert judge(ledger.Verdict(), FILE, [], [], {}, Cut()).missing == ["m"]
    assert _of_one(SEEN, THERE, replace(THERE, filename="m_aa.bin")).twice == ["m"]
    assert _of_one(SEEN, replace(THERE, sha256="bb")).wrong == ["m_aa.jpg"]
    assert _of_one(SEEN, THERE, replace(THERE, message_id="other", filename="other_aa.jpg")).wrong == ["other_aa.jpg"]
    assert _of_one(SEEN, THERE, Lying("n", "n_aa.jpg", "aa", 2)).unshared == ["aa"]


def test_a_download_is_repeated_for_a_reason() -> None:
    """A fetch that was cut off explains one more, and so does a download that Meta spoiled."""
    assert _of_one(downloads=2).repeated == ["m"]
    assert _of_one(downloads=2, cut=Cut(fetches={"m": 1})).green
    spoiled = {"m": Brought("business", "aa", spoiled=1)}
    assert judge(ledger.Verdict(), spoiled, [SEEN], [THERE], {"m": 2}, Cut()).green
