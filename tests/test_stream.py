"""The steps of an event, each through the Python that calls its script: ADD, ROUTE, CLAIM, DONE, RETRY, RECOVER."""

import asyncio
import itertools

import pytest

from tests.streams import ENDED, LONG, Rig, addition
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import GROUP, PARKED, Keys
from whatshooked.stream.consume import CLAIMS_TO_POISON, Park
from whatshooked.stream.intake import Intake
from whatshooked.stream.leases import LEASES_TO_POISON
from whatshooked.stream.link import Link
from whatshooked.stream.settle import NotTaken, Taken


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


async def _length(rig: Rig) -> int:
    return int(await rig.link.call("XLEN", rig.keys.events))


async def test_add_takes_an_identity_once(rig: Rig) -> None:
    """The second append of an identity answers the first one's id and appends nothing."""
    (first,) = await rig.intake.add([addition(b"i" * 16)])
    again, other = await rig.intake.add([addition(b"i" * 16), addition(b"j" * 16)])
    assert (first.new, again.new, other.new) == (True, False, True)
    assert again.id == first.id != other.id
    assert await _length(rig) == 2


async def test_add_finds_a_repeat_within_one_call(rig: Rig) -> None:
    """Two events with one identity in the same flush are one entry."""
    one, two = await rig.intake.add([addition(b"i" * 16), addition(b"i" * 16)])
    assert one.id == two.id
    assert (one.new, two.new) == (True, False)


async def test_add_by_many_processes_at_once_takes_each_identity_once(redis_url: str, keys: Keys, rig: Rig) -> None:
    """Four connections that append the same 200 identities leave 200 entries, and all are told the same ids."""
    links = [Link(redis_url) for _ in range(4)]
    names = [n.to_bytes(16, "big") for n in range(200)]
    try:
        intakes = [Intake(link, keys) for link in links]
        answers = await asyncio.gather(*(i.add([addition(n) for n in names]) for i in intakes for _ in range(2)))
    finally:
        for link in links:
            await link.close()
    assert await _length(rig) == 200
    assert len({tuple(one.id for one in answer) for answer in answers}) == 1
    assert sum(one.new for answer in answers for one in answer) == 200


async def test_add_goes_on_behind_a_clock_that_was_ahead(rig: Rig) -> None:
    """When the server's clock is behind the last id, ids still rise, and every event is readable."""
    ahead = 9_000_000_000_000
    await rig.link.call("XADD", rig.keys.events, f"{ahead}-5", "e", "x")
    ids = await rig.add(3)
    assert ids == [f"{ahead}-6", f"{ahead}-7", f"{ahead}-8"]
    assert len(await _entries(rig)) == 4


async def _entries(rig: Rig) -> list[str]:
    await rig.consumer.ensure_group()
    return [entry.id for entry in await rig.read()]


async def test_add_appends_more_than_one_call_holds(rig: Rig) -> None:
    """700 events of one flush (a call holds 256) are all appended in order, each with its own id."""
    ids = await rig.add(700)
    assert len(set(ids)) == 700
    rows = await rig.link.call("XRANGE", rig.keys.events, "-", "+")
    assert [row[0].decode() for row in rows] == ids


async def test_add_takes_big_events(rig: Rig) -> None:
    """Five events of 3 MB go in together, though one call holds 4 MB."""
    ids = await rig.add(5, size=3_000_000)
    assert await _length(rig) == len(set(ids)) == 5


async def test_add_remembers_for_nine_days(rig: Rig) -> None:
    """What was taken is remembered with an end: Meta resends for seven days."""
    await rig.intake.add([addition(b"i" * 16, day=20_001)])
    bucket = int.from_bytes(b"iiii", "big") % 8192
    assert 8 * 86_400 < await rig.link.call("TTL", rig.keys.seen(20_001, bucket)) <= 9 * 86_400


async def test_add_answers_no_and_remembers_nothing_when_the_append_fails(rig: Rig) -> None:
    """An identity whose append was refused is not remembered: at Meta's next try it goes in."""
    await rig.link.call("XADD", rig.keys.events, "18446744073709551615-18446744073709551615", "e", "x")
    with pytest.raises(StreamUnavailable):
        await rig.intake.add([addition(b"i" * 16)])
    await rig.link.call("DEL", rig.keys.events)
    (added,) = await rig.intake.add([addition(b"i" * 16)])
    assert added.new


async def test_one_bad_flush_does_not_end_the_intake(redis_url: str, rig: Rig) -> None:
    """After a Redis that was not there, the same intake takes the next event."""
    link = Link(redis_url)
    intake = Intake(link, rig.keys)
    await link.call("SET", rig.keys.events, "not a stream")
    with pytest.raises(StreamUnavailable):
        await intake.add([addition()])
    await link.call("DEL", rig.keys.events)
    assert (await intake.add([addition()]))[0].new
    await link.close()


