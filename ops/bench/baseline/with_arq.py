# mypy: disable-error-code="import-not-found, untyped-decorator"
# FastAPI and aiohttp are installed in .venv-bench alone.
"""FastAPI with an arq job per message, and the worker that posts it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from arq import create_pool
from arq.connections import RedisSettings
from fastapi import FastAPI, Request

from ops.bench.baseline.webhook import SOCKET, payloads, taken

_settings = RedisSettings(unix_socket_path=SOCKET)
_hook = os.environ["BENCH_HOOK"]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.queue = await create_pool(_settings)
    yield
    await app.state.queue.aclose()


app = FastAPI(lifespan=_lifespan)


@app.post("/webhook")
async def receive(request: Request) -> str:
    """Take a webhook in."""
    for payload in payloads(await taken(request)):
        await request.app.state.queue.enqueue_job("deliver", payload)
    return "OK"


async def deliver(ctx: dict[str, Any], payload: dict[str, str]) -> None:
    """Post a message to the hook; a failure is tried again by arq."""
    async with ctx["session"].post(_hook, json=payload) as answer:
        answer.raise_for_status()
        await answer.read()


async def _startup(ctx: dict[str, Any]) -> None:
    ctx["session"] = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(15))


async def _shutdown(ctx: dict[str, Any]) -> None:
    await ctx["session"].close()


class WorkerSettings:
    """arq's settings; more jobs at once and a quicker look than its defaults, which would hold it to 200 a second."""

    functions = (deliver,)
    redis_settings = _settings
    on_startup = _startup
    on_shutdown = _shutdown
    max_jobs = 64
    poll_delay = 0.02
    keep_result = 0
