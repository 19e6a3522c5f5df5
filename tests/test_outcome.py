"""Graph's answer to a send, judged: sent, failed, unknown, or again after a while."""

import pytest
from msgspec import structs

from whatshooked.meta.codes import Retry
from whatshooked.meta.failure import GraphFailure
from whatshooked.stream.outbox import MOST_LEASES, Again, Failed, Outcome, Unknown
from workers import outcome


def _refusal(status: int, code: int = 0, *, wait: float = 0.0, retry: Retry = Retry.NEVER) -> GraphFailure:
    return GraphFailure(status, code, 0, "said", "", reached=status > 0, retry=retry, wait=wait)


@pytest.mark.parametrize(
    ("found", "becomes"),
    [
        (_refusal(400), Failed(0, "HTTP 400: said")),
        (_refusal(202), Unknown("HTTP 202: said", delay_ms=1_000)),
        (_refusal(401), Again(1_000, "HTTP 401: said", hold_ms=3_600_000, tried=False, bad_token=True)),
        (_refusal(0, wait=7.0, retry=Retry.LATER), Again(7_000, "said", hold_ms=7_000, tried=False)),
        (_refusal(0, wait=float("inf"), retry=Retry.LATER), Again(3_600_000, "said", hold_ms=3_600_000, tried=False)),
        (
            _refusal(429, 4, wait=86_400.0, retry=Retry.LATER),
            Again(3_600_000, "HTTP 429 4: said", 4, hold_ms=3_600_000),
        ),
        (_refusal(400, 131049, wait=86_400.0, retry=Retry.PACED), Failed(131049, "no other try within its day")),
    ],
)
def test_odd_answers(found: GraphFailure, becomes: Outcome) -> None:
    """No proxy's error page holds the account back, no nonsense of a header gives messages up or counts as a try."""
    judged = outcome.judge(found, 1, 1_000, resend=False)
    if isinstance(becomes, Failed) and isinstance(judged, Failed):
        assert (judged.code, judged.error.startswith(becomes.error)) == (becomes.code, True)
    else:
        assert judged == becomes


@pytest.mark.parametrize(
    ("found", "attempts", "age_ms", "becomes"),
    [
        (_refusal(500, retry=Retry.LATER), 1, 0, Again(1_000, "its file was not taken: HTTP 500: said")),
        (_refusal(500, retry=Retry.LATER), 9, 0, Again(256_000, "its file was not taken: HTTP 500: said")),
        (_refusal(500, retry=Retry.LATER), 9, 86_300_000, Failed(0, "no other try within its day")),
        (_refusal(400, 131000, retry=Retry.FEW), 2, 0, Again(2_000, "its file was not taken: HTTP 400 131000", 131000)),
        (_refusal(400, 131000, retry=Retry.FEW), 3, 0, Failed(131000, "its file was not taken")),
        (_refusal(0), 1, 0, Failed(0, "its file was not taken: said")),
        (_refusal(0, wait=7.0, retry=Retry.LATER), 9, 0, Again(7_000, "its file was not taken: said", tried=False)),
        (_refusal(0, wait=7.0, retry=Retry.LATER), 9, 86_399_000, Failed(0, "no other try within its day")),
    ],
)
def test_uploads_that_fail(found: GraphFailure, attempts: int, age_ms: int, becomes: Outcome) -> None:
    """A message is given up as a send is: at once, after a few tries, or by its age; and its account is not held."""
    judged = outcome.of_upload(found, attempts, age_ms)
    assert isinstance(judged, Again | Failed)
    assert isinstance(becomes, Again | Failed)
    assert judged.error.startswith(becomes.error)
    assert structs.replace(judged, error="") == structs.replace(becomes, error="")


def test_resend_has_an_end() -> None:
    """A Graph that takes messages and never answers gets each one as often as workers may die of it, and no more."""
    silent = GraphFailure(0, 0, 0, "ReadTimeout", "", reached=False, uncertain=True)
    found = [outcome.judge(silent, attempts, 1_000, resend=True) for attempts in range(1, MOST_LEASES + 1)]
    assert [isinstance(one, Unknown) and one.resend for one in found] == [True] * (MOST_LEASES - 1) + [False]