async def test_route_opens_the_hooks_and_parks_the_entry(rig: Rig) -> None:
    """A routed entry belongs to the parked, each hook owes an answer, and its token is its due time."""
    (event_id,) = await rig.add()
    routed = await rig.route(await rig.read(), "h1", "h2")
    assert routed.ids == {event_id}
    assert await rig.states(event_id) == {"": "waiting", "h1": "in_flight", "h2": "in_flight"}
    (row,) = await rig.link.call("XPENDING", rig.keys.events, GROUP, event_id, event_id, 1)
    assert row[1] == PARKED.encode()
    assert int(float(await rig.link.call("ZSCORE", rig.keys.due("h1"), event_id))) == routed.now + LONG


async def test_route_without_a_hook_caches_or_acknowledges(rig: Rig) -> None:
    """An event that nobody wants is unmatched, one that is not to be kept is gone."""
    first, second = await rig.add(2)
    one, two = await rig.read()
    await rig.route([one])
    await rig.route([two], park=Park.NO)
    assert await rig.cached() == [first]
    assert await rig.states(first) == {"": "unmatched"}
    assert await rig.examine() == []
    assert second not in await rig.cached()


async def test_route_leaves_what_another_process_took_over(rig: Rig) -> None:
    """After RECOVER gave an entry to another, its first reader may not post: it is not among the routed."""
    (event_id,) = await rig.add()
    entries = await rig.read()
    await rig.consumer.farewell()
    other = rig.worker("w2")
    assert [entry.id for entry in (await other.recover("w1")).entries] == [event_id]
    assert (await rig.route(entries, "h1")).ids == set()
    assert (await rig.route(entries, "h1", consumer=other)).ids == {event_id}


async def test_route_twice_opens_once(rig: Rig) -> None:
    """An entry routed before its process died is not routed again: no second attempt, no state lost."""
    (event_id,) = await rig.add()
    entries = await rig.read()
    await rig.route(entries, "h1", "h2")
    await rig.take(event_id, "h1")
    await rig.link.call("XCLAIM", rig.keys.events, GROUP, "w1", 0, event_id, "JUSTID")
    assert (await rig.route(entries, "h1", "h2")).ids == set()
    assert await rig.states(event_id) == {"": "waiting", "h2": "in_flight"}
    assert await rig.examine() == []


async def test_route_sets_what_cannot_be_read_aside(rig: Rig) -> None:
    """An unreadable entry is poison, and stays in the cache."""
    (event_id,) = await rig.routed(park=Park.POISON)
    assert await rig.states(event_id) == {"": "poison"}
    assert await rig.examine() == []


async def test_done_by_the_last_hook_acknowledges(rig: Rig) -> None:
    """The event leaves the cache when the last hook took it, not before, and who took it is remembered."""
    (event_id,) = await rig.routed("h1", "h2")
    assert await rig.take(event_id, "h1")
    assert await rig.cached() == [event_id]
    assert await rig.take(event_id, "h2")
    assert await rig.cached() == []
    assert set(await rig.link.call("SMEMBERS", rig.keys.taken(event_id))) == {b"h1", b"h2"}
    assert await rig.examine() == []


async def test_done_twice_is_late(rig: Rig) -> None:
    """A second DONE closes nothing and acknowledges nothing: the entry may wait for a replay by then."""
    (event_id,) = await rig.routed("h1")
    assert await rig.take(event_id, "h1")
    assert await rig.operator.replay([event_id], again=True) == {event_id: 2}
    assert await rig.take(event_id, "h1")
    assert not await rig.take(event_id, "h1")
    assert await rig.states(event_id) == {"": "waiting", "h2": "waiting"}


async def test_done_in_one_flush_for_many_hooks_and_events(rig: Rig) -> None:
    """Outcomes of one flush are told apart by event and by hook."""
    ids = await rig.routed("h1", "h2", count=50)
    wanted = [Taken(i, "h1") for i in ids] + [Taken(i, "h2") for i in ids[:25]]
    assert all(await asyncio.gather(*map(rig.settler.record, wanted)))
    assert await rig.cached() == ids[25:]
    assert await rig.examine() == []


async def test_done_of_a_deleted_event_leaves_nothing_behind(rig: Rig) -> None:
    """A hook that takes an event deleted in flight is late, and no key remembers it."""
    (event_id,) = await rig.routed("h1")
    assert await rig.operator.delete(event_id)
    assert not await rig.take(event_id, "h1")
    assert await rig.link.call("EXISTS", rig.keys.taken(event_id)) == 0
    assert await rig.examine() == []


