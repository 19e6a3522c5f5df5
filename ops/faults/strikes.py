"""Lets faults come about among the workers of a stage: at a step, at random moments, and in Redis."""

import asyncio
import random
import time
from collections.abc import Callable

from ops.faults.stage import Launched, Stage
from ops.faults.steps import Fault

#: Seconds in which a planned fault must have come about.
FIRES_WITHIN = 45.0


class Strikes:
    """What befalls a stage; `faults` says which of the planned ones did not come about."""

    def __init__(self, stage: Stage, *, width: int, seed: int) -> None:
        self._stage = stage
        self._gate = asyncio.Semaphore(width)
        self._chance = random.Random(seed)
        self.faults: list[str] = []

    async def in_a_worker(self, fault: Fault) -> None:
        """Start a worker with a fault beside the others, at most `width` such at the same time."""
        async with self._gate:
            launched = self._stage.start("worker", fault)
            if fault.stop:
                await self.reach(launched, Launched.begun)
                await asyncio.to_thread(self._stage.valkey.crash)
            await self.reach(launched)

    async def reach(self, launched: Launched, reached: Callable[[Launched], bool] = Launched.struck) -> None:
        """Wait until a process's fault came about."""
        deadline = time.monotonic() + FIRES_WITHIN
        while not reached(launched):
            if time.monotonic() > deadline or not (launched.running or reached(launched)):
                self.faults.append(f"step {launched.fault} did not fire in {launched.journal.stem}")
                return
            await asyncio.sleep(0.05)

    async def outages(self, count: int) -> None:
        """Kill Redis so many times, and start it again."""
        for _ in range(count):
            await asyncio.sleep(self._chance.uniform(1.0, 5.0))
            await asyncio.to_thread(self._stage.valkey.crash)

    async def kills(self, count: int) -> None:
        """Kill a worker at a random moment, so many times, and start another in its place."""
        for _ in range(count):
            await asyncio.sleep(self._chance.uniform(0.5, 3.0))
            working = [one for one in self._stage.workers if one.fault is None and one.lines()]
            if working:
                self._chance.choice(working).kill()
                self._stage.start("worker")
