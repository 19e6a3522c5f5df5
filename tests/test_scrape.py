"""Scrapes are answered whatever hangs or is away, on a port of their own if wanted, by one process for all."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.logged import logged
from tests.receiver import Receiver
from tests.scraped import Shown, read, scrape, scrape_port
from tests.streams import until
from whatshooked.cli.health import QUICK
from whatshooked.keys import Keys
from whatshooked.scrape import _CLIENTS, PATIENCE, Scrape, disks

MakeGateway = Callable[..., Gateway]
Process = subprocess.Popen[str]


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else takes meanwhile: it is bound, and shared only with who says so."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


async def test_a_redis_that_hangs_holds_no_scrape_up(make_gateway: MakeGateway) -> None:
    """It takes connections and says nothing: a moment later all else is shown, and that it is not up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        gateway = make_gateway(redis={"url": url})
        gateway.write()
        found = Scrape(lambda: gateway.config, Keys("x"), url)
        start = time.monotonic()
        answers = [read(text.decode()) for text in await asyncio.gather(*(found.text() for _ in range(5)))]
        assert time.monotonic() - start < PATIENCE + 4
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
    # In this thread, so that the loop hangs for as long as nobody answers.
    text = httpx.get(f"{base}/metrics", timeout=30, trust_env=False).text  # noqa: ASYNC210
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


async def test_another_port_wants_a_restart(make_gateway: MakeGateway, port: int) -> None:
    """A reload says so, and both ports go on as they were."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    gateway.document["metrics"] = {"port": port}
    gateway.write()
    before = await scrape(gateway)
    with logged() as log:
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: _has_line(log, "port of metrics"))
    found = await scrape(gateway)
    assert found["whatshooked_config_reloads_total", "ok"] == before["whatshooked_config_reloads_total", "ok"] + 1


async def _has_line(log: Any, text: str) -> bool:
    return bool(log.holding(text))


def _killed(process: Process) -> None:
    process.kill()
    process.wait()


def _on_a_port(web: Gateway) -> Gateway:
    """Give a gateway that runs elsewhere the port of its web process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()[1]
    web.document["server"]["port"] = address
    web.document["log_level"] = "info"
    web.write()
    web.base = f"http://127.0.0.1:{address}"
    return web


async def test_processes_count_together_and_one_serves_for_all(
    make_gateway: MakeGateway, receiver: Receiver, spawn: Callable[..., Process], port: int, tmp_path: Path
) -> None:
    """A web process and two workers of one config: sums are right, also after kill -9, and the port changes hands."""
    web = _on_a_port(make_gateway(hook("h1", receiver.url()), metrics={"host": "127.0.0.1", "port": port}))
    running = [spawn(one, "-c", str(web.path), XDG_RUNTIME_DIR=str(tmp_path)) for one in ("serve", "worker", "worker")]
    await until_shown(web, port, ("whatshooked_workers_alive",), 2)
    found = await until_shown(web, port, ("whatshooked_worker_loops", "reader"), 2)
    assert found["whatshooked_attempts_total", "h1", "accepted"] == 0
    turning = {labels[0] for name, *labels in found if name == "whatshooked_worker_loops"}
    assert turning > QUICK, "`health --worker` asks for loops that no worker has"

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
    await until_shown(web, port, ("whatshooked_workers_alive",), 1)
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


async def test_clients_that_say_nothing_take_no_room_for_long(make_gateway: MakeGateway, port: int) -> None:
    """Thirty that connect and wait hold a few threads, and a scrape is answered when these have been given up."""
    gateway = make_gateway(metrics={"host": "127.0.0.1", "port": port})
    await gateway.start(workers=0)

    async def is_served() -> bool:
        return await scrape_port(gateway.client, port) is not None

    await until(is_served)
    before = threading.active_count()
    with contextlib.ExitStack() as silent:
        for _ in range(30):
            silent.enter_context(socket.create_connection(("127.0.0.1", port)))

        async def are_seen() -> bool:
            return threading.active_count() > before

        await until(are_seen)
        assert threading.active_count() <= before + _CLIENTS
        await until(is_served)
