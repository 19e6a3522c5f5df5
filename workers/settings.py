"""What a worker process runs, on one screen: `arq workers.settings.WorkerSettings`, or `whatshooked worker`.

    always   reader, claimer, recovery, upkeep, credentials, switches   (process.py)
    timed    self_check: do the keys agree?                             every hour, by one of the workers

arq starts and stops them; no event ever lives in an arq job. Upkeep is a loop and not a timed job, since arq has to
write to start a job, and a full Redis takes no writes: just then history has to be forgotten.
"""

import asyncio
import contextlib
from typing import Any

import msgspec
import uvloop
from arq import cron
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from whatshooked.boot import calm_collector, end
from whatshooked.errors import StartError
from whatshooked.keys import Keys
from workers.arq_keys import rename
from workers.boot import boot
from workers.process import Process, begin_serving

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
# Before arq, which waits for Redis first: a worker that waits must not look like one that is gone.
_serving = begin_serving(boot.config)
_keys = Keys(boot.config.redis.prefix)
rename(_keys.arq)

#: Seconds that arq may take to remove its own health key before we are told to stop.
_GOODBYE = 2.0


async def on_startup(ctx: dict[str, Any]) -> None:
    """Start the loops, or end the process."""
    _bound_goodbye(ctx["redis"])
    ctx["process"] = Process(boot.config, boot.url, _serving)
    try:
        await ctx["process"].start()
    except StartError as error:  # of a Redis that came after us
        end(error)
        return
    calm_collector()


async def on_shutdown(ctx: dict[str, Any]) -> None:
    """Stop them in order."""
    if "process" in ctx:
        await ctx["process"].stop()
    boot.close()


def _bound_goodbye(pool: ArqRedis) -> None:
    """Let arq's last word to Redis, which comes before `on_shutdown`, end though Redis is away: it tries for ever."""
    delete = pool.delete

    async def within(*names: str) -> None:
        with contextlib.suppress(TimeoutError, RedisError):
            async with asyncio.timeout(_GOODBYE):
                await delete(*names)

    pool.delete = within  # type: ignore[method-assign, assignment]


async def self_check(ctx: dict[str, Any]) -> None:
    """Hold the keys against each other and log what disagrees."""
    await ctx["process"].self_check()


class WorkerSettings:
    """arq's own settings; every name is arq's."""

    redis_settings = RedisSettings.from_dsn(boot.url)
    # A Redis that goes away must not end the worker: its loops wait for it, and so does arq.
    redis_settings.retry = Retry(ExponentialBackoff(cap=2.0, base=0.1), retries=-1)
    redis_settings.retry_on_error = [RedisConnectionError, RedisTimeoutError, ResponseError, OSError]  # noqa: RUF012 - arq's
    redis_settings.conn_retries = 1_000_000
    queue_name = _keys.arq + "queue"
    health_check_key = _keys.arq + "health"
    health_check_interval = 30
    cron_jobs = (cron(self_check, minute=17, keep_result=0, max_tries=1),)
    # Seconds that a job may take to its end before it is cancelled: a cancelled one keeps arq from calling on_shutdown.
    job_completion_wait = 20
    on_startup = on_startup
    on_shutdown = on_shutdown
    job_serializer = msgspec.msgpack.encode
    job_deserializer = msgspec.msgpack.decode
    log_results = False
