"""Hooks turned on and off at run time, and the config read again, in every process."""

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import msgspec
import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.logged import logged
from tests.receiver import Receiver, status
from tests.streams import until
from tests.test_setup import config, wait_for
from tests.test_workers import Process, Spawn
from whatshooked.boot import follow_reloads, note_reloads
from whatshooked.hooks.hook import Switch, turned
from whatshooked.keys import Keys
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Link
from whatshooked.stream.registry import drop_lapsed
from workers.process import Process as Worker

MakeGateway = Callable[..., Gateway]


@pytest.fixture
async def two(make_gateway: MakeGateway, receiver: Receiver) -> Gateway:
    """A gateway with two workers and one hook."""
    found = make_gateway(hook("h1", receiver.url()))
    await found.start(workers=2)
    return found


async def _send(gateway: Gateway, count: int = 20) -> None:
    for _ in range(count):
        assert (await gateway.post(meta.webhook(meta.value(meta.text())))).status_code == 200


async def _switch(gateway: Gateway, active: bool) -> None:
    answer = await gateway.api("PATCH", "/api/hooks/h1", json={"active": active})
    assert answer.json()["active"] is active


def _everywhere(gateway: Gateway, active: bool) -> Callable[[], "asyncio.Future[bool]"]:
    async def check() -> bool:
        return all((len(worker.hooks.active) == 1) is active for worker in gateway.workers)

    return check  # type: ignore[return-value] # a coroutine is awaited the same way


def test_a_switch_says_since_when() -> None:
    """Said again it is so since the first time; one that is on knows since when it was off, unless the file changed."""
    off = turned(None, False, True, 10)
    assert off == Switch(False, True, 10) == turned(off, False, True, 20)
    on = turned(off, True, True, 30)
    assert on == Switch(True, True, 30, 10) == turned(on, True, True, 40)
    assert turned(on, False, True, 50) == Switch(False, True, 10), "off again within a day"
    assert turned(on, False, True, 86_400_030) == Switch(False, True, 86_400_030)
    assert turned(off, True, False, 60) == Switch(True, False, 60)
    older = msgspec.json.decode(b'{"active": false, "file": true}', type=Switch)
    assert turned(older, True, True, 70) == Switch(True, True, 70, 1), "of an earlier version, which did not say"


async def test_a_switch_holds_in_every_process_within_a_second(two: Gateway, receiver: Receiver) -> None:
    """Off: what comes is cached by both workers; on: what comes is delivered, and the cached waits for a replay."""
    for active in (False, True):
        await _switch(two, active)
        await until(_everywhere(two, active), timeout=1.0)
        await _send(two)
    await receiver.wait(20)
    await two.cached(20, state="unmatched")
    assert len(receiver.received) == 20


