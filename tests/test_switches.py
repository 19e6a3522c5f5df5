"""Hooks turned on and off at run time, and the config read again, in every process."""

import asyncio
import signal
from collections.abc import Callable

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status
from tests.streams import until
from tests.test_workers import Process, Spawn, _address
from whatshooked.keys import Keys
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Link

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
    gateway.base = await _address(running)
    assert running.stdout is not None
    gateway.document["hooks"].append(hook("h2", receiver.url("/2")))
    gateway.write()
    running.send_signal(signal.SIGHUP)
    await _lines(running, "Config reloaded", 3)
    await _send(gateway)
    await receiver.wait(40)
    gateway.path.write_text('{"hooks": [{"id": "h3"}], "server": {"port": "x"}}')
    running.send_signal(signal.SIGHUP)
    faults = await _lines(running, "hooks[0].url", 3)
    assert all("Config not reloaded" in line for line in faults)
    await _send(gateway)
    await receiver.wait(80)
    await gateway.cached(0)
    assert len(receiver.received) == 80


async def _lines(process: Process, text: str, count: int) -> list[str]:
    assert process.stdout is not None
    found: list[str] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            line = await asyncio.to_thread(process.stdout.readline)
            assert line
            found += [line] if text in line else []
    return found
