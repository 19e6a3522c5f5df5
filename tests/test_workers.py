"""Several worker processes: they share the work, stop without losing any, and outlive a Redis that dies."""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, multiprocess
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from ops.selfcheck import enqueue_self_check
from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status
from tests.streams import until
from whatshooked.embedded import Embedded
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Link

MakeGateway = Callable[..., Gateway]
Process = subprocess.Popen[str]
Spawn = Callable[..., Process]


def _texts(count: int) -> bytes:
    return meta.webhook(meta.value(*(meta.text() for _ in range(count))))


@pytest.fixture
async def web(make_gateway: MakeGateway, receiver: Receiver) -> Gateway:
    """The web app; the workers are real processes."""
    found = make_gateway(hook("h1", receiver.url()), log_level="warn")
    await found.start(workers=0)
    return found


async def _workers(spawn: Spawn, web: Gateway, link: Link, keys: Keys, folder: Path, count: int) -> list[Process]:
    """Start worker processes, each with a metrics folder of its own; returns once all of them read."""
    found = []
    for n in range(count):
        counts = folder / f"metrics-{n}"
        counts.mkdir(exist_ok=True)
        found.append(spawn("worker", "-c", str(web.path), PROMETHEUS_MULTIPROC_DIR=str(counts)))

    async def all_beat() -> bool:
        rows = await link.call("ZRANGE", keys.hooks, 0, -1)
        names = await link.call("KEYS", keys.alive("*"))
        return bool(rows) and len(names) >= count

    await until(all_beat, timeout=30)
    return found


def _attempts(folder: Path) -> int:
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call] # it has no types
    return round(sum(s.value for m in registry.collect() for s in m.samples if s.name == "whatshooked_attempts_total"))


def _once_each(receiver: Receiver, count: int) -> None:
    times = Counter(one.headers["webhook-id"] for one in receiver.received)
    assert len(times) == count
    assert {name: n for name, n in times.items() if n != 1} == {}


