"""What upkeep pushes out, forgets and gives up, and what it never touches."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status
from tests.streams import Rig, until
from whatshooked.keys import Keys
from whatshooked.stream.link import Link
from whatshooked.stream.upkeep import Limits, Upkeep

MakeGateway = Callable[..., Gateway]
DAY = 86_400_000
NONE = Limits(max_events=10**9, max_age_ms=DAY, history_ms=DAY, history_bytes=1 << 40)


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


@pytest.fixture
def upkeep(rig: Rig) -> Upkeep:
    """Its upkeep."""
    return Upkeep(rig.link, rig.keys, rig.operator)


def _limits(
    *, max_events: int = 10**9, max_age_ms: int = DAY, history_ms: int = DAY, history_bytes: int = 1 << 40
) -> Limits:
    return Limits(max_events, max_age_ms, history_ms, history_bytes)


async def _parked_since(rig: Rig, key: str, ids: list[str], ago_ms: int) -> None:
    seconds, _ = await rig.link.call("TIME")
    for n, event_id in enumerate(ids):
        await rig.link.call("ZADD", key, int(seconds) * 1000 - ago_ms + n, event_id)


async def test_max_events_pushes_out_the_longest_parked(rig: Rig, upkeep: Upkeep) -> None:
    """Over the limit the oldest parked go, exactly the surplus; they become history and can be replayed."""
    ids = await rig.routed(count=10)
    await _parked_since(rig, rig.keys.unmatched, ids, 60_000)
    newest_id_oldest_parked = ids[-1]
    await _parked_since(rig, rig.keys.unmatched, [newest_id_oldest_parked], 120_000)
    assert await upkeep.enforce(_limits(max_events=7), ["h1"]) == ({}, {"unmatched": 3})
    assert await rig.cached() == ids[2:9]
    assert await upkeep.enforce(_limits(max_events=7), ["h1"]) == ({}, {})
    assert await rig.examine() == []
    assert await rig.operator.replay(ids[:1]) == {ids[0]: 2}


async def test_two_workers_push_out_no_more_than_one(redis_url: str, rig: Rig, upkeep: Upkeep) -> None:
    """Passes of two workers that saw the same surplus do not push it out twice."""
    for _ in range(3):
        await rig.add(256)
        await rig.route(await rig.read())
    async with Link(redis_url) as link:
        rival = Rig(link, rig.keys, "h1", "h2")
        other = Upkeep(link, rig.keys, rival.operator)
        seen = await other._parked([])
        assert await upkeep.enforce(_limits(max_events=700), ["h1"]) == ({}, {"unmatched": 68})

        async def stale(hooks: list[str]) -> Any:
            return seen

        other._parked = stale  # type: ignore[method-assign]
        assert await other.enforce(_limits(max_events=700), ["h1"]) == ({}, {})
    assert await rig.cache.total() == 700


async def test_max_age_pushes_out_what_is_parked_too_long(rig: Rig, upkeep: Upkeep) -> None:
    """Unmatched, dead and poison alike, each counted as what it was; what is younger stays."""
    unmatched = await rig.routed(count=2)
    dead = await rig.dead("h1", count=2)
    poison = await rig.poison("h1")
    await _parked_since(rig, rig.keys.unmatched, unmatched[:1], 2 * DAY)
    await _parked_since(rig, rig.keys.dead("h1"), dead[:1], 2 * DAY)
    await _parked_since(rig, rig.keys.poison, [poison], 2 * DAY)
    assert await upkeep.enforce(NONE, ["h1"]) == ({"unmatched": 1, "dead": 1, "poison": 1}, {})
    assert await rig.cached() == [unmatched[1], dead[1]]
    assert await rig.examine() == []


async def test_what_is_parked_twice_counts_as_the_listing_has_it(rig: Rig, upkeep: Upkeep) -> None:
    """Given up at one hook and poison at another: poison."""
    event_id = await rig.poison("h1")
    await rig.link.call("ZADD", rig.keys.dead("h2"), 1, event_id)
    await rig.link.call("HSET", rig.keys.open(event_id), "h2", "d|1|0|0|503|HTTP 503")
    (cached,) = await rig.cache.look([event_id])
    assert cached.state == "poison"
    assert await upkeep.enforce(_limits(max_events=0), ["h1"]) == ({}, {"poison": 1})


async def test_what_still_waits_is_never_pushed_out(rig: Rig, upkeep: Upkeep) -> None:
    """In flight, due, and dead at one hook while another still waits: no limit touches them."""
    ids = await rig.routed("h1")
    ids += await rig.routed("h1", leased=False)
    ids += await rig.dead("h1", "h2")
    await _parked_since(rig, rig.keys.dead("h1"), ids[-1:], 3 * DAY)
    assert await upkeep.enforce(_limits(max_events=0, max_age_ms=0), ["h1"]) == ({}, {})
    assert await rig.cached() == ids


async def test_what_waits_takes_no_place_of_the_parked(rig: Rig, upkeep: Upkeep) -> None:
    """`max_events` counts parked events only: 5 that wait do not push out the 3 that are allowed."""
    waiting = await rig.dead("h1", "h2", count=5)
    parked = await rig.routed(count=3)
    assert await upkeep.enforce(_limits(max_events=3), ["h1"]) == ({}, {})
    assert await rig.cached() == waiting + parked


async def test_hook_events_are_not_counted(rig: Rig, upkeep: Upkeep) -> None:
    """`hook.*` events that are parked take no place of others."""
    told = await rig.add(4, type_="hook.failed")
    await rig.route(await rig.read())
    kept = await rig.routed(count=3)
    assert await upkeep.enforce(_limits(max_events=3), ["h1"]) == ({}, {})
    assert await rig.cached() == told + kept


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upkeep passes every 50 ms, and an attempt that fails is the last."""
    monkeypatch.setattr("workers.process.UPKEEP_EVERY", 0.05)
    monkeypatch.setattr("whatshooked.hooks.retry.SCHEDULE", ())


