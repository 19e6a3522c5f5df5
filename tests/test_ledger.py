"""The ledger: each way that an event may go is accounted for, and what vanishes in any other way is missed."""

import random
from collections.abc import Awaitable, Callable

import pytest

from tests.streams import ENDED, LONG, Rig
from whatshooked.keys import GROUP, MEDIA_HOOK, Keys
from whatshooked.stream.consume import Park, ensure_group
from whatshooked.stream.ledger import balance
from whatshooked.stream.link import Link
from whatshooked.stream.media import Finding, Findings
from whatshooked.stream.record import Record
from whatshooked.stream.registry import REMOVED_AFTER_MS
from whatshooked.stream.settle import NotTaken
from whatshooked.stream.upkeep import Limits, Upkeep

Step = Callable[[Rig, random.Random], Awaitable[object]]


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


async def _one(rig: Rig, chance: random.Random) -> str:
    rows = await rig.link.call("XRANGE", rig.keys.events, "-", "+")
    return chance.choice(rows)[0].decode() if rows else "1-1"


async def _route(rig: Rig, chance: random.Random) -> None:
    hooks = chance.choice([(), ("h1",), ("h1", "h2"), ("h2", MEDIA_HOOK)])
    await rig.add()  # a read waits for news
    entries = await rig.read()
    await rig.route(entries, *hooks, lease=chance.choice([LONG, ENDED]), park=chance.choice([Park.YES, Park.NO]))


async def _settle(rig: Rig, chance: random.Random) -> None:
    hook = chance.choice(["h1", "h2"])
    for lease in (await rig.claim(hook, lease=chance.choice([LONG, ENDED]))).leases:
        kind = chance.choice(["take", "again", "dead", "drop"])
        if kind == "take":
            await rig.take(lease.event_id, hook)
        elif kind == "again":
            await rig.settler.record(NotTaken(lease.event_id, hook, lease.token, "again", status=503))
        else:
            outcome = NotTaken(lease.event_id, hook, lease.token, "dead" if kind == "dead" else "drop")
            await rig.settler.record(outcome)


async def _find(rig: Rig, _: random.Random) -> None:
    findings = Findings(rig.link, rig.keys, lambda: ["h1", "h2"])
    for lease in (await rig.claim(MEDIA_HOOK)).leases:
        await findings.note(Finding(lease.event_id, lease.token, Record(error="gone"), Park.NO))


async def _replay(rig: Rig, chance: random.Random) -> None:
    await rig.operator.replay([await _one(rig, chance)], again=chance.random() < 0.5)


async def _delete(rig: Rig, chance: random.Random) -> None:
    await rig.operator.delete(await _one(rig, chance))


async def _push_out(rig: Rig, chance: random.Random) -> None:
    upkeep = Upkeep(rig.link, rig.keys, rig.operator)
    limits = Limits(
        max_events=chance.randrange(5), max_age_ms=LONG, history_ms=LONG, history_bytes=chance.choice([0, 10**9])
    )
    await upkeep.enforce(limits, rig.hooks.by_id)
    await upkeep.forget(limits)


async def _remove_hook(rig: Rig, _: random.Random) -> None:
    long_ago = await rig.link.now() - REMOVED_AFTER_MS - 1
    await rig.link.call("ZADD", rig.keys.hooks, long_ago, "h2")
    await Upkeep(rig.link, rig.keys, rig.operator).drop_removed(["h1"])


async def _die(rig: Rig, _: random.Random) -> None:
    """A worker reads and dies; another takes over."""
    dead, heir = rig.worker("dead"), rig.worker("heir")
    await rig.add()
    await rig.read(dead)
    await dead.farewell()
    recovered = await heir.recover("dead")
    await rig.route(recovered.entries, "h1", consumer=heir)


STEPS: tuple[Step, ...] = (
    lambda rig, chance: rig.add(chance.randrange(1, 6)),
    _route,
    _settle,
    _settle,
    _find,
    _replay,
    _delete,
    _push_out,
    lambda rig, _: rig.operator.clear(),
    _remove_hook,
    _die,
)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_done_in_order_is_accounted_for(rig: Rig, seed: int) -> None:
    """Two hundred steps of any kind in any order: after each the account is even."""
    chance = random.Random(seed)
    await ensure_group(rig.link, rig.keys)
    for number in range(200):
        step = chance.choice(STEPS)
        await step(rig, chance)
        # None: an event was deleted that nobody had read. Once what stood behind it is read, it can be told again.
        found = (await balance(rig.link, rig.keys)).missing
        assert found in (0, None), f"{found} after step {number}, {step}"
        if found is None:
            await _route(rig, chance)
            assert (await balance(rig.link, rig.keys)).missing == 0
    assert int(await rig.link.call("HGET", rig.keys.ledger, "settled")) > 0