@pytest.mark.parametrize(("workers", "share"), [(2, 0.3), (4, 0.15)])
async def test_workers_share_the_work(
    web: Gateway,
    receiver: Receiver,
    spawn: Spawn,
    link: Link,
    keys: Keys,
    tmp_path: Path,
    workers: int,
    share: float,
) -> None:
    """Under a flow of single events, and of a burst that waited, each process makes its share of the attempts."""
    burst, single = 2000, 600
    await _workers(spawn, web, link, keys, tmp_path, workers)
    for _ in range(burst // 100):
        await web.post(_texts(100))
    await receiver.wait(burst, timeout=40)
    first = [_attempts(tmp_path / f"metrics-{n}") for n in range(workers)]
    for _ in range(single // 20):
        await asyncio.gather(*(web.post(_texts(1)) for _ in range(20)))
    await receiver.wait(burst + single, timeout=40)
    await web.cached(0)
    both = [_attempts(tmp_path / f"metrics-{n}") for n in range(workers)]
    second = [b - a for a, b in zip(first, both, strict=True)]
    assert sum(both) == burst + single
    assert min(first) >= share * burst, first
    assert min(second) >= share * single, second
    _once_each(receiver, burst + single)


async def test_sigterm_under_load_loses_and_doubles_nothing(
    web: Gateway, receiver: Receiver, spawn: Spawn, link: Link, keys: Keys, tmp_path: Path
) -> None:
    """Workers are told to stop one after the other while events come in: each event arrives exactly once."""
    ok = status(200)

    async def slowly(request: object, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        await ok(request, writer)  # type: ignore[arg-type] # it is a Received

    receiver.behave = slowly
    running = await _workers(spawn, web, link, keys, tmp_path, 2)
    sent = 0
    for n in range(30):
        assert (await web.post(_texts(50))).status_code == 200
        sent += 50
        if n == 5:
            running[0].send_signal(signal.SIGTERM)
        if n == 12:
            running += await _workers(spawn, web, link, keys, tmp_path, 1)
        if n == 20:
            running[1].send_signal(signal.SIGTERM)
    await receiver.wait(sent, timeout=40)
    await web.cached(0)
    for process in running[:2]:
        assert await asyncio.to_thread(process.wait, 30) == 0
    _once_each(receiver, sent)
    assert await examine(link, keys, ["h1"], repair=False) == []


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Embedded]:
    """An embedded server of this test's own, with the files and the durability of a real one."""
    server = Embedded.open(tmp_path / "cache")
    yield server
    server.close()


@pytest.fixture
async def own_link(own_redis: Embedded) -> AsyncIterator[Link]:
    """A connection to it."""
    async with Link(own_redis.url) as found:
        yield found


@pytest.mark.parametrize("_", range(3))
async def test_a_stop_amid_timed_jobs_is_an_orderly_one(
    link: Link, keys: Keys, make_gateway: MakeGateway, receiver: Receiver, spawn: Spawn, tmp_path: Path, _: int
) -> None:
    """A worker that is told to stop while arq runs jobs ends them, stops its loops and says goodbye."""
    web = make_gateway(hook("h1", receiver.url()), log_level="info")
    await web.start(workers=0)
    (worker,) = await _workers(spawn, web, link, keys, tmp_path, 1)
    jobs = [await enqueue_self_check(link, keys, f"test{number}") for number in range(60)]

    async def arq_has_begun() -> bool:
        return int(await link.call("EXISTS", *jobs)) < len(jobs)

    await until(arq_has_begun, timeout=20)
    worker.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(worker.wait, 20)
    said = worker.stdout.read() if worker.stdout else ""
    assert code == 0, said[-3000:]
    assert "Worker stopped" in said


async def test_a_killed_redis_loses_nothing(
    own_redis: Embedded,
    own_link: Link,
    keys: Keys,
    make_gateway: MakeGateway,
    receiver: Receiver,
    spawn: Spawn,
    tmp_path: Path,
) -> None:
    """kill -9 of the embedded server under traffic: it comes back, gateway, worker and arq go on, nothing is lost."""
    redis = {"url": own_redis.url, "prefix": keys.prefix}
    # A short timeout: a lease whose answer died with the server holds its event as long as that and ten seconds.
    web = make_gateway(hook("h1", receiver.url(), timeout=1), redis=redis, log_level="error")
    web.url = own_redis.url
    await web.start(workers=0)
    (worker,) = await _workers(spawn, web, own_link, keys, tmp_path, 1)
    taken: list[str] = []
    refused = 0
    for n in range(60):
        message = meta.text()
        answer = await web.post(meta.webhook(meta.value(message)))
        assert answer.status_code in (200, 503)
        refused += answer.status_code == 503
        taken += [message["id"]] if answer.status_code == 200 else []
        if n == 20:
            info = (await own_link.call("INFO", "server")).decode()
            os.kill(int(info.partition("process_id:")[2].split()[0]), signal.SIGKILL)
        await asyncio.sleep(0.02 if answer.status_code == 200 else 0.1)

    async def all_came() -> bool:
        return set(taken) <= {one.json["message_id"] for one in receiver.received}

    await until(all_came, timeout=60)
    await web.cached(0, timeout=60)
    assert refused < 39
    assert (await web.post(_texts(1))).status_code == 200
    assert worker.poll() is None
    await own_link.close()  # its connection was the killed server's
    key = await enqueue_self_check(own_link, keys)

    async def arq_took_it() -> bool:
        return not await own_link.call("EXISTS", key)

    await until(arq_took_it, timeout=20)
    worker.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(worker.wait, 10)
    assert code == 0, worker.stdout.read()[-3000:] if worker.stdout else ""


async def test_a_stop_without_redis_is_an_orderly_one(
    own_redis: Embedded,
    own_link: Link,
    keys: Keys,
    make_gateway: MakeGateway,
    receiver: Receiver,
    spawn: Spawn,
    tmp_path: Path,
) -> None:
    """A worker that is told to stop while Redis is gone does so: nothing waits for what will not come."""
    redis = {"url": own_redis.url, "prefix": keys.prefix}
    web = make_gateway(hook("h1", receiver.url()), redis=redis, log_level="info")
    web.url = own_redis.url
    await web.start(workers=0)
    (worker,) = await _workers(spawn, web, own_link, keys, tmp_path, 1)
    await asyncio.to_thread(own_redis.close)
    worker.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(worker.wait, 30)
    said = worker.stdout.read() if worker.stdout else ""
    assert code == 0, said[-3000:]
    assert "Worker stopped" in said


async def test_arq_keeps_to_the_prefix(
    own_redis: Embedded,
    own_link: Link,
    keys: Keys,
    make_gateway: MakeGateway,
    receiver: Receiver,
    spawn: Spawn,
    tmp_path: Path,
) -> None:
    """No key of a worker process stands outside `redis.prefix`, and no command of arq names one; none is a pickle."""
    web = make_gateway(hook("h1", receiver.url()), redis={"url": own_redis.url, "prefix": keys.prefix})
    web.url = own_redis.url
    web.document["log_level"] = "warn"
    await web.start(workers=0)
    seen: list[str] = []
    client = Redis.from_url(own_redis.url)
    async with client.monitor() as monitor:

        async def listen() -> None:
            async for command in monitor.listen():
                seen.append(command["command"])  # noqa: PERF401 - it is cancelled, and what it heard must be there

        listening = asyncio.create_task(listen())
        await _workers(spawn, web, own_link, keys, tmp_path, 1)
        await web.post(_texts(5))
        await receiver.wait(5)
        key = await enqueue_self_check(own_link, keys)

        async def arq_took_it() -> bool:
            return not await own_link.call("EXISTS", key)

        await until(arq_took_it)
        names = [row.decode() for row in await own_link.call("KEYS", "*")]
        listening.cancel()
    await client.aclose()
    ours = (f"{keys.prefix}:", f"{{{keys.prefix}:0}}:", f"{{{keys.prefix}:out:")
    assert [name for name in names if not name.startswith(ours)] == []
    assert any(name.startswith(keys.arq) for name in names)
    words = {word for command in seen for word in command.split()}
    assert any(word.startswith(keys.arq) for word in words)
    assert [word for word in words if word.startswith("arq:")] == []
    assert not any("\\x80\\x04" in word or "\\x80\\x05" in word for word in words)


@pytest.mark.parametrize("trouble", ["SCRIPT FLUSH", "XGROUP DESTROY", "FLUSHALL"])
async def test_workers_repair_what_redis_lost(
    own_redis: Embedded, own_link: Link, keys: Keys, make_gateway: MakeGateway, receiver: Receiver, trouble: str
) -> None:
    """Scripts, the group or everything gone under a running worker: it goes on, and repeats nothing that was taken."""
    web = make_gateway(hook("h1", receiver.url()), redis={"url": own_redis.url, "prefix": keys.prefix})
    web.url = own_redis.url
    await web.start(workers=1)
    await web.post(_texts(20))
    await receiver.wait(20)
    await web.cached(0)
    await own_link.call(*trouble.split(), *([keys.events, GROUP] if trouble.startswith("XGROUP") else []))

    async def takes_webhooks() -> bool:
        return (await web.post(_texts(20))).status_code == 200

    await until(takes_webhooks)
    await receiver.wait(40)
    await web.cached(0)
    _once_each(receiver, 40)
    assert await examine(own_link, keys, ["h1"], repair=False) == []


async def test_metrics_count_what_happened(
    make_gateway: MakeGateway, receiver: Receiver, spawn: Spawn, tmp_path: Path
) -> None:
    """`run` with two workers: /metrics is Prometheus text, and counts what was done in all processes."""
    web = make_gateway(hook("h1", receiver.url()), hook("h2", receiver.url("/no"), events=["message.read"]))
    web.document["log_level"] = "info"
    web.write()
    running = spawn("run", "--workers", "2", "-c", str(web.path), XDG_RUNTIME_DIR=str(tmp_path))
    web.base = await _address(running)
    for _ in range(10):
        await web.post(body := _texts(2))
        await web.post(body)
    await web.post(meta.webhook(meta.value(statuses=[meta.status("failed")])), secret="wrong")
    await web.post(meta.webhook(meta.value(statuses=[meta.status("delivered")])))
    await receiver.wait(21)
    await web.cached(0)
    text = (await web.client.get(f"{web.base}/metrics")).text
    counts = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert counts["whatshooked_events_received_total", "message.received"] == 20
    assert counts["whatshooked_events_received_total", "message.delivered"] == 1
    assert counts["whatshooked_events_duplicate_total", "message.received"] == 20
    assert counts["whatshooked_webhooks_rejected_total", "bad_signature"] == 1
    assert counts["whatshooked_attempts_total", "h1", "accepted"] == 21
    assert counts["whatshooked_attempt_seconds_count", "h1"] == 21
    assert counts["whatshooked_delivery_seconds_count", "h1"] == 21
    assert counts["whatshooked_append_seconds_count",] >= 1
    assert counts["whatshooked_cache_events", "all"] == 0
    assert counts["whatshooked_redis_up",] == 1


async def _address(process: Process) -> str:
    """Return where `run` listens, from its line that it is ready."""
    assert process.stdout is not None
    async with asyncio.timeout(40):
        while line := await asyncio.to_thread(process.stdout.readline):
            if " Ready " in line:
                return line.partition("address=")[2].split()[0]
    raise AssertionError(f"it ended with {process.wait()}")
