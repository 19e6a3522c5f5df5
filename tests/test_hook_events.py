"""hook.* events: who is told of which deliveries, and that nothing floods."""

import asyncio
import statistics
from collections.abc import Callable

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, hang, status
from whatshooked.hooks import retry
from whatshooked.keys import Keys
from whatshooked.stream.link import Link
from workers import process


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the waits; as many as ever."""
    monkeypatch.setattr(retry, "SCHEDULE", (0.05,) * 3)
    monkeypatch.setattr(retry, "SHORT_SCHEDULE", (0.05,) * 3)
    monkeypatch.setattr(process, "GRACE", 0.2)


@pytest.fixture(autouse=True)
async def known_failure(link: Link, keys: Keys) -> None:
    """The account has failed before: a hook without `events` would be told of the first time."""
    await link.call("HSET", keys.account("business"), "state", "failed:0")


async def post(gateway: Gateway, count: int) -> None:
    messages = [meta.text(f"text {n}") for n in range(count)]
    assert (await gateway.post(meta.webhook(meta.value(*messages)))).status_code == 200


async def test_another_hook_is_told_of_each_attempt(make_gateway: Callable[..., Gateway], receiver: Receiver) -> None:
    """Triggered and success with all their data; never of its own deliveries, nor of those of hook.* events."""
    async with Receiver() as told:
        gateway = make_gateway(hook("a", receiver.url()), hook("b", told.url(), events=["hook.*", "message.received"]))
        await gateway.start()
        await post(gateway, 1)
        (event,) = await receiver.wait(1)
        await told.wait(3)
        await gateway.cached(0)
        assert sorted(one.event for one in told.received) == ["hook.success", "hook.triggered", "message.received"]
        (success,) = told.of("hook.success")
        data = success.json["data"]
        assert data.pop("duration_ms") > 0
        assert data == {
            "hook_id": "a",
            "event_id": event.json["event_id"],
            "event_type": "message.received",
            "attempt": 1,
            "status": 200,
            "error": None,
        }


async def test_a_failing_hook_is_told_of(make_gateway: Callable[..., Gateway], receiver: Receiver) -> None:
    """hook.failed once per attempt, with its number and error."""
    async with Receiver() as told:
        receiver.behave = status(500)
        gateway = make_gateway(hook("a", receiver.url()), hook("b", told.url(), events=["hook.failed"]))
        await gateway.start()
        await post(gateway, 1)
        await gateway.cached(1, state="dead")
        got = await told.wait(4)
        assert sorted(one.json["data"]["attempt"] for one in got) == [1, 2, 3, 4]
        assert {(one.json["data"]["status"], one.json["data"]["error"]) for one in got} == {(500, "HTTP 500")}


async def test_hooks_without_events_are_not_flooded(make_gateway: Callable[..., Gateway], receiver: Receiver) -> None:
    """Two hooks that want everything: each gets the message, and two events about the other's delivery; no more."""
    async with Receiver() as second:
        hooks = [hook("a", receiver.url(), events=[]), hook("b", second.url(), events=[])]
        gateway = make_gateway(*hooks)
        await gateway.start()
        await post(gateway, 20)
        for one in (receiver, second):
            await one.wait(20 * 3)
        await gateway.cached(0)
        for one, other in ((receiver, "b"), (second, "a")):
            assert len(one.of("message.received")) == len(one.of("hook.triggered")) == len(one.of("hook.success")) == 20
            about = [got.json["data"] for got in one.received if got.event.startswith("hook.")]
            assert {data["hook_id"] for data in about} == {other}
            assert {data["event_type"] for data in about} == {"message.received"}


async def test_a_dead_hook_that_wants_everything_is_not_flooded(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """What it refuses of hook.* is dropped after three retries: only the messages stay in the cache."""
    async with Receiver() as dead:
        dead.behave = status(500)
        gateway = make_gateway(hook("a", receiver.url(), events=[]), hook("b", dead.url(), events=[]))
        await gateway.start()
        await post(gateway, 10)
        await gateway.cached(10, state="dead")
        await gateway.cached(10)
        # 10 messages, 2 events about each delivery to a, 2 about each of the 4 attempts at b.
        assert await link.call("XLEN", keys.events) == 10 + 10 * 2 + 10 * 4 * 2
        assert len(dead.received) == 4 * (10 + 10 * 2)
        assert len(receiver.received) == 10 + 10 * 4 * 2


async def test_nothing_enters_the_stream_that_nobody_asked_for(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """With no hook for hook.*, or only the one concerned, or an inactive one, the stream holds the messages alone."""
    gateway = make_gateway(
        hook("a", receiver.url(), events=["message.*", "hook.*"]),
        hook("off", receiver.url("/off"), events=["hook.*"], active=False),
    )
    await gateway.start()
    await post(gateway, 10)
    await receiver.wait(10)
    await gateway.cached(0)
    assert await link.call("XLEN", keys.events) == 10


async def test_a_slow_hook_leaves_the_others_alone(make_gateway: Callable[..., Gateway], receiver: Receiver) -> None:
    """One hook hangs with more events than it may have at once: the other's median receipt time is as without it."""
    async with Receiver() as slow:
        slow.behave = hang
        hooks = [hook("b", receiver.url()), hook("a", slow.url(), timeout=15, concurrency=4)]
        gateway = make_gateway(*hooks)
        gateway.document["hooks"][1]["active"] = False
        await gateway.start()
        alone = await median(gateway, receiver, 60)
        assert (await gateway.api("PATCH", "/api/hooks/a", json={"active": True})).status_code == 200
        await gateway.stop_workers()
        await gateway.add_worker()
        beside = await median(gateway, receiver, 60)
        assert beside <= 2 * alone + 0.005
        owed = await gateway.cached(60)
        assert all(one["state"] == "waiting" and list(one["hooks"]) == ["a"] for one in owed)
        assert len(slow.received) == 4
        slow.behave = status(200)


async def median(gateway: Gateway, receiver: Receiver, count: int) -> float:
    """Return the median of the seconds from a webhook's sending to its receipt."""
    found = []
    for _ in range(count):
        before, start = len(receiver.received), asyncio.get_running_loop().time()
        await gateway.post(meta.webhook(meta.value(meta.text())))
        found.append((await receiver.wait(before + 1))[before].at - start)
    return statistics.median(found)
