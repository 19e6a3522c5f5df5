"""Real processes die at every step, and an honest ledger shows nothing lost; for known mistakes it turns red."""

from pathlib import Path
from typing import Any

import pytest

from ops.faults.campaign import Plan, Result, of_mutant, run
from ops.faults.journal import Line, cut_off
from ops.faults.ledger import Kept, Receipt, judge
from ops.faults.mutants import MUTANTS
from ops.faults.steps import STEPS, Fault

#: Each kind of mistake that the issue names; the others, and all controls but one, are run by `make prove`.
QUICK = ("ack_before_post", "append_then_remember", "retry_without_token")
CONTROL = "retry_without_token"


def _marked(quick: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in MUTANTS]


async def _green(plan: Plan, folder: Path) -> Result:
    result = await run(plan, folder)
    assert result.verdict.green, f"{result.verdict}\nlost {result.verdict.lost} doubled {result.verdict.doubled}"
    assert result.verdict.events >= plan.events
    return result


async def test_a_kill_after_each_step_loses_nothing_and_doubles_nothing_unexplained(tmp_path: Path) -> None:
    """Workers and the intake die at each step, Redis in between: every event arrives or is in the cache."""
    faults = tuple(Fault(name) for name in STEPS if name != "gap")
    result = await _green(Plan(faults, outages=2), tmp_path)
    assert set(result.fired) == {fault.step for fault in faults}
    assert result.outages == 2
    assert result.verdict.parked > 0, "the ledger's way through the cache was never taken"


async def test_kills_at_random_moments_and_a_dying_redis_lose_nothing(tmp_path: Path) -> None:
    """Two workers are killed again and again and Redis three times, under traffic."""
    for turn in range(3):  # whether a kill meets a POST in flight is chance
        (folder := tmp_path / str(turn)).mkdir()
        result = await _green(Plan(workers=2, outages=3, kills=6), folder)
        assert result.kills >= 4
        if result.cut_off:
            return
    pytest.fail("no kill ever met a POST in flight")


@pytest.mark.parametrize("name", _marked(QUICK))
async def test_the_ledger_turns_red_for(name: str, tmp_path: Path) -> None:
    """A known mistake in the code is found, and called what it is."""
    result = await run(of_mutant(name), tmp_path)
    assert not result.verdict.green
    assert getattr(result.verdict, MUTANTS[name].shows), str(result.verdict)
    assert not result.verdict.faults, "red must come of the ledger, not of a harness that broke"


@pytest.mark.parametrize("name", _marked((CONTROL,)))
async def test_the_faults_of_a_mutant_do_no_harm_without_it(name: str, tmp_path: Path) -> None:
    """What turns a mutant's run red is the mistake and not the fault that brings it to light."""
    await _green(of_mutant(name, mutated=False), tmp_path)


def _receipt(attempt: str, event_id: str = "1-0", *, accepted: bool = True) -> Receipt:
    return Receipt("h1", "m", event_id, attempt, accepted)


def test_what_neither_a_hook_nor_the_cache_has_is_lost() -> None:
    """An acknowledged message that only a refusing receiver saw is lost; in the cache for another hook, it still is."""
    refused = [_receipt("a.1", accepted=False)]
    elsewhere = Kept("1-0", "m", "dead", frozenset({"h2"}))
    assert judge(["m"], ["h1"], refused, [], set()).lost == [("m", "h1")]
    assert judge(["m"], ["h1"], refused, [elsewhere], set()).lost == [("m", "h1")]
    assert judge(["m"], ["h1"], refused, [Kept("1-0", "m", "dead", frozenset({"h1"}))], set()).green


def test_what_waits_after_everything_came_to_rest_is_stuck() -> None:
    """A cached event that is waiting for nobody does not count as kept."""
    assert judge(["m"], ["h1"], [], [Kept("1-0", "m", "waiting", frozenset())], set()).stuck == [("m", "h1")]


def test_a_double_needs_an_attempt_that_was_cut_off() -> None:
    """Two acceptances are explained when a fault cut one of them off; three need two; a stranger's fault does none."""
    twice = [_receipt("a.1"), _receipt("b.1")]
    assert judge(["m"], ["h1"], twice, [], set()).doubled == [("m", "h1")]
    assert judge(["m"], ["h1"], twice, [], {"c.1"}).doubled == [("m", "h1")]
    explained = judge(["m"], ["h1"], twice, [], {"a.1"})
    assert explained.green
    assert explained.explained == 1
    assert judge(["m"], ["h1"], [*twice, _receipt("b.2")], [], {"a.1"}).doubled == [("m", "h1")]


def test_one_message_with_two_events_is_never_explained() -> None:
    """Dedupe that let a redelivery through shows, whatever was killed."""
    receipts = [_receipt("a.1", "1-0"), _receipt("b.1", "2-0")]
    assert judge(["m"], ["h1"], receipts, [], {"a.1", "b.1"}).twice_in == ["m"]


def test_an_attempt_is_cut_off_only_between_post_and_record() -> None:
    """A kill after the record explains nothing, nor does an outage or a freeze before the POST."""
    pair = ("1-0", "h1")
    whole = [Line("post", 1.0, "a.1", pair), Line("settled", 2.0, "", pair)]
    assert cut_off(whole, killed=True) == set()
    assert cut_off(whole[:1], killed=True) == {"a.1"}
    assert cut_off(whole[:1], killed=False) == set()
    assert cut_off(whole, killed=False, outages=[(1.5, 1.6)]) == {"a.1"}
    assert cut_off(whole, killed=False, outages=[(0.2, 0.9), (2.1, 3.0)]) == set()
    assert cut_off(whole, killed=False, outages=[(1.5, 1.6)], lease=1.5) == set(), "recorded within its lease"
    frozen = [Line("fault", 0.1), Line("thawed", 0.9), *whole]
    assert cut_off(frozen, killed=False) == set()
    assert cut_off([whole[0], Line("fault", 1.2), Line("thawed", 1.4), whole[1]], killed=False) == {"a.1"}
