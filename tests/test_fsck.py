"""fsck: each kind of disagreement, planted by hand, is found and mended; what works is never reported."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests import meta
from tests.conftest import Gateway
from tests.receiver import Receiver, status
from tests.streams import ENDED, Rig, until
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.fsck import MEANINGS, examine
from whatshooked.stream.link import Link

Plant = Callable[[Rig], Awaitable[str]]


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


async def _pending_without_entry(rig: Rig) -> str:
    (event_id,) = await rig.routed()
    await rig.link.call("XDEL", rig.keys.events, event_id)
    return event_id


async def _open_without_entry(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1")
    await rig.link.call("XACK", rig.keys.events, GROUP, event_id)
    await rig.link.call("XDEL", rig.keys.events, event_id)
    return event_id


async def _taken_without_entry(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1")
    await rig.take(event_id, "h1")
    await rig.link.call("XDEL", rig.keys.events, event_id)
    return event_id


async def _media_without_entry(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1")
    await rig.link.call("HSET", rig.keys.media(event_id), "error", "not fetched")
    await rig.take(event_id, "h1")
    await rig.link.call("XDEL", rig.keys.events, event_id)
    await rig.link.call("DEL", rig.keys.taken(event_id))
    return event_id


async def _open_not_pending(rig: Rig) -> str:
    event_id = await rig.poison("h1")
    await rig.link.call("XACK", rig.keys.events, GROUP, event_id)
    return event_id


async def _open_not_due(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1", leased=False)
    await rig.link.call("ZREM", rig.keys.due("h1"), event_id)
    return event_id


async def _dead_not_listed(rig: Rig) -> str:
    (event_id,) = await rig.dead("h1")
    await rig.link.call("DEL", rig.keys.dead("h1"))
    return event_id


async def _due_not_open(rig: Rig) -> str:
    (event_id,) = await rig.dead("h1")
    await rig.link.call("ZADD", rig.keys.due("h2"), 1, event_id)
    return event_id


async def _listed_not_dead(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1", leased=False)
    await rig.link.call("ZADD", rig.keys.dead("h1"), 1, event_id)
    return event_id


async def _unmatched_yet_open(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1", leased=False)
    await rig.link.call("ZADD", rig.keys.unmatched, 1, event_id)
    return event_id


async def _unmatched_not_pending(rig: Rig) -> str:
    (event_id,) = await rig.routed()
    await rig.link.call("XACK", rig.keys.events, GROUP, event_id)
    return event_id


async def _poison_not_pending(rig: Rig) -> str:
    event_id = await rig.poison("h1")
    await rig.link.call("DEL", rig.keys.open(event_id))
    await rig.link.call("XACK", rig.keys.events, GROUP, event_id)
    return event_id


async def _poison_yet_open(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1", leased=False)
    await rig.link.call("ZADD", rig.keys.poison, 1, event_id)
    return event_id


async def _poison_not_listed(rig: Rig) -> str:
    event_id = await rig.poison("h1")
    await rig.link.call("DEL", rig.keys.poison)
    return event_id


async def _parked_without_reason(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1", leased=False)
    await rig.link.call("DEL", rig.keys.open(event_id), rig.keys.due("h1"))
    return event_id


async def _unaccounted(rig: Rig) -> str:
    (event_id,) = await rig.routed("h1")
    await rig.link.call("XACK", rig.keys.events, GROUP, event_id)
    await rig.link.call("DEL", rig.keys.open(event_id), rig.keys.due("h1"))
    return "1 event(s)"


PLANTS: dict[str, Plant] = {
    plant.__name__.removeprefix("_"): plant
    for plant in (
        _pending_without_entry,
        _open_without_entry,
        _taken_without_entry,
        _media_without_entry,
        _open_not_pending,
        _open_not_due,
        _dead_not_listed,
        _due_not_open,
        _listed_not_dead,
        _unmatched_yet_open,
        _unmatched_not_pending,
        _poison_not_pending,
        _poison_yet_open,
        _poison_not_listed,
        _parked_without_reason,
        _unaccounted,
    )
}


def test_every_kind_is_planted() -> None:
    """No kind of disagreement goes untested."""
    assert PLANTS.keys() == MEANINGS.keys()


@pytest.mark.parametrize("what", MEANINGS)
async def test_a_disagreement_is_found_and_mended(rig: Rig, what: str) -> None:
    """It is named with its event, looking alone changes nothing, and after one repair nothing is left to find."""
    event_id = await PLANTS[what](rig)
    found = await rig.examine()
    assert (event_id, what) in {(one.id, one.what) for one in found}
    assert await rig.examine() == found
    assert (event_id, what) in {(one.id, one.what) for one in await rig.examine(repair=True)}
    assert await rig.examine() == []


@pytest.mark.parametrize(
    "what",
    sorted(MEANINGS.keys() - {"pending_without_entry", "taken_without_entry", "media_without_entry", "unaccounted"}),
)
async def test_what_was_mended_can_be_delivered(rig: Rig, what: str) -> None:
    """After the repair a replay and a claim bring every event that still exists to its hooks."""
    event_id = await PLANTS[what](rig)
    await rig.examine(repair=True)
    other = rig.worker("w2")
    for dead in [name for name in await other.dead_consumers() if name == "_lost"]:
        await rig.route((await other.recover(dead)).entries, "h1", leased=False, consumer=other)
    replayed = await rig.operator.replay([event_id])
    assert replayed == ({} if what == "open_without_entry" else {event_id: 2})
    for hook in ("h1", "h2"):
        for lease in (await rig.claim(hook, lease=ENDED)).leases:
            assert lease.event_id == event_id
            assert await rig.take(event_id, hook)
    assert await rig.cached() == []
    assert await rig.examine() == []


async def test_a_repair_is_delivered_by_a_running_gateway(
    gateway: Gateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """A due list lost under a running worker: fsck makes the events due again, and they arrive."""
    receiver.behave = status(503)
    for _ in range(3):
        await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(3)

    async def all_wait() -> bool:
        return all(one["hooks"]["h1"]["state"] == "retrying" for one in await gateway.cached(3))

    await until(all_wait)
    await link.call("DEL", keys.due("h1"))
    receiver.behave = status(200)
    found = await examine(link, keys, ["h1"], repair=True)
    assert {(one.what, one.hook) for one in found} == {("open_not_due", "h1")}
    await receiver.wait(6, timeout=5)
    await gateway.cached(0)


async def test_live_traffic_is_never_a_disagreement(
    gateway: Gateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """While 1,500 events pass, half of them refused at first, no look finds anything."""
    receiver.behave = status(503)
    looks = found = 0

    async def send() -> None:
        for n in range(15):
            await gateway.post(meta.webhook(meta.value(*(meta.text() for _ in range(100)))))
            if n == 7:
                receiver.behave = status(200)

    sending = asyncio.create_task(send())
    while not sending.done() or looks < 5:
        found += len(await examine(link, keys, ["h1"], repair=False))
        looks += 1
    await sending
    await gateway.cached(0, timeout=30)
    found += len(await examine(link, keys, ["h1"], repair=False))
    assert found == 0
