"""Redis away, and Redis full: intake says 503 and means it, and what it said 200 to is delivered."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver
from whatshooked.embedded import Embedded

SMALL = 24 * 1024 * 1024


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A URL where no Redis listens: the port is ours, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def small_redis(tmp_path: Path) -> Iterator[str]:
    """The URL of a Valkey that is soon full."""
    server = Embedded.open(tmp_path / "small", maxmemory=SMALL)
    yield server.url
    server.close()


async def test_without_redis_intake_says_503(make_gateway: Callable[..., Gateway], nowhere: str) -> None:
    """So do /ready and the API; /health and /metrics answer, since the process lives."""
    gateway = make_gateway(redis={"url": nowhere})
    gateway.url = nowhere
    await gateway.start(workers=0)
    assert (await gateway.post(meta.webhook(meta.value(meta.text())))).status_code == 503
    ready = await gateway.client.get(f"{gateway.base}/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    listing = await gateway.api("GET", "/api/cache")
    assert (listing.status_code, listing.json()["error"]["code"]) == (503, "unavailable")
    assert (await gateway.client.get(f"{gateway.base}/health")).status_code == 200
    assert "whatshooked_redis_up 0.0" in (await gateway.client.get(f"{gateway.base}/metrics")).text
    assert (await gateway.post(b"[]")).status_code == 400


async def test_with_redis_ready_says_so(gateway: Gateway) -> None:
    """/ready is 200 while Redis takes writes."""
    ready = await gateway.client.get(f"{gateway.base}/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def fill(gateway: Gateway) -> set[str]:
    """Post large texts, then small ones, until Redis takes neither; return those that were answered 200."""
    taken: set[str] = set()
    for size in (40_000, 2_000, 10):
        while True:
            name = f"text {len(taken):04d}"
            answer = await gateway.post(meta.webhook(meta.value(meta.text(name + "x" * size))))
            if answer.status_code != 200:
                assert answer.status_code == 503
                break
            taken.add(name)
    return taken


async def taken_again(gateway: Gateway, body: bytes) -> None:
    """Send a webhook as Meta does, again and again until it is answered 200; raises TimeoutError."""
    async with asyncio.timeout(30):
        while (await gateway.post(body)).status_code != 200:
            await asyncio.sleep(0.1)


def texts(receiver: Receiver) -> list[str]:
    return [one.json["text"][:9] for one in receiver.received]


async def test_a_full_redis_drains_and_takes_webhooks_again(
    make_gateway: Callable[..., Gateway], receiver: Receiver, small_redis: str
) -> None:
    """Every 200 is delivered once, by a worker that starts when nothing fits any more; then history makes room."""
    gateway = make_gateway(hook("h1", receiver.url()), redis={"url": small_redis, "prefix": "full"})
    gateway.url = small_redis
    await gateway.start(workers=0)
    taken = await fill(gateway)
    assert len(taken) > 100
    assert (await gateway.client.get(f"{gateway.base}/ready")).status_code == 503
    await gateway.add_worker()
    await receiver.wait(len(taken))
    await gateway.cached(0)
    assert sorted(texts(receiver)) == sorted(taken)
    await taken_again(gateway, meta.webhook(meta.value(meta.text("afterward"))))
    assert (await receiver.wait(len(taken) + 1))[-1].json["text"] == "afterward"
    assert (await gateway.client.get(f"{gateway.base}/ready")).status_code == 200


async def test_a_full_redis_of_history_makes_room_for_what_comes(
    make_gateway: Callable[..., Gateway], receiver: Receiver, small_redis: str
) -> None:
    """With a worker all along, finished events never leave Meta with more than a passing 503."""
    gateway = make_gateway(hook("h1", receiver.url()), redis={"url": small_redis, "prefix": "full"})
    gateway.url = small_redis
    await gateway.start()
    taken = await fill(gateway)
    await taken_again(gateway, meta.webhook(meta.value(meta.text("afterward"))))
    await receiver.wait(len(taken) + 1)
    assert sorted(texts(receiver)) == sorted({*taken, "afterward"})


async def test_a_body_that_was_taken_in_part_is_not_taken_twice(
    make_gateway: Callable[..., Gateway], receiver: Receiver, small_redis: str
) -> None:
    """503 in the midst of a body: Meta resends all of it, and every event is delivered once."""
    gateway = make_gateway(hook("h1", receiver.url()), redis={"url": small_redis, "prefix": "full"})
    gateway.url = small_redis
    await gateway.start(workers=0)
    taken = await fill(gateway)
    body = meta.webhook(meta.value(*(meta.text(f"part {n:04d} " + "y" * 2_000) for n in range(200))))
    assert (await gateway.post(body)).status_code == 503
    await gateway.add_worker()
    await taken_again(gateway, body)
    await receiver.wait(len(taken) + 200)
    await gateway.cached(0)
    assert sorted(texts(receiver)) == sorted(taken | {f"part {n:04d}" for n in range(200)})
