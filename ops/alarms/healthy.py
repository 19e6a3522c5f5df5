"""A stage without a fault that anybody should be woken for: what every day brings must raise nothing."""

import asyncio
import time
from pathlib import Path

from ops.alarms.campaign import quiet
from ops.alarms.peers import Manner, text
from ops.alarms.stage import Plan, Stage, staged

#: Seconds of peace after each thing that happens: five minutes.
_PEACE = 5.0
#: Seconds for which a hook is away, and a Redis: by the scale a minute, and twelve seconds.
_HOOK_AWAY, _REDIS_AWAY = 1.0, 0.2
#: Messages that come at once.
_BURST = 100

PLAN = Plan(hooks=("crm", "erp"), waits={"retries": [0.05, 0.2, 0.5, 2, 10]})


async def run(folder: Path | None = None) -> list[str]:
    """Return the alarms that stood at any moment of an ordinary hour; there should be none."""
    async with staged(PLAN, folder) as stage:
        await quiet(stage.seen)
        happening = asyncio.create_task(_ordinary(stage))
        found: set[str] = set()
        while not happening.done():
            found |= {labels["alertname"] for labels in await stage.seen.active()}
            await asyncio.sleep(0.2)
        await happening
        return sorted(found)


async def _ordinary(stage: Stage) -> None:
    for happens in (_hook_away, _redis_restarts, _reload, _burst, _repeats, _quiet):
        await happens(stage)
        await asyncio.sleep(_PEACE)


async def _hook_away(stage: Stage) -> None:
    stage.hooks.behaves["crm"] = (503, 0.0)
    await asyncio.sleep(_HOOK_AWAY)
    stage.hooks.behaves["crm"] = (200, 0.0)


async def _redis_restarts(stage: Stage) -> None:
    stage.valkey.crash(_REDIS_AWAY)


async def _reload(stage: Stage) -> None:
    stage.reload()


async def _burst(stage: Stage) -> None:
    stamp = time.time_ns()
    await stage.post("shop", *(text(f"wamid.burst{stamp}{n}") for n in range(_BURST)))


async def _repeats(stage: Stage) -> None:
    """Meta sends a few again, and a stranger knocks."""
    for manner in (Manner(times=2), Manner(secret="a stranger's")):
        stage.meta.manner = manner
        await asyncio.sleep(0.3)
    stage.meta.manner = Manner()


async def _quiet(stage: Stage) -> None:
    """Nobody writes."""
    stage.meta.manner = Manner(times=0)