async def test_retry_without_the_lease_changes_nothing(rig: Rig) -> None:
    """Who lost the lease may not move the event: the other's attempt is under way."""
    (event_id,) = await rig.routed("h1", lease=ENDED)
    (lease,) = (await rig.claim("h1")).leases
    stale = NotTaken(event_id, "h1", lease.token - LONG, "dead")
    assert not await rig.settler.record(stale)
    assert await rig.states(event_id) == {"": "waiting", "h1": "in_flight"}
    assert await rig.settler.record(NotTaken(event_id, "h1", lease.token, "dead"))
    assert await rig.states(event_id) == {"": "dead", "h1": "dead"}


async def test_retry_keeps_what_came_of_the_attempt(rig: Rig) -> None:
    """Status, error (with odd signs in it) and the next try are shown until the next outcome."""
    (event_id,) = await rig.add()
    now = (await rig.route(await rig.read(), "h1")).now
    error = "a|b\nc\u00e9" + "x" * 400
    await rig.settler.record(NotTaken(event_id, "h1", now + LONG, "again", 5000, 503, error))
    ((found,),) = [one.hooks.values() for one in await rig.cache.look([event_id])]
    assert (found.state, found.attempts, found.last_status, found.last_error) == ("retrying", 1, 503, error[:300])
    assert found.next_try is not None
    assert now + 5000 <= found.next_try < now + 15_000


async def test_retry_that_made_no_attempt_counts_none(rig: Rig) -> None:
    """A lease given back unused is due at once and leaves the count of attempts as it was."""
    (event_id,) = await rig.add()
    now = (await rig.route(await rig.read(), "h1")).now
    assert await rig.settler.record(NotTaken(event_id, "h1", now + LONG, "free"))
    (lease,) = (await rig.claim("h1")).leases
    assert lease.attempt == 1


async def test_a_dead_hook_keeps_the_event_when_another_takes_it(rig: Rig) -> None:
    """One hook's DONE does not acknowledge what another gave up."""
    (event_id,) = await rig.dead("h1", "h2")
    assert await rig.states(event_id) == {"": "waiting", "h1": "dead", "h2": "in_flight"}
    assert await rig.take(event_id, "h2")
    assert await rig.states(event_id) == {"": "dead", "h1": "dead"}
    assert await rig.examine() == []


async def test_drop_gives_up_without_keeping(rig: Rig) -> None:
    """What is given up and not kept leaves the cache with its last hook."""
    (event_id,) = await rig.add()
    now = (await rig.route(await rig.read(), "h1")).now
    assert await rig.settler.record(NotTaken(event_id, "h1", now + LONG, "drop"))
    assert await rig.cached() == []
    assert await rig.examine() == []


async def test_claim_leases_to_one_process_only(redis_url: str, rig: Rig) -> None:
    """Of two processes that claim the same 100 due events at once, each event has one lease."""
    ids = await rig.routed("h1", count=100, leased=False)
    async with Link(redis_url) as other:
        rival = Rig(other, rig.keys, "h1")
        found = await asyncio.gather(*(one.claim("h1", most=60) for one in (rig, rival) for _ in range(3)))
    leased = [lease.event_id for claimed in found for lease in claimed.leases]
    assert sorted(leased) == sorted(ids)


async def test_claim_takes_no_more_than_asked_and_nothing_early(rig: Rig) -> None:
    """The cap holds, says that more is left, and a lease that lasts is not touched."""
    await rig.routed("h1", count=3)
    ids = await rig.routed("h1", count=5, leased=False)
    claimed = await rig.claim("h1", most=4)
    assert [lease.event_id for lease in claimed.leases] == ids[:4]
    assert claimed.more
    rest = await rig.claim("h1", most=4)
    assert [lease.event_id for lease in rest.leases] == ids[4:]
    assert not rest.more


async def test_claim_makes_poison_of_what_never_has_an_outcome(rig: Rig) -> None:
    """After five leases in a row that nobody settled the event is set aside and is due no more."""
    (event_id,) = await rig.routed("h1", leased=False)
    attempts = [len((await rig.claim("h1", lease=ENDED)).leases) for _ in range(LEASES_TO_POISON)]
    assert attempts == [1] * LEASES_TO_POISON
    assert (await rig.claim("h1")).poisoned == [event_id]
    assert (await rig.claim("h1")).leases == []
    assert await rig.states(event_id) == {"": "poison", "h1": "poison"}
    assert await rig.examine() == []


async def test_an_outcome_ends_the_suspicion(rig: Rig) -> None:
    """A refusal proves that the event does not kill: the count of leases without outcome starts anew."""
    (event_id,) = await rig.routed("h1", leased=False)
    for _ in range(3):
        for _ in range(3):
            (lease,) = (await rig.claim("h1", lease=ENDED)).leases
        assert await rig.settler.record(NotTaken(event_id, "h1", lease.token, "again"))
    assert (await rig.claim("h1")).poisoned == []


