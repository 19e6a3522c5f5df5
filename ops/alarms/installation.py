"""Faults of the installation: its processes and its Redis, one after the other."""

import asyncio
import time

from ops.alarms.campaign import Alarm, Fault, Group, Whom, event_of, nothing_more, writes
from ops.alarms.peers import WITNESS
from ops.alarms.stage import Plan, Stage
from ops.alarms.watch import matches
from whatshooked.keys import GROUP

#: A hook that does not take some events.
_STUBBORN = "stubborn"
#: One that takes an event at a time.
_NARROW = "narrow"


async def _kill_web(stage: Stage) -> None:
    stage.kill("serve")


async def _start_web(stage: Stage) -> None:
    stage.start("serve")


async def _kill_worker(stage: Stage) -> None:
    stage.kill("worker")


async def _start_worker(stage: Stage) -> None:
    stage.start("worker")


async def _hang(stage: Stage) -> None:
    (stage.folder / "hang").touch()


async def _go_on(stage: Stage) -> None:
    (stage.folder / "hang").unlink()


async def _kill_redis(stage: Stage) -> None:
    stage.valkey.kill()


async def _start_redis(stage: Stage) -> None:
    stage.valkey.start()


async def _fill(stage: Stage) -> None:
    info = (await stage.link.call("INFO", "memory")).decode()
    used = next(line.partition(":")[2] for line in info.splitlines() if line.startswith("used_memory:"))
    await stage.link.call("CONFIG", "SET", "maxmemory", int(used) // 2)


async def _give_room(stage: Stage) -> None:
    await stage.link.call("CONFIG", "SET", "maxmemory", 512 * 1024 * 1024)


async def _no_file(stage: Stage) -> None:
    await stage.link.call("CONFIG", "SET", "appendonly", "no")


async def _file_again(stage: Stage) -> None:
    await stage.link.call("CONFIG", "SET", "appendonly", "yes")


async def _narrow(stage: Stage) -> None:
    stage.hooks.behaves[_NARROW] = (200, 0.3)


async def _wide(stage: Stage) -> None:
    """Each attempt was quick: it is the receipts that tell."""
    if matches("HookSlow", {"hook": _NARROW}, await stage.seen.begun()):
        raise AssertionError("the hook's attempts are slow: this is another fault")
    stage.hooks.behaves[_NARROW] = (200, 0.0)


async def _acknowledge(stage: Stage) -> None:
    await stage.link.call("XACK", stage.keys.events, GROUP, await event_of(stage, WITNESS))


async def _repair(stage: Stage) -> None:
    await stage.command("fsck", "--repair")


async def _delete(stage: Stage) -> None:
    ids = await stage.link.call("ZREVRANGE", stage.keys.due(_STUBBORN), 0, 0)
    await stage.link.call("XDEL", stage.keys.events, ids[0])
    await stage.link.call("ZADD", stage.keys.due(_STUBBORN), "XX", 0, ids[0])


async def _prepare(stage: Stage) -> None:
    """Let some events wait for a hook that refuses them, and be taken by it from then on."""
    stage.hooks.behaves[_STUBBORN] = (503, 0.0)
    async with asyncio.timeout(20):
        while await stage.link.call("ZCARD", stage.keys.due(_STUBBORN)) < 3:
            await asyncio.sleep(0.05)
        await writes(stage)
        witness, soon = await event_of(stage, WITNESS), (time.time() + 60) * 1000
        while float(await stage.link.call("ZSCORE", stage.keys.due(_STUBBORN), witness) or 0) < soon:
            await asyncio.sleep(0.05)
    stage.hooks.behaves[_STUBBORN] = (200, 0.0)


PROCESSES = Group(
    "processes",
    Plan(hooks=("crm", _NARROW), narrow=(_NARROW,)),
    (
        Fault(
            "a hook takes 0.3 s an event, one at a time: less than comes",
            (Alarm("DeliveriesLate", {"sign": "late", "hook": _NARROW}),),
            _narrow,
            _wide,
            Whom("waiting", writes, {"hook": _NARROW}),
        ),
        Fault("no web process: `kill -9`", (Alarm("WhatsHookedDown"),), _kill_web, _start_web),
        Fault(
            "no worker: `kill -9`",
            (Alarm("WorkersGone"), Alarm("DeliveriesLate", {"sign": "unread"})),
            _kill_worker,
            _start_worker,
            Whom("unread", writes),
        ),
        Fault("a loop of the worker hangs", (Alarm("WorkerLoopHangs", {"loop": "upkeep"}),), _hang, _go_on),
    ),
)
REDIS = Group(
    "redis",
    # What the stubborn hook refuses once is not tried again before all is over.
    Plan(hooks=("crm", _STUBBORN), waits={"retries": [600] * 13}),
    (
        Fault("Redis down: `kill -9`", (Alarm("RedisDown"),), _kill_redis, _start_redis),
        Fault(
            "Redis full: `CONFIG SET maxmemory`",
            (Alarm("RedisFull"), Alarm("WebhooksRefused", {"sign": "unavailable"})),
            _fill,
            _give_room,
        ),
        Fault("Redis not durable: `CONFIG SET appendonly no`", (Alarm("RedisNotDurable"),), _no_file, _file_again),
        Fault(
            "an event neither delivered nor in the cache: `XACK` by hand; `fsck --repair`",
            (Alarm("EventsUnaccounted", {"sign": "unaccounted"}),),
            _acknowledge,
            _repair,
            Whom("waiting", nothing_more, {"hook": _STUBBORN}),
        ),
        Fault(
            "an event gone before its hook had it: `XDEL` by hand; `fsck --repair`",
            (Alarm("EventsUnaccounted", {"sign": "vanished"}), Alarm("EventsUnaccounted", {"sign": "unaccounted"})),
            _delete,
            _repair,
        ),
    ),
    prepare=_prepare,
)