def _count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"whatshooked_{name}_total", labels) or 0.0


async def test_what_a_limit_pushes_out_is_counted_and_logged(
    make_gateway: MakeGateway, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A running worker bounds the cache, with a line in the log and a count."""
    caplog.set_level(logging.WARNING)
    before = _count("cache_removed", reason="too_many", state="unmatched")
    gateway = make_gateway(message_cache={"max_events": 5})
    await gateway.start()
    for n in range(8):
        await gateway.post(meta.webhook(meta.value(meta.text(f"{n}"))))
    kept = await gateway.cached(5, state="unmatched")
    assert [one["payload"]["text"] for one in kept] == ["3", "4", "5", "6", "7"]

    async def counted() -> bool:
        return _count("cache_removed", reason="too_many", state="unmatched") - before == 3

    await until(counted)
    assert "pushed out" in caplog.text


async def test_without_a_cache_nothing_is_parked(
    make_gateway: MakeGateway, receiver: Receiver, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    """`enabled: false`: unmatched and given up events are acknowledged, counted and logged."""
    caplog.set_level(logging.WARNING)
    receiver.behave = status(500)
    unmatched = _count("unmatched", type="message.read")
    dead = _count("dead", hook="h1")
    gateway = make_gateway(hook("h1", receiver.url(), events=["message.received"]), message_cache={"enabled": False})
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text(), statuses=[meta.status("read")])))
    await receiver.wait(1)
    await gateway.cached(0)

    async def counted() -> bool:
        return _count("unmatched", type="message.read") == unmatched + 1 and _count("dead", hook="h1") == dead + 1

    await until(counted)
    assert "not kept" in caplog.text
    assert "Event given up after the last retry" in caplog.text


async def test_without_a_cache_retries_stay(make_gateway: MakeGateway, receiver: Receiver) -> None:
    """`enabled: false` gives nothing up that would be tried again."""
    receiver.behave = status(500)
    gateway = make_gateway(hook("h1", receiver.url()), message_cache={"enabled": False})
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(1)
    (event,) = await gateway.cached(1)
    receiver.behave = status(200)
    await receiver.wait(2)
    await gateway.cached(0)
    assert event["state"] == "waiting"


async def _finished(rig: Rig, count: int) -> list[str]:
    ids = await rig.routed("h1", count=count)
    for event_id in ids:
        await rig.take(event_id, "h1")
    return ids


async def test_history_ends_by_age(rig: Rig, upkeep: Upkeep) -> None:
    """Finished entries go with the record of who took them; pending and unread ones stay whatever their age."""
    finished = await _finished(rig, 5)
    parked = await rig.routed(count=2)
    finished += await _finished(rig, 5)
    unread = await rig.add(3)
    assert await upkeep.forget(_limits(history_ms=DAY)) == 0
    assert await upkeep.forget(_limits(history_ms=-1000)) == 10
    rows = await rig.link.call("XRANGE", rig.keys.events, "-", "+")
    assert [row[0].decode() for row in rows] == parked + unread
    assert await rig.link.call("EXISTS", *map(rig.keys.taken, finished)) == 0
    assert await rig.examine() == []
    assert [entry.id for entry in await rig.read()] == unread


async def test_history_ends_by_bytes(rig: Rig, upkeep: Upkeep) -> None:
    """Over its bytes history loses its oldest entries, and no more than needed; parked ones are no history."""
    parked = await rig.routed(count=200)
    finished = await _finished(rig, 200)
    size = await rig.link.call("MEMORY", "USAGE", rig.keys.events)
    half = round((size / 400 + 160) * 100)  # what 100 entries take
    assert await upkeep.forget(_limits(history_bytes=10 * half)) == 0
    assert await upkeep.forget(_limits(history_bytes=half)) in (99, 100, 101)
    assert await upkeep.forget(_limits(history_bytes=half)) < 30
    rows = await rig.link.call("XRANGE", rig.keys.events, "-", "+")
    left = [row[0].decode() for row in rows]
    assert left[:200] == parked
    assert left[200:] == finished[200 - (len(left) - 200) :]
    assert 70 <= len(left) - 200 <= 101


async def test_a_stream_of_events_stays_in_bounds(
    make_gateway: MakeGateway, receiver: Receiver, at_once: None, link: Link, keys: Keys
) -> None:
    """With 200 KB of history 3,000 delivered events of half a KB leave a few hundred entries, and nobody's record."""
    gateway = make_gateway(hook("h1", receiver.url()), message_cache={"history_bytes": 200_000})
    await gateway.start()
    for _ in range(30):
        await gateway.post(meta.webhook(meta.value(*(meta.text() for _ in range(100)))))
    await receiver.wait(3000, timeout=40)
    await gateway.cached(0)

    async def bounded() -> bool:
        return int(await link.call("XLEN", keys.events)) < 700

    await until(bounded)
    await gateway.stop_workers()
    assert int(await link.call("MEMORY", "USAGE", keys.events)) < 400_000
    cursor, taken = b"0", 0
    while True:
        cursor, names = await link.call("SCAN", cursor, "MATCH", keys.taken("*").replace("{", "\\{"), "COUNT", 5000)
        taken += len(names)
        if cursor == b"0":
            break
    assert taken <= int(await link.call("XLEN", keys.events))


async def test_a_removed_hook_gives_its_events_up(rig: Rig, upkeep: Upkeep) -> None:
    """Due, dead and poison of a hook that no process shows any more are closed and counted; another's share stays."""
    await rig.link.call("ZADD", rig.keys.hooks, 1, "old")
    await rig.routed("old", leased=False)
    await rig.dead("old")
    await rig.poison("old")
    (shared,) = await rig.dead("old", "h1")
    await rig.link.call("ZADD", rig.keys.hooks, 1, "old")
    assert await upkeep.drop_removed(["h1"]) == {"old": {"waiting": 1, "dead": 2, "poison": 1}}
    assert await rig.cached() == [shared]
    assert await rig.states(shared) == {"": "waiting", "h1": "in_flight"}
    assert await upkeep.drop_removed(["h1"]) == {}
    assert await rig.link.call("ZSCORE", rig.keys.hooks, "old") is None
    assert await rig.examine() == []


async def test_a_hook_that_is_shown_again_is_not_given_up(rig: Rig, upkeep: Upkeep) -> None:
    """A hook in any living process's config keeps its events, whatever the others know."""
    await rig.dead("old")
    await rig.consumer.beat(["h1", "old"])
    assert await upkeep.drop_removed(["h1"]) == {}
    assert await rig.cache.total() == 1


async def test_a_removed_hook_s_post_in_flight_may_finish(rig: Rig, upkeep: Upkeep) -> None:
    """A live lease is left; the hook is given up once the lease is over."""
    (event_id,) = await rig.routed("old")
    await rig.link.call("ZADD", rig.keys.hooks, 1, "old")
    assert await upkeep.drop_removed(["h1"]) == {}
    assert await rig.cached() == [event_id]
    await rig.link.call("ZADD", rig.keys.due("old"), 1, event_id)
    assert await upkeep.drop_removed(["h1"]) == {"old": {"waiting": 1}}
    assert await rig.cached() == []


async def test_a_group_that_is_lost_does_not_end_upkeep(rig: Rig, upkeep: Upkeep) -> None:
    """Without its group or stream a pass finds nothing to do, or says that Redis is not as it should be; no crash."""
    await rig.routed(count=2)
    await rig.link.call("DEL", rig.keys.events)
    assert await upkeep.forget(NONE) == 0
    assert await upkeep.enforce(_limits(max_events=0), ["h1"]) == ({}, {})
    assert await rig.link.call("EXISTS", rig.keys.unmatched) == 0
