"""Accounts that send nothing for a while: Meta asked for patience, or refuses their token."""

import asyncio

import pytest

from tests.test_outbox import ACCOUNT, BO, claim, message, one, put
from whatshooked.keys import Keys
from whatshooked.stream import outbox as module
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Again, Outbox, Sent


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """An outbox under this test's prefix."""
    return Outbox(link, keys)


async def test_a_held_account_sends_nothing(outbox: Outbox) -> None:
    """Meta asked for patience, or the token is bad: nothing goes until the hold is over, and nothing is lost."""
    await put(outbox, message("m1"), message("m2", BO))
    (lease, other) = (await claim(outbox)).leases
    assert await outbox.settle(lease, Again(0, "token", 190, hold_ms=60_000, tried=False, bad_token=True)) == "new"
    await outbox.settle(other, Sent("w"))
    assert await outbox.held(ACCOUNT) == "the token is not accepted: token"
    assert not (await claim(outbox)).leases
    assert await outbox.resume(ACCOUNT) == (True, 0)
    again = await one(outbox)
    assert (again.message.id, again.message.attempts) == (lease.message.id, 1)


async def test_an_account_that_is_refused_all_the_same_is_tried_later_each_time(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each refusal right after a resumption doubles the pause, up to a bound; one that holds begins anew."""
    for name, ms in (("FIRST_PAUSE_MS", 100), ("LONGEST_PAUSE_MS", 300), ("LAID_TO_MS", 400)):
        monkeypatch.setattr(module, name, ms)
    await put(outbox, message("m1"))

    async def refused() -> None:
        lease = await one(outbox)
        await outbox.settle(lease, Again(0, "token", 190, hold_ms=3_600_000, tried=False, bad_token=True))

    async def resumed() -> int:
        waited = 0
        while True:
            done, wait_ms = await outbox.resume(ACCOUNT)
            if done:
                assert wait_ms == (400 if waited else 0), "on trial unless it was not refused before"
                return waited
            waited = waited or wait_ms
            await asyncio.sleep(wait_ms / 1000)

    await refused()
    assert await resumed() == 0
    for pause in (100, 200, 300, 300):
        await refused()
        assert pause - 60 <= await resumed() <= pause
    assert 0 < (await outbox.resume(ACCOUNT))[1] <= 400
    await outbox.settle(await one(outbox), Sent("wamid.1"))
    await asyncio.sleep(0.41)
    assert await outbox.resume(ACCOUNT) == (False, 0)
    await put(outbox, message("m2"))
    await refused()
    assert await resumed() == 0


async def test_a_throttled_account_is_not_resumed(outbox: Outbox) -> None:
    """That Meta asked for patience ends with its time, whatever the credentials."""
    await put(outbox, message("m1"))
    await outbox.settle(await one(outbox), Again(0, "slow down", 80007, hold_ms=60_000))
    assert await outbox.held(ACCOUNT) == "Meta asked for patience: slow down"
    assert await outbox.resume(ACCOUNT) == (False, 0)
