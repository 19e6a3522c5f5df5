"""Which loops come round, and when each did last: a loop that hangs ends nobody, so it has to show.

A loop is a task; its gauge stands in its context, so that it says `came_round()` and nothing else.
"""

import asyncio
import time
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context

from prometheus_client import Gauge

from whatshooked import metrics

#: At hand: to look a metric up by its label costs as much as to count.
_turn: ContextVar[Gauge | None] = ContextVar("turn", default=None)


def came_round() -> None:
    """Say that the loop which calls this begins its next turn; means nothing outside of one."""
    if (turn := _turn.get()) is not None:
        turn.set(time.time())


def turning(name: str, loop: Coroutine[None, None, None]) -> "asyncio.Task[None]":
    """Run a loop under a name, and show that it turns until it ends."""
    context = copy_context()
    context.run(_turn.set, metrics.LOOP_TURN.labels(name))
    context.run(came_round)
    metrics.LOOPS.labels(name).inc()
    task = asyncio.create_task(loop, name=name, context=context)
    task.add_done_callback(_ended)
    return task


def _ended(task: "asyncio.Task[None]") -> None:
    metrics.LOOPS.labels(task.get_name()).dec()
