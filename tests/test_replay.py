"""Replay by stream id and of everything: who gets the event again, who does not, and what it leaves behind."""

from collections.abc import Callable

import pytest

from tests import meta
from tests.commands import run
from tests.conftest import Gateway, hook
from tests.receiver import Received, Receiver, status
from tests.streams import ENDED, LONG, Rig, a_hook
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

MakeGateway = Callable[..., Gateway]


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """Steps by hand on the gateway's own keys."""
    return Rig(link, keys, "h1", "h2")


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that fails is the last."""
    monkeypatch.setattr("whatshooked.hooks.retry.SCHEDULE", ())


def _at(receiver: Receiver, path: str) -> list[Received]:
    return [one for one in receiver.received if one.target.startswith(path)]


async def _replay(gateway: Gateway, event_id: str, more: str = "") -> int:
    answer = await gateway.api("POST", f"/api/cache/event/replay?id={event_id}{more}")
    assert answer.status_code == 200
    return int(answer.json()["replayed"])


async def test_who_took_it_is_not_told_again(make_gateway: MakeGateway, receiver: Receiver, no_retries: None) -> None:
    """h1 took the event and h2 gave it up: the replay reaches h2 alone, says so, and the event leaves the cache."""
    async with Receiver(behave=status(500)) as broken:
        gateway = make_gateway(hook("h1", receiver.url()), hook("h2", broken.url()))
        await gateway.start()
        await gateway.post(meta.webhook(meta.value(meta.text("once"))))
        (event,) = await gateway.cached(1, state="dead")
        assert list(event["hooks"]) == ["h2"]
        broken.behave = status(200)
        assert await _replay(gateway, event["id"]) == 1
        first, second = await broken.wait(2)
        await gateway.cached(0)
    assert "webhook-replay" not in first.headers
    assert second.headers["webhook-replay"] == "true"
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert len(receiver.received) == 1


async def test_history_is_replayed_to_named_hooks_or_again(make_gateway: MakeGateway, receiver: Receiver) -> None:
    """A finished event goes nowhere by itself; to a named hook or with again=true it goes, and is finished again."""
    gateway = make_gateway(hook("h1", receiver.url("/1")), hook("h2", receiver.url("/2")))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    event_id = (await receiver.wait(2))[0].json["event_id"]
    await gateway.cached(0)
    assert await _replay(gateway, event_id) == 0
    assert await _replay(gateway, event_id, "&hook=h2") == 1
    await receiver.wait(3)
    await gateway.cached(0)
    assert [len(_at(receiver, path)) for path in ("/1", "/2")] == [1, 2]
    assert await _replay(gateway, event_id, "&again=true") == 1
    await receiver.wait(5)
    await gateway.cached(0)
    assert [len(_at(receiver, path)) for path in ("/1", "/2")] == [2, 3]
    assert all(one.headers.get("webhook-replay") == "true" for one in receiver.received[2:])


async def test_the_command_says_why_nobody_gets_it(gateway: Gateway, receiver: Receiver) -> None:
    """A replay of what every hook took names the options that reach them all the same; with one there is no hint."""
    await gateway.post(meta.webhook(meta.value(meta.text())))
    event_id = (await receiver.wait(1))[0].json["event_id"]
    await gateway.cached(0)
    said = await run("cache", "replay", event_id, "-c", str(gateway.path))
    assert (said.code, said.out) == (0, "replayed 0\n")
    assert "--hook ID tells one once more, --again" in said.err
    said = await run("cache", "replay", event_id, "--hook", "h1", "-c", str(gateway.path))
    assert (said.code, said.out, said.err) == (0, "replayed 1\n", "")
    assert (await receiver.wait(2))[1].headers["webhook-replay"] == "true"


async def test_history_goes_to_a_hook_that_is_new(make_gateway: MakeGateway, receiver: Receiver, rig: Rig) -> None:
    """A hook configured after the event was finished has not taken it: a replay brings it there."""
    (event_id,) = await rig.routed("h1")
    await rig.take(event_id, "h1")
    gateway = make_gateway(hook("h1", receiver.url("/1")), hook("new", receiver.url("/new")))
    await gateway.start()
    assert await _replay(gateway, event_id) == 1
    (got,) = await receiver.wait(1)
    assert got.target.startswith("/new")
    await gateway.cached(0)


async def test_a_named_hook_must_exist(gateway: Gateway) -> None:
    """Naming a hook that is not configured is a 404 and changes nothing."""
    for path in ("/api/cache/replay?hook=nobody", "/api/cache/event/replay?id=1-0&hook=nobody"):
        answer = await gateway.api("POST", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_hook")


async def test_all_are_replayed(make_gateway: MakeGateway, receiver: Receiver) -> None:
    """Everything that came while the hook was off goes out with one call, each event once, and the cache is empty."""
    gateway = make_gateway(hook("h1", receiver.url(), active=False))
    await gateway.start()
    for _ in range(3):
        await gateway.post(meta.webhook(meta.value(*(meta.text() for _ in range(200)))))
    await gateway.cached(500, state="unmatched")
    await gateway.api("PATCH", "/api/hooks/h1", json={"active": True})
    assert (await gateway.api("POST", "/api/cache/replay")).json() == {"replayed": 600}
    await receiver.wait(600, timeout=30)
    await gateway.cached(0)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == len(receiver.received) == 600
    assert (await gateway.api("POST", "/api/cache/replay")).json() == {"replayed": 0}


async def test_a_replay_of_what_no_hook_wants_leaves_it_unmatched(make_gateway: MakeGateway) -> None:
    """Nothing is lost by replaying too early."""
    gateway = make_gateway()
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (event,) = await gateway.cached(1, state="unmatched")
    assert await _replay(gateway, event["id"]) == 0
    assert await gateway.cached(1, state="unmatched") == [event]


async def test_a_replay_does_not_wait_for_the_next_try(gateway: Gateway, receiver: Receiver) -> None:
    """What would be tried again later goes out now, with its attempts counted anew."""
    receiver.behave = status(503)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (first,) = await receiver.wait(1)
    receiver.behave = status(200)

    while not await _replay(gateway, first.json["event_id"]):
        pass  # 0 while the first attempt's lease stands
    _, second = await receiver.wait(2)
    assert second.at - first.at < 2.0
    await gateway.cached(0)


async def test_live_leases_are_left_alone(rig: Rig) -> None:
    """While a POST may be under way a replay opens nothing for that hook, named or not; an ended lease is reopened."""
    (event_id,) = await rig.routed("h1")
    assert await rig.operator.replay([event_id]) == {event_id: 1}
    assert await rig.states(event_id) == {"": "waiting", "h1": "in_flight", "h2": "waiting"}
    for more in ({"hook_id": "h1"}, {"again": True}):
        await rig.operator.replay([event_id], **more)
        assert (await rig.states(event_id))["h1"] == "in_flight"
    (ended,) = await rig.routed("h1", lease=ENDED)
    assert await rig.operator.replay([ended], hook_id="h1") == {ended: 1}
    assert (await rig.claim("h1")).leases[0].replay


async def test_what_is_read_and_not_routed_is_left_to_its_reader(rig: Rig) -> None:
    """Before ROUTE, and before any worker read it, an event is about to go to the same hooks anyway."""
    (event_id,) = await rig.add()
    await rig.consumer.ensure_group()
    assert await rig.operator.replay([event_id]) == {event_id: 0}
    entries = await rig.read()
    assert await rig.operator.replay([event_id]) == {event_id: 0}
    assert (await rig.route(entries, "h1")).ids == {event_id}


async def test_a_replay_of_poison_begins_anew(rig: Rig) -> None:
    """Replayed poison is due, its count of crashes is zero, and it can be taken."""
    event_id = await rig.poison("h1")
    assert await rig.operator.replay([event_id]) == {event_id: 2}
    assert await rig.states(event_id) == {"": "waiting", "h1": "waiting", "h2": "waiting"}
    assert await rig.packed(event_id, "h1") == b"w|0|0|1|0|"
    assert await rig.examine() == []
    (lease,) = (await rig.claim("h1")).leases
    assert (lease.attempt, lease.suspect, lease.replay) == (1, False, True)
    assert await rig.take(event_id, "h1")
    assert await rig.take(event_id, "h2")
    assert await rig.cached() == []


async def test_poison_of_an_unrouted_entry_is_replayed_too(rig: Rig) -> None:
    """What killed its readers has no open hook; a replay opens those that match."""
    (event_id,) = await rig.routed()
    await rig.link.call("ZREM", rig.keys.unmatched, event_id)
    await rig.link.call("ZADD", rig.keys.poison, 1, event_id)
    assert await rig.operator.replay([event_id]) == {event_id: 2}
    assert await rig.states(event_id) == {"": "waiting", "h1": "waiting", "h2": "waiting"}
    assert await rig.examine() == []


async def test_hooks_that_no_longer_exist_are_dropped(rig: Rig) -> None:
    """A replay closes what only a removed hook owed: finished when another took it, else unmatched or to the others."""
    (taken,) = await rig.dead("old", "h1")
    await rig.take(taken, "h1")
    (left,) = await rig.dead("old")
    rig.hooks = Hooks([a_hook("h1"), a_hook("h2", active=False)])
    await rig.link.call("ZADD", rig.keys.hooks, 1, "old")
    assert await rig.operator.replay([taken, left]) == {taken: 0, left: 1}
    assert await rig.cached() == [left]
    assert await rig.states(left) == {"": "waiting", "h1": "waiting"}
    assert await rig.link.call("EXISTS", rig.keys.dead("old"), rig.keys.open(taken)) == 0
    assert await rig.examine() == []


async def test_what_only_a_removed_hook_owed_is_unmatched_then(rig: Rig) -> None:
    """When nobody else wants it and nobody took it, the event stays in the cache as unmatched."""
    (event_id,) = await rig.dead("old")
    rig.hooks = Hooks([])
    await rig.link.call("ZADD", rig.keys.hooks, 1, "old")
    assert await rig.operator.replay([event_id]) == {event_id: 0}
    assert await rig.states(event_id) == {"": "unmatched"}
    assert await rig.examine() == []


async def test_a_live_lease_of_a_removed_hook_is_left_alone(rig: Rig) -> None:
    """A POST of a hook that was just removed may still be accepted."""
    (event_id,) = await rig.routed("old", lease=LONG)
    rig.hooks = Hooks([])
    await rig.link.call("ZADD", rig.keys.hooks, 1, "old")
    assert await rig.operator.replay([event_id]) == {event_id: 0}
    assert await rig.take(event_id, "old")
    assert await rig.cached() == []