async def test_open_events_are_kept_while_off_and_delivered_when_on(
    two: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, link: Link, keys: Keys
) -> None:
    """Off: no retry goes out though its time has come; on: they all do."""
    monkeypatch.setattr("whatshooked.hooks.retry.SCHEDULE", (0.3,) * 100)
    receiver.behave = status(503)
    await _send(two, 5)
    await receiver.wait(5)
    await _switch(two, False)
    await until(_everywhere(two, False), timeout=1.0)

    async def all_overdue() -> bool:
        seconds, micros = await link.call("TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        return int(await link.call("ZCOUNT", keys.due("h1"), "-inf", now - 500)) == 5

    await until(all_overdue)
    before = len(receiver.received)
    receiver.behave = status(200)
    await two.cached(5, state="waiting")
    assert len(receiver.received) == before
    await _switch(two, True)
    await receiver.wait(before + 5)
    await two.cached(0)


async def test_a_switch_holds_over_restarts_until_the_file_says_otherwise(two: Gateway, receiver: Receiver) -> None:
    """New workers obey the switch; a change in the file overrules it, and it does not come back with the next."""
    await _switch(two, False)
    await two.stop_workers()
    worker = await two.add_worker()
    assert worker.hooks.active == ()
    for active in (False, True):
        two.document["hooks"][0]["active"] = active
        two.write()
        worker.reload()
        # The switch is forgotten a moment after the file was seen to differ from what it was set against.
        await until(lambda: _forgotten(two))
        assert (len(worker.hooks.active) == 1) is active
    await _send(two, 1)
    await receiver.wait(1)


async def _forgotten(gateway: Gateway) -> bool:
    worker = gateway.workers[0]
    return not worker._switches and not worker._file_is_new


async def test_a_reload_while_switches_are_judged_is_judged_too(
    make_gateway: MakeGateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes while a worker holds the one before against the switches: the change overrules them too."""
    gateway = make_gateway(hook("h1", receiver.url()))
    await gateway.start()
    (worker,) = gateway.workers
    await _switch(gateway, False)
    await until(_everywhere(gateway, False))
    judged = 0

    async def judge(*arguments: Any) -> None:
        nonlocal judged
        judged += 1
        await drop_lapsed(*arguments)
        if judged == 1:
            gateway.document["hooks"][0]["active"] = False
            gateway.write()
            worker.reload()

    monkeypatch.setattr("workers.process.drop_lapsed", judge)
    worker.reload()
    await until(lambda: _forgotten(gateway))
    assert judged == 2


async def test_an_unknown_hook_is_not_switched(two: Gateway) -> None:
    """It is a 404, and no other field of a hook can be changed."""
    assert (await two.api("PATCH", "/api/hooks/nobody", json={"active": True})).status_code == 404
    assert (await two.api("PATCH", "/api/hooks/h1", json={"url": "http://x/"})).status_code == 400
    assert (await two.api("PATCH", "/api/hooks/h1", json={"active": "no"})).status_code == 400


async def test_the_command_switches_too(two: Gateway, receiver: Receiver, spawn: Spawn) -> None:
    """`whatshooked hook disable` and `enable` do what the API does; an unknown id ends with 1 and a clear line."""
    for action, active in (("disable", False), ("enable", True)):
        command = spawn("hook", action, "h1", "-c", str(two.path))
        out, _ = await asyncio.to_thread(command.communicate, timeout=30)
        assert (command.returncode, out.strip()) == (0, f"h1 is {'on' if active else 'off'}")
        await until(_everywhere(two, active), timeout=1.0)
    command = spawn("hook", "disable", "nobody", "-c", str(two.path))
    out, _ = await asyncio.to_thread(command.communicate, timeout=30)
    assert command.returncode == 1
    assert "nobody" in out


async def test_a_removed_hook_is_given_up_and_another_s_share_survives(
    make_gateway: MakeGateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, link: Link, keys: Keys
) -> None:
    """After a reload without a hook its open events are closed; those that another hook owes are delivered."""
    for name in ("workers.process", "whatshooked.stream.upkeep", "whatshooked.stream.registry"):
        monkeypatch.setattr(f"{name}.REMOVED_AFTER_MS", 1500)
    monkeypatch.setattr("workers.process.UPKEEP_EVERY", 0.1)
    monkeypatch.setattr("workers.recover.BEAT", 0.2)
    monkeypatch.setattr("whatshooked.hooks.retry.SCHEDULE", (0.5,) * 100)
    receiver.behave = status(503)
    stays = hook("h1", receiver.url("/1"), events=["message.received"])
    gateway = make_gateway(stays, hook("old", receiver.url("/old"), events=["message.received", "message.read"]))
    await gateway.start()
    await _send(gateway, 3)
    await gateway.post(meta.webhook(meta.value(statuses=[meta.status("read")])))
    await receiver.wait(7)
    await gateway.cached(4)
    gateway.document["hooks"] = [stays]
    gateway.write()
    gateway.workers[0].reload()

    async def only_h1() -> bool:
        return [list(one["hooks"]) for one in await gateway.cached(3)] == [["h1"]] * 3

    await until(only_h1)
    before = len(receiver.received)
    receiver.behave = status(200)
    await gateway.cached(0)
    assert {one.target.partition("?")[0] for one in receiver.received[before:]} == {"/1"}
    monkeypatch.undo()
    assert await examine(link, keys, ["h1"], repair=False) == []


async def test_a_reload_is_all_or_nothing(make_gateway: MakeGateway, receiver: Receiver, spawn: Spawn) -> None:
    """SIGHUP to `run`: a new hook gets events in every process; a broken file is refused whole."""
    gateway = make_gateway(hook("h1", receiver.url("/1")), log_level="info")
    gateway.write()
    running = spawn("run", "--workers", "2", "-c", str(gateway.path), XDG_RUNTIME_DIR=str(gateway.folder))
    # A process that still starts would read the new file without a word.
    up = await _lines(running, " Ready |Hook manager started", 3)
    gateway.base = " ".join(up).partition("address=")[2].split()[0]
    gateway.document["hooks"].append(hook("h2", receiver.url("/2")))
    gateway.write()
    running.send_signal(signal.SIGHUP)
    await _lines(running, "Config reloaded", 3)
    await _send(gateway)
    await receiver.wait(40)
    gateway.path.write_text('{"hooks": [{"id": "h3"}], "server": {"port": "x"}}')
    running.send_signal(signal.SIGHUP)
    faults = await _lines(running, r"hooks\[0\]\.url", 3)
    assert all("Config not reloaded" in line for line in faults)
    await _send(gateway)
    await receiver.wait(80)
    await gateway.cached(0)
    assert len(receiver.received) == 80


async def _lines(process: Process, pattern: str, count: int) -> list[str]:
    """Return the next lines of a process that match, once there are so many."""
    assert process.stdout is not None
    found: list[str] = []
    async with asyncio.timeout(40):
        while len(found) < count:
            line = await asyncio.to_thread(process.stdout.readline)
            assert line
            found += [line] if re.search(pattern, line) else []
    return found


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_sighup_while_a_process_starts_is_kept(
    command: str, spawn: Spawn, tmp_path: Path, redis_url: str, prefix: str
) -> None:
    """It has read the old file and follows no signals yet: it reads the new file when it does."""
    file = config(tmp_path, redis={"url": redis_url, "prefix": prefix})
    old = new = file.read_text()
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    file.write_text(old.replace(json.dumps(meta.VERIFY_TOKEN), json.dumps(f"file:{pipe}")))
    process = spawn(command)
    with _opened(pipe, process) as token:
        document = json.loads(new)
        document["hooks"].append(hook("h2", "http://127.0.0.1:9/2"))
        file.write_text(json.dumps(document))
        process.send_signal(signal.SIGHUP)
        token.write(meta.VERIFY_TOKEN)
    wait_for(process, "Config reloaded hooks=2")


def _opened(pipe: Path, process: Process) -> TextIO:
    """Return the pipe once a process reads from the other end: there it waits for what we write."""
    while process.poll() is None:
        with contextlib.suppress(OSError):  # nobody reads yet
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w")
        time.sleep(0.01)
    raise AssertionError(process.communicate()[0])


async def test_sighups_from_before_are_told_once() -> None:
    """Also to a process that was started with SIGHUP ignored; from then on each one is told as it comes."""
    told = 0

    def reload() -> None:
        nonlocal told
        told += 1

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        note_reloads()
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        follow_reloads(reload)
        assert told == 1
        signal.raise_signal(signal.SIGHUP)
        while told < 2:
            await asyncio.sleep(0)
        follow_reloads(reload)
        assert told == 2
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)


async def test_a_worker_that_waits_for_redis_follows_reloads(make_gateway: MakeGateway) -> None:
    """It starts with the file of that moment, however long Redis is away."""
    gateway = make_gateway(hook("h1", "http://127.0.0.1:9/"))
    gateway.write()
    note_reloads()
    worker = Worker(gateway.config, "redis://127.0.0.1:9")
    with logged() as log:
        starting = asyncio.create_task(worker.start())

        async def waits() -> bool:
            return bool(log.holding("Waiting for Redis"))

        await until(waits)
        gateway.document["hooks"].append(hook("h2", "http://127.0.0.1:9/2"))
        gateway.write()
        signal.raise_signal(signal.SIGHUP)

        async def reloaded() -> bool:
            return list(worker.hooks.by_id) == ["h1", "h2"]

        await until(reloaded)
    starting.cancel()
    await worker.stop()
