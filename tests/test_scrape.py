"""What a scrape shows: the same of every process, whatever hangs or is away, and on a port of its own if wanted."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.logged import logged
from tests.receiver import Receiver, status
from tests.streams import until
from whatshooked.keys import Keys
from whatshooked.scrape import Scrape, disks
from whatshooked.stream.link import Link

MakeGateway = Callable[..., Gateway]
Process = subprocess.Popen[str]
Shown = dict[tuple[str, ...], float]


def read(text: str) -> Shown:
    """The samples of an exposition, by name and labels' values."""
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


async def scrape(gateway: Gateway) -> Shown:
    """What the public port shows."""
    return read((await gateway.client.get(f"{gateway.base}/metrics")).text)


async def scrape_port(client: httpx.AsyncClient, port: int) -> Shown | None:
    """What a port of its own shows, None while nobody serves it."""
    try:
        return read((await client.get(f"http://127.0.0.1:{port}/metrics")).text)
    except httpx.TransportError:
        return None


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else takes meanwhile: it is bound, and shared only with who says so."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


async def test_the_installation_is_shown_as_redis_has_it(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys, tmp_path: Path
) -> None:
    """Two web processes show the same facts, though neither made them, and each goes when it is over."""
    gateway = make_gateway(
        hook("h1", receiver.url()),
        hook("h2", receiver.url(), active=False),
        accounts=[account(), account(2, "shop")],
        message_cache={"max_events": 77},
        event_logger={"enabled": True, "targets": ["file"], "file_dir": str(tmp_path / "log")},
    )
    await gateway.start(workers=1)

    async def are_checked() -> bool:
        return all([await link.call("HGET", keys.account(one), "silent_hours") for one in ("business", "shop")])

    await until(are_checked)  # they are not looked at again for a minute
    await link.call("HSET", keys.account("shop"), "state", "failed:190", "token_expires", "", "silent_hours", "5")
    await link.call("HSET", keys.account("business"), "state", "connected", "token_expires", "0")
    await link.call("HSET", keys.switches, "h1", '{"active":false,"file":true}')
    await link.call("HSET", keys.media_totals, "files", 3, "bytes", 4096)
    other = Scrape(lambda: gateway.config, keys, gateway.url)
    found, same = await scrape(gateway), read((await other.text()).decode())
    expected = {
        ("account_connected", "shop"): 0,
        ("account_connected", "business"): 1,
        ("token_days_left", "business"): float("inf"),
        ("account_silent_hours", "shop"): 5,
        ("hook_active", "switch", "h1"): 0,
        ("hook_active", "file", "h2"): 0,
        ("cache_limit_events",): 77,
        ("cache_events", "waiting"): 0,
        ("workers_alive",): 1,
        ("media_files",): 3,
        ("media_bytes",): 4096,
        ("redis_up",): 1,
        ("redis_durable",): 1,
        ("redis_aof", "enabled"): 1,
        ("redis_aof", "write_ok"): 1,
        ("log_dropped", "file"): 0,
        ("hook_due", "_media"): 0,
    }
    shown = {(f"whatshooked_{name}", *labels): value for (name, *labels), value in expected.items()}
    for answer in (found, same):
        assert {key: answer.get(key) for key in shown} == shown
        assert answer["whatshooked_redis_memory_bytes",] > 100_000
        assert answer["whatshooked_redis_memory_limit_bytes",] > 0
        assert answer["whatshooked_api_version_days_left", "shop"] > 0
        assert ("whatshooked_token_days_left", "shop") not in answer
        assert 0 < answer["whatshooked_disk_free_bytes", "log"] <= answer["whatshooked_disk_size_bytes", "log"]
    await gateway.stop_workers()
    assert (await scrape(gateway))["whatshooked_workers_alive",] == 0
    await link.call("DEL", keys.switches, keys.account("shop"))
    left = read((await other.text()).decode())
    assert left["whatshooked_hook_active", "file", "h1"] == 1
    assert ("whatshooked_account_connected", "shop") not in left
    await other.close()