async def test_suspects_are_claimed_one_at_a_time(rig: Rig) -> None:
    """Events whose last two leases had no outcome do not go out together: one of them may be the killer."""
    ids = await rig.routed("h1", count=3, leased=False)
    for _ in range(2):
        assert len((await rig.claim("h1", lease=ENDED)).leases) == 3
    first = await rig.claim("h1")
    assert [(lease.event_id, lease.suspect) for lease in first.leases] == [(ids[0], True)]
    assert (await rig.claim("h1", suspects=0)).leases == []
    assert [lease.event_id for lease in (await rig.claim("h1")).leases] == [ids[1]]


async def test_claim_of_a_vanished_entry_cleans_up(rig: Rig) -> None:
    """A due event whose entry somebody deleted by hand is closed, not tried for ever; the ledger misses it."""
    (event_id,) = await rig.routed("h1", leased=False)
    await rig.link.call("XDEL", rig.keys.events, event_id)
    assert (await rig.claim("h1")).vanished == [event_id]
    assert await rig.cached() == []
    assert [(one.id, one.what) for one in await rig.examine()] == [("1 event(s)", "unaccounted")]


async def test_recover_leaves_the_living_and_the_parked_alone(rig: Rig) -> None:
    """A busy process that beats keeps its entries; what is routed is nobody's to recover."""
    await rig.routed("h1")
    await rig.add()
    await rig.read()
    other = rig.worker("w2")
    assert await other.dead_consumers() == []
    assert (await other.recover("w1")).entries == []
    assert len(await rig.consumer.read_own()) == 1


async def test_recover_takes_over_and_drops_the_dead(rig: Rig) -> None:
    """A dead process's entries go to the one that recovers, and its name disappears when it owns nothing."""
    ids = await rig.add(300)
    await rig.read()
    await rig.read()
    await rig.consumer.farewell()
    other = rig.worker("w2")
    assert await other.dead_consumers() == ["w1"]
    first, second = await other.recover("w1"), await other.recover("w1")
    assert (first.finished, second.finished) == (False, True)
    assert [entry.id for entry in first.entries + second.entries] == ids
    assert "w1" not in await other.dead_consumers()
    assert len((await rig.route(first.entries, "h1", consumer=other)).ids) == 256


async def test_recover_makes_poison_of_what_kills_its_reader(rig: Rig) -> None:
    """An entry that five processes died of before it was routed is set aside; its neighbours are not."""
    killer, neighbour = await rig.add(2)
    await rig.read()
    dead = rig.consumer
    for n in itertools.count(2):
        await dead.farewell()
        following = rig.worker(f"w{n}")
        await following.beat(["h1"])
        recovered = await following.recover(dead.name)
        if recovered.poisoned:
            break
        healthy = [entry for entry in recovered.entries if entry.id == neighbour]
        await rig.route(healthy, "h1", consumer=following) if healthy else None
        dead = following
    assert recovered.poisoned == [killer]
    assert n == CLAIMS_TO_POISON + 2
    assert await rig.states(killer) == {"": "poison"}
    assert await rig.states(neighbour) == {"": "waiting", "h1": "in_flight"}


async def test_scripts_come_back_after_a_flush(rig: Rig) -> None:
    """SCRIPT FLUSH costs a round trip and nothing else."""
    await rig.routed("h1")
    await rig.link.call("SCRIPT", "FLUSH")
    (event_id,) = await rig.routed("h1")
    assert await rig.take(event_id, "h1")


async def test_a_lost_group_is_made_again_and_repeats_nothing(rig: Rig) -> None:
    """After XGROUP DESTROY every entry comes again: what was taken is not, what was open stays as it was."""
    (finished,) = await rig.routed("h1")
    await rig.take(finished, "h1")
    (half,) = await rig.routed("h1", "h2")
    await rig.take(half, "h1")
    (dead,) = await rig.dead("h1")
    (unmatched,) = await rig.routed()
    await rig.link.call("XGROUP", "DESTROY", rig.keys.events, GROUP)
    await rig.consumer.ensure_group()
    routed = await rig.route(await rig.read(), "h1")
    assert routed.ids == {unmatched}
    assert await rig.cached() == [half, dead, unmatched]
    assert await rig.states(half) == {"": "waiting", "h2": "in_flight"}
    assert await rig.states(dead) == {"": "dead", "h1": "dead"}
    assert await rig.states(unmatched) == {"": "waiting", "h1": "in_flight"}
    assert await rig.examine() == []
