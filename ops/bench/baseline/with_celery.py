# mypy: disable-error-code="import-not-found, untyped-decorator"
# FastAPI and Celery are installed in .venv-bench alone.
"""FastAPI that hands each message to Celery."""

from celery import Celery
from fastapi import FastAPI, Request

from ops.bench.baseline.webhook import SOCKET, payloads, taken

queue = Celery("bench", broker=f"redis+socket://{SOCKET}")
queue.conf.task_ignore_result = True
app = FastAPI()


@queue.task
def deliver(payload: dict[str, str]) -> None:
    """Post to the hook; the benchmark measures the intake alone and runs no worker for it."""


@app.post("/webhook")
async def receive(request: Request) -> str:
    """Take a webhook in."""
    for payload in payloads(await taken(request)):
        deliver.delay(payload)
    return "OK"