async def test_one_look_takes_as_many_round_trips_with_many_hooks(
    make_gateway: MakeGateway, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty hooks and twenty accounts cost what one does."""
    trips: list[int] = []
    batch = Link.batch

    async def counted(self: Link, commands: Any, **more: Any) -> Any:
        trips[-1] += 1
        return await batch(self, commands, **more)

    monkeypatch.setattr(Link, "batch", counted)
    for hooks, accounts in ((1, 1), (50, 9)):
        gateway = make_gateway(
            *(hook(f"h{n}", "http://127.0.0.1:9/") for n in range(hooks)),
            accounts=[account(n, f"a{n}") for n in range(accounts)],
            event_logger={"enabled": True},
        )
        gateway.write()
        config = gateway.config
        trips.append(0)
        found = Scrape(lambda config=config: config, keys, redis_url)  # type: ignore[misc] # a default binds it
        await found.known()
        await found.close()
    assert trips[0] == trips[1] <= 7


async def test_what_a_webhook_brings_is_counted_once_a_kind(gateway: Gateway) -> None:
    """How late its oldest event is, by Meta's time, and what nobody understood; a redelivery says nothing of that."""
    now = int(time.time())
    odd = meta.text(type="hologram", timestamp=str(now - 40))
    value = meta.value(odd, meta.text(timestamp=str(now - 90)), meta.text(id=""))
    value["statuses"] = [meta.status("teleported", timestamp=str(now - 7))]
    value["surprise"] = {"a": 1}
    body = meta.webhook(value, meta.value(meta.text(), account=7))
    before = await scrape(gateway)
    for _ in range(2):
        assert (await gateway.post(body)).status_code == 200
    found = await scrape(gateway)

    def rise(name: str, *labels: str) -> float:
        key = (f"whatshooked_{name}", *labels)
        return found.get(key, 0.0) - before.get(key, 0.0)

    assert rise("meta_lag_seconds_count", "message") == rise("meta_lag_seconds_count", "status") == 1
    assert 90 <= rise("meta_lag_seconds_sum", "message") < 100
    assert 7 <= rise("meta_lag_seconds_sum", "status") < 17
    kinds = ("unknown_type", "unknown_status", "unknown_part", "no_id", "no_owner", "unknown_field", "unreadable_item")
    assert {kind: rise("decode_leftovers_total", kind) for kind in kinds} == {
        **dict.fromkeys(kinds[:5], 1.0),
        **dict.fromkeys(kinds[5:], 0.0),
    }


async def test_attempts_are_seen_while_they_are_made(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """In flight up to the hook's concurrency; those that fail are counted as tried again; what is gone as vanished."""
    gate = asyncio.Event()
    refuse = status(503)

    async def slowly(request: Any, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await refuse(request, writer)

    receiver.behave = slowly
    gateway = make_gateway(hook("slow", receiver.url(), concurrency=2))
    await gateway.start()
    before = await scrape(gateway)
    await gateway.post(meta.webhook(meta.value(*(meta.text() for _ in range(5)))))
    key = ("whatshooked_hook_in_flight", "slow")

    async def are_in_flight(count: int = 2) -> bool:
        return (await scrape(gateway))[key] == count

    await until(are_in_flight)
    gate.set()

    async def are_retried() -> bool:
        found = await scrape(gateway)
        return found["whatshooked_retries_total", "slow"] - before["whatshooked_retries_total", "slow"] == 5

    await until(are_retried)
    await until(lambda: are_in_flight(0))
    ids = [row.decode() for row in await link.call("ZRANGE", keys.due("slow"), 0, -1)]
    await link.call("XDEL", keys.events, *ids)
    for one in ids:
        await link.call("ZADD", keys.due("slow"), 1, one)

    async def are_missed() -> bool:
        found = await scrape(gateway)
        return found["whatshooked_events_vanished_total",] - before["whatshooked_events_vanished_total",] == 5

    await until(are_missed)


async def test_a_lease_that_ended_without_an_outcome_is_counted(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """Once, by whoever takes it anew; a retry is none."""
    receiver.behave = status(503)
    gateway = make_gateway(hook("lost", receiver.url()))
    await gateway.start()
    before = (await scrape(gateway))["whatshooked_leases_expired_total", "lost"]
    await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(1)

    async def waits() -> bool:
        states = [one["hooks"]["lost"]["state"] for one in await gateway.cached(1)]
        return states == ["retrying"]

    await until(waits)
    (event_id,) = [row.decode() for row in await link.call("ZRANGE", keys.due("lost"), 0, -1)]
    await link.call("ZADD", keys.due("lost"), 1, event_id)
    await receiver.wait(2)
    await until(waits)
    assert (await scrape(gateway))["whatshooked_leases_expired_total", "lost"] == before
    await link.call("HSET", keys.open(event_id), "lost", "l|2|1|0|503|")
    await link.call("ZADD", keys.due("lost"), 1, event_id)
    await receiver.wait(3)
    assert (await scrape(gateway))["whatshooked_leases_expired_total", "lost"] == before + 1


async def test_every_loop_shows_that_it_turns(gateway: Gateway) -> None:
    """Each of the worker's loops is there, and came round just now; one that ended is not."""
    found = await scrape(gateway)
    loops = {key[1]: value for key, value in found.items() if key[0] == "whatshooked_worker_loops"}
    assert loops == dict.fromkeys(gateway.workers[0]._loops, 1.0) and len(loops) == 10
    start = time.time()
    quick = [name for name in loops if name not in ("files", "upkeep", "credentials", "fetcher", "recovery")]

    async def came_round() -> bool:
        now = await scrape(gateway)
        return all(now["whatshooked_loop_turn_timestamp_seconds", name] > start for name in quick)

    await until(came_round)
    await gateway.stop_workers()
    after = await scrape(gateway)
    assert {after["whatshooked_worker_loops", name] for name in loops} == {0.0}


async def test_a_redis_that_hangs_holds_no_scrape_up(make_gateway: MakeGateway) -> None:
    """It takes connections and says nothing: within two seconds all else is shown, and that it is not up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        gateway = make_gateway(redis={"url": url})
        gateway.write()
        found = Scrape(lambda: gateway.config, Keys("x"), url)
        start = time.monotonic()
        answers = [read(text.decode()) for text in await asyncio.gather(*(found.text() for _ in range(5)))]
        assert time.monotonic() - start < 2.0
        await found.close()
    for answer in answers:
        assert answer["whatshooked_redis_up",] == 0
        assert answer["whatshooked_cache_limit_events",] == 10_000
        assert ("whatshooked_stream_lag",) not in answer
        assert ("whatshooked_append_seconds_count",) in answer


async def test_a_port_of_its_own(make_gateway: MakeGateway, receiver: Receiver, port: int) -> None:
    """There /metrics is the one path, and the public port says where it went; a hung event loop holds nothing up."""
    gateway = make_gateway(hook("h1", receiver.url()), metrics={"host": "127.0.0.1", "port": port})
    with logged() as log:
        await gateway.start(workers=0)
        base = f"http://127.0.0.1:{port}"

        async def is_served() -> bool:
            return await scrape_port(gateway.client, port) is not None

        await until(is_served)
    assert log.holding(f"Serving metrics address=127.0.0.1:{port}/metrics")
    answer = await gateway.client.get(f"{base}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    assert read(answer.text)["whatshooked_redis_up",] == 1
    assert (await gateway.client.get(f"{base}/api/cache")).status_code == 404
    public = await gateway.client.get(f"{gateway.base}/metrics")
    assert (public.status_code, str(port) in public.text) == (404, True)
    asking = await asyncio.create_subprocess_exec(
        "curl", "-s", "-w", "%{time_total}", f"{base}/metrics", stdout=subprocess.PIPE
    )
    time.sleep(2.5)  # noqa: ASYNC251 - the loop hangs, which is what is tried here
    said, _ = await asking.communicate()
    text, _, seconds = said.decode().rpartition("\n")
    assert float(seconds) < 2.4
    assert "whatshooked_append_seconds_count" in text and "whatshooked_redis_up" not in text


async def test_a_port_that_a_stranger_has_is_tried_again(make_gateway: MakeGateway, port: int) -> None:
    """One line with the remedy, and no end of anything; it is served as soon as it is free."""
    gateway = make_gateway(metrics={"host": "127.0.0.1", "port": port})
    with logged() as log:
        with socket.create_server(("127.0.0.1", port)):
            await gateway.start(workers=0)
            await until(lambda: _is_said(log))
            await asyncio.sleep(1.2)
            assert (await gateway.client.get(f"{gateway.base}/health")).status_code == 200
            (line,) = log.of(40)
        assert f"cannot listen on 127.0.0.1:{port} (Address already in use): stop what listens there" in line

        async def is_served() -> bool:
            return await scrape_port(gateway.client, port) is not None

        await until(is_served)


async def _is_said(log: Any) -> bool:
    return bool(log.of(40))


def test_disks_are_those_of_folders_in_use(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """Of a Redis and a bucket elsewhere nothing is known; a folder that is not there yet lies where it will be made."""
    gateway = make_gateway(media={"data_path": str(tmp_path / "not" / "yet")})
    gateway.write()
    assert {one.labels[0] for one in disks(gateway.config)} == {"media"}
    assert all(one.value > 0 for one in disks(gateway.config))
    gateway.document |= {"media": {"storage": "s3://files"}, "redis": {}}
    gateway.document["event_logger"] = {"enabled": True, "targets": ["sqlite"]}
    gateway.write()
    assert {one.labels[0] for one in disks(gateway.config)} == {"redis", "log"}


def _killed(process: Process) -> None:
    process.kill()
    process.wait()


async def test_processes_count_together_and_one_serves_for_all(
    make_gateway: MakeGateway, receiver: Receiver, spawn: Callable[..., Process], port: int, tmp_path: Path
) -> None:
    """A web process and two workers of one config: sums are right, also after kill -9, and the port changes hands."""
    web = make_gateway(hook("h1", receiver.url()), metrics={"host": "127.0.0.1", "port": port}, log_level="info")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()[1]
    web.document["server"]["port"] = address
    web.write()
    web.base = f"http://127.0.0.1:{address}"
    running = [spawn(one, "-c", str(web.path), XDG_RUNTIME_DIR=str(tmp_path)) for one in ("serve", "worker", "worker")]

    async def shows(**expected: float) -> Shown | None:
        found = await scrape_port(web.client, port) or {}
        values = {
            name: found.get((f"whatshooked_{name}",), found.get((f"whatshooked_{name}", "h1"))) for name in expected
        }
        return found if values == expected else None

    async def see(**expected: float) -> Shown:
        async with asyncio.timeout(40):
            while (found := await shows(**expected)) is None:
                await asyncio.sleep(0.1)
        return found

    await see(workers_alive=2)
    found = await until_shown(web, port, ("whatshooked_worker_loops", "reader"), 2)
    assert found["whatshooked_attempts_total", "h1", "accepted"] == 0

    async def send(count: int, so_far: int) -> Shown:
        for _ in range(count):
            assert (await web.post(meta.webhook(meta.value(meta.text(), meta.text())))).status_code == 200
        await receiver.wait(so_far)
        return await until_shown(web, port, ("whatshooked_attempts_total", "h1", "accepted"), so_far)

    found = await send(10, 20)
    assert found["whatshooked_events_received_total", "message.received"] == 20
    assert found["whatshooked_delivery_seconds_count", "h1"] == 20
    for number in (1, 0):  # a worker first, then the web process: one of the three serves the port
        _killed(running[number])
        if number == 1:
            left = await until_shown(web, port, ("whatshooked_worker_loops", "reader"), 1)
            assert left["whatshooked_attempts_total", "h1", "accepted"] == 20
            assert (await send(5, 30))["whatshooked_events_received_total", "message.received"] == 30
    left = await until_shown(web, port, ("whatshooked_attempts_total", "h1", "accepted"), 30)
    assert left["whatshooked_events_received_total", "message.received"] == 30
    assert left["whatshooked_worker_loops", "reader"] == 1
    await see(workers_alive=1)
    said = [os.read(one.stdout.fileno(), 1 << 16).decode() for one in running if one.stdout is not None]
    assert "No metrics are served" not in "".join(said)


async def until_shown(web: Gateway, port: int, key: tuple[str, ...], value: float) -> Shown:
    """What the port shows once a value is right."""
    async with asyncio.timeout(40):
        while True:
            found = await scrape_port(web.client, port) or {}
            if found.get(key) == value:
                return found
            await asyncio.sleep(0.1)