async def test_an_acknowledgement_by_hand_is_missed(rig: Rig) -> None:
    """Somebody's XACK takes an event from its hook: one is missing, until the account is begun anew."""
    (event_id,) = await rig.routed("h1")
    assert (await balance(rig.link, rig.keys)).missing == 0
    await rig.link.call("XACK", rig.keys.events, GROUP, event_id)
    assert (await balance(rig.link, rig.keys)).missing == 1
    assert (await balance(rig.link, rig.keys, close=True)).missing == 1
    assert (await balance(rig.link, rig.keys)).missing == 0


@pytest.mark.parametrize("read", [True, False])
async def test_an_entry_deleted_by_hand_is_missed_once_somebody_looks_for_it(rig: Rig, read: bool) -> None:
    """Somebody's XDEL: seen when a hook's turn comes, or when what a dead worker had read is taken over."""
    (event_id,) = await rig.add()
    entries = await rig.read()
    if read:
        await rig.route(entries, "h1", leased=False)
    await rig.link.call("XDEL", rig.keys.events, event_id)
    if read:
        assert (await rig.claim("h1")).vanished == [event_id]
    else:
        await rig.consumer.farewell()
        assert (await rig.worker("heir").recover("w1")).entries == []
    assert (await balance(rig.link, rig.keys)).missing == 1


async def test_a_lost_group_loses_nothing(rig: Rig) -> None:
    """The group is made again and all that is in the stream is read anew: the account is even before and after."""
    await rig.routed("h1", count=3)
    (taken,) = await rig.routed("h1")
    await rig.take(taken, "h1")
    await rig.link.call("XGROUP", "DESTROY", rig.keys.events, GROUP)
    assert (await balance(rig.link, rig.keys)).missing is None
    await ensure_group(rig.link, rig.keys)
    assert (await balance(rig.link, rig.keys)).missing == 0
    await rig.route(await rig.read(), "h1")
    assert (await balance(rig.link, rig.keys)).missing == 0


async def test_a_stream_from_before_the_ledger_begins_its_account(rig: Rig) -> None:
    """After an upgrade the first look finds nothing amiss, and what vanishes later is missed."""
    ids = await rig.routed("h1", count=3)
    await rig.take(ids[0], "h1")
    await rig.link.call("DEL", rig.keys.ledger)
    await rig.take(ids[1], "h1")  # settled before anybody looked
    assert (await balance(rig.link, rig.keys)).missing == 0
    await rig.link.call("XACK", rig.keys.events, GROUP, ids[2])
    assert (await balance(rig.link, rig.keys)).missing == 1


async def test_an_empty_redis_is_accounted_for(rig: Rig) -> None:
    """Before the first event there is nothing to miss."""
    assert (await balance(rig.link, rig.keys)).missing == 0


async def test_a_server_that_forgets_what_was_read_is_told(rig: Rig) -> None:
    """Redis 7.0 counts what was read before a restart as unread: once all is read the account is even again."""
    ids = await rig.routed("h1", count=5)
    last = ids[-1]
    await rig.link.call("XGROUP", "SETID", rig.keys.events, GROUP, last, "ENTRIESREAD", 2)
    assert await balance(rig.link, rig.keys) == (0, 0)
    await rig.link.call("XGROUP", "SETID", rig.keys.events, GROUP, last, "ENTRIESREAD", 2)
    await rig.add(2)
    assert await balance(rig.link, rig.keys) == (-3, 5)
    assert await rig.examine() == []
    assert (await balance(rig.link, rig.keys, close=True)).missing == -3
    await rig.route(await rig.read(), "h1")
    await rig.link.call("XACK", rig.keys.events, GROUP, last)
    assert await balance(rig.link, rig.keys) == (1, 0)


async def test_an_unread_event_that_is_deleted_leaves_the_number_of_unread_ones_unknown(rig: Rig) -> None:
    """Nothing is told then, rather than 0, until what stands behind it is read."""
    await rig.routed("h1")
    ids = await rig.add(3)
    assert await balance(rig.link, rig.keys) == (0, 3)
    assert await rig.operator.delete(ids[1])
    assert await balance(rig.link, rig.keys) == (None, None)
    await rig.route(await rig.read(), "h1")
    assert await balance(rig.link, rig.keys) == (0, 0)


async def test_a_stream_that_was_deleted_begins_its_account(rig: Rig) -> None:
    """Somebody's DEL of the stream is a loss that nobody can count; what comes later is accounted for again."""
    await rig.take((await rig.routed("h1", count=2))[0], "h1")
    await rig.link.call("DEL", rig.keys.events)
    (event_id,) = await rig.routed("h1")
    assert await balance(rig.link, rig.keys) == (0, 0)
    await rig.link.call("XACK", rig.keys.events, GROUP, event_id)
    assert await balance(rig.link, rig.keys) == (1, 0)
