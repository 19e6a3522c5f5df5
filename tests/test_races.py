"""Operators' hands in the middle of traffic: at the end every event is accounted for, and the keys agree."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Received, Receiver, status
from tests.streams import until
from whatshooked.keys import Keys
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Link

MakeGateway = Callable[..., Gateway]
EVENTS = 600


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts within a second, then dead."""
    monkeypatch.setattr("whatshooked.hooks.retry.SCHEDULE", (0.1, 0.2))
    monkeypatch.setattr("workers.process.UPKEEP_EVERY", 0.1)


@pytest.fixture
async def busy(make_gateway: MakeGateway, receiver: Receiver, quick: None) -> AsyncIterator[Gateway]:
    """Two workers, and two hooks of which every third attempt fails."""
    chance = random.Random(7)
    ok, no = status(200), status(503)

    async def moody(request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.002)
        await (no if chance.random() < 0.35 else ok)(request, writer)

    receiver.behave = moody
    gateway = make_gateway(hook("h1", receiver.url("/1")), hook("h2", receiver.url("/2")), log_level="error")
    await gateway.start(workers=2)
    yield gateway


async def _send(gateway: Gateway) -> set[str]:
    """Post the events, in small bodies; returns their message ids."""
    sent: set[str] = set()
    for _ in range(EVENTS // 10):
        messages = [meta.text() for _ in range(10)]
        assert (await gateway.post(meta.webhook(meta.value(*messages)))).status_code == 200
        sent |= {message["id"] for message in messages}
    return sent


async def _meanwhile(gateway: Gateway, sending: "asyncio.Task[set[str]]", work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` again and again while events come in, and a little longer."""
    more = 10
    while more:
        more -= sending.done()
        await work()


async def _settled(gateway: Gateway) -> list[dict[str, Any]]:
    """Return the cache once nothing waits any more."""
    async with asyncio.timeout(40):
        while True:
            events = []
            after: str | None = ""
            while after is not None:
                page = (await gateway.api("GET", f"/api/cache?limit=500&after={after}")).json()
                events += page["events"]
                after = page["next"]
            if not any(one["state"] == "waiting" for one in events):
                return events
            await asyncio.sleep(0.05)


def _accepted(receiver: Receiver) -> Counter[tuple[str, str]]:
    return Counter((one.json["message_id"], one.target[:2]) for one in receiver.received)


async def _agree(link: Link, keys: Keys) -> None:
    assert await examine(link, keys, ["h1", "h2"], repair=False) == []


async def test_replays_race_with_deliveries(busy: Gateway, receiver: Receiver, link: Link, keys: Keys) -> None:
    """Replaying everything all the time loses nothing: each hook got each event, or holds it dead."""
    sending = asyncio.create_task(_send(busy))

    async def replay() -> None:
        assert (await busy.api("POST", "/api/cache/replay")).status_code == 200

    await _meanwhile(busy, sending, replay)
    sent = await sending
    dead = {(str(one["payload"]["message_id"]), h) for one in await _settled(busy) for h in one["hooks"]}
    seen = _accepted(receiver)
    for message in sent:
        assert seen[message, "/1"]
        assert seen[message, "/2"]
    await _agree(link, keys)
    receiver.behave = status(200)
    before = len(receiver.received)
    await busy.api("POST", "/api/cache/replay")
    await busy.cached(0)
    assert len(receiver.received) - before == len(dead)


async def test_deletes_and_clears_race_with_deliveries(
    busy: Gateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """Every event was delivered to both, is in the cache, or was deleted by us; and nobody counts one twice."""
    deleted: set[str] = set()
    cleared = 0
    sending = asyncio.create_task(_send(busy))

    async def remove() -> None:
        nonlocal cleared
        events = (await busy.api("GET", "/api/cache?limit=200")).json()["events"]
        for one in events[::20]:
            answer = await busy.api("DELETE", f"/api/cache/event/delete?id={one['id']}")
            if answer.status_code == 200:
                assert one["id"] not in deleted
                deleted.add(one["id"])
        cleared += (await busy.api("DELETE", "/api/cache/clear?confirm=true")).json()["deleted"]

    await _meanwhile(busy, sending, remove)
    sent = await sending
    left = await _settled(busy)
    length = int(await link.call("XLEN", keys.events))
    assert length == len(sent) - len(deleted) - cleared
    rows = await link.call("XRANGE", keys.events, "-", "+")
    cached = {str(one["id"]) for one in left}
    for row in rows:
        event_id = row[0].decode()
        taken = await link.call("SMEMBERS", keys.taken(event_id))
        assert event_id in cached or set(taken) == {b"h1", b"h2"}
    assert deleted
    await _agree(link, keys)


async def test_switching_races_with_deliveries(busy: Gateway, receiver: Receiver, link: Link, keys: Keys) -> None:
    """A hook that is turned off and on all the time: the other misses nothing, nothing hangs."""
    sending = asyncio.create_task(_send(busy))
    state = True

    async def flip() -> None:
        nonlocal state
        state = not state
        await busy.api("PATCH", "/api/hooks/h1", json={"active": state})
        await asyncio.sleep(0.2)

    await _meanwhile(busy, sending, flip)
    sent = await sending
    await busy.api("PATCH", "/api/hooks/h1", json={"active": True})
    receiver.behave = status(200)
    await _settled(busy)
    await busy.api("POST", "/api/cache/replay")
    await busy.cached(0)
    assert all(_accepted(receiver)[message, "/2"] for message in sent)
    rows = await link.call("XRANGE", keys.events, "-", "+")
    for row in rows:
        assert b"h2" in await link.call("SMEMBERS", keys.taken(row[0].decode()))
    await _agree(link, keys)


async def test_removing_a_hook_races_with_deliveries(
    busy: Gateway, receiver: Receiver, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """h1 is removed in the middle: h2 has every event or holds it dead in the cache, and nothing of h1 is left."""
    for name in ("workers.process", "whatshooked.stream.upkeep", "whatshooked.stream.registry"):
        monkeypatch.setattr(f"{name}.REMOVED_AFTER_MS", 500)
    monkeypatch.setattr("workers.recover.BEAT", 0.1)
    sending = asyncio.create_task(_send(busy))
    await receiver.wait(100)
    busy.document["hooks"].pop(0)
    busy.write()
    for worker in busy.workers:
        worker.reload()
    sent = await sending

    async def h1_is_gone() -> bool:
        return not any("h1" in one["hooks"] for one in await _settled(busy))

    await until(h1_is_gone, timeout=30)
    rest = await _settled(busy)
    held = {one["id"] for one in rest}
    rows = await link.call("XRANGE", keys.events, "-", "+")
    assert len(rows) == len(sent)
    for row in rows:
        event_id = row[0].decode()
        assert event_id in held or b"h2" in await link.call("SMEMBERS", keys.taken(event_id))
    assert await link.call("EXISTS", keys.due("h1"), keys.dead("h1")) == 0
    await _agree(link, keys)
