"""Workers die at every step of a reply's way, and Meta's own record shows none missing and, in `hold`, none twice."""

from pathlib import Path
from typing import Any

import pytest

from ops.faults.replies import TROUBLE, ReplyPlan, ReplyResult, of_mutant, run
from ops.faults.reply_ledger import Asked, Listed, Passed, Verdict, busiest, judge
from ops.faults.reply_mutants import REPLY_MUTANTS
from ops.faults.steps import REPLY_STEPS, Fault

#: The mistake that is nearest; the others are run by `make prove`.
QUICK = ("add_without_look",)
STEPS = tuple(Fault(name, 2) for name in REPLY_STEPS if name != "reply_gap")
#: The steps at which a crash leaves most in doubt.
IN_DOUBT = tuple(Fault(name, 2) for name in ("reply_asked", "reply_added", "send_claimed", "send_accepted"))


def _marked(quick: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in REPLY_MUTANTS]


async def _green(plan: ReplyPlan, folder: Path) -> ReplyResult:
    result = await run(plan, folder)
    assert result.verdict.green, str(result.verdict)
    assert result.verdict.replies >= plan.replies
    assert set(result.fired) == {fault.step for fault in plan.faults}
    return result


@pytest.mark.parametrize("faults", [IN_DOUBT, pytest.param(STEPS, marks=pytest.mark.slow)])
async def test_in_hold_every_reply_is_sent_once_or_listed(faults: tuple[Fault, ...], tmp_path: Path) -> None:
    """Workers die at each step, Redis in between, Meta hangs after it took some: none is missing and none is twice."""
    plan = ReplyPlan(faults, replies=70, outages=1, width=4, trouble=TROUBLE)
    result = await _green(plan, tmp_path)
    assert result.verdict.twice == 0
    assert result.kills >= len(faults)
    assert result.verdict.states["unknown"] > 0, "nothing was ever in doubt"


@pytest.mark.slow
async def test_in_resend_none_is_missing(tmp_path: Path) -> None:
    """What was in doubt is sent again: every reply is in Meta's record, some of them twice."""
    plan = ReplyPlan(STEPS, replies=80, outages=1, width=4, trouble=TROUBLE, resend=True)
    result = await _green(plan, tmp_path)
    assert result.verdict.states == {"sent": result.verdict.replies}
    assert result.verdict.twice > 0


@pytest.mark.slow
async def test_the_throughput_is_reached_and_not_passed(tmp_path: Path) -> None:
    """One worker sends nearly 80 messages a second of a number, and Meta never says that they come too fast."""
    await _green(ReplyPlan(replies=600, asks=25, least_rate=70), tmp_path)


@pytest.mark.parametrize("name", _marked(QUICK))
async def test_the_ledger_turns_red_for(name: str, tmp_path: Path) -> None:
    """A known mistake in the code is found, and called what it is."""
    result = await run(of_mutant(name), tmp_path)
    assert getattr(result.verdict, REPLY_MUTANTS[name].shows), str(result.verdict)
    assert not result.verdict.faults, "red must come of the ledger, not of a harness that broke"


ONE = [Asked("r1", "m1")]


def _of_one(passed: int, *listed: Listed, resend: bool = False, statuses: tuple[str, ...] = ()) -> Verdict:
    return judge(ONE, [Passed("r1", statuses)] * passed, listed, resend=resend)


@pytest.mark.parametrize("state", ["failed", "unknown"])
def test_what_meta_never_had_must_be_listed_as_such(state: str) -> None:
    """A reply that nobody knows of is missing, and so is one that is listed as sent; failed or unknown is honest."""
    assert _of_one(0).missing == ["r1"]
    assert _of_one(0, Listed("r1", "sent")).missing == ["r1"]
    assert _of_one(0, Listed("r1", state)).green


def test_a_message_that_is_parked_asks_for_nothing() -> None:
    """Its hook gave no answer; whatever was sent for it all the same is judged."""
    assert judge(ONE, [], [], {"m1"}, resend=False).parked == 1
    assert judge(ONE, [Passed("r1")], [], {"m1"}, resend=False).wrong == ["r1"]


def test_a_double_is_never_explained_in_hold() -> None:
    """In resend each lease explains one send, and no more."""
    assert _of_one(2, Listed("r1", "sent", leases=2)).doubled == ["r1"]
    assert _of_one(2, Listed("r1", "sent", leases=1), resend=True).doubled == ["r1"]
    again = _of_one(2, Listed("r1", "sent", leases=2), resend=True)
    assert (again.green, again.twice) == (True, 1)


@pytest.mark.parametrize("state", ["new", "sending", "sent, not new"])
def test_what_is_under_way_at_the_end_is_stuck(state: str) -> None:
    """Nobody will send it any more, or its list says other than itself."""
    assert _of_one(1, Listed("r1", state)).stuck == ["r1"]


def test_the_lists_must_say_what_the_record_says() -> None:
    """Sent and not listed, listed twice, failed and yet sent, unknown although Meta has told: all of that is wrong."""
    unknown = Listed("r1", "unknown")
    for found in (
        _of_one(1),
        _of_one(1, Listed("r1", "sent"), Listed("r1", "sent")),
        _of_one(1, Listed("r1", "failed")),
        _of_one(1, unknown, statuses=("sent",)),
    ):
        assert found.wrong == ["r1"]
    assert _of_one(1, unknown).green
    assert _of_one(1, Listed("r1", "failed", status="failed")).green


def test_the_replies_of_one_message_come_in_their_order() -> None:
    """A repeat counts by its first time, and what is not in the record is passed over."""
    asked = [Asked("a", "m1"), Asked("b", "m1"), Asked("c", "m1"), Asked("d", "m2")]
    listed = [Listed(label, "sent", leases=2) for label in "abcd"]

    def disordered(order: str) -> list[str]:
        return judge(asked, [Passed(label) for label in order], listed, resend=True).disordered

    assert disordered("dabac") == []
    assert disordered("dac") == []
    assert disordered("bacd") == ["b"]


def test_a_rate_is_that_of_the_busiest_stretch() -> None:
    """So many messages in so many seconds, wherever the stretch begins."""
    assert busiest([0.0, 1.0, 1.5, 1.9, 2.0, 9.0], 1.0) == 3
    assert busiest([], 5.0) == 0
