"""Our commands, run within a test: a simulator in the test's loop can answer them, since they run in a thread."""

import asyncio
import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from tests.conftest import Gateway
from tests.simulated import Meta
from whatshooked.cli import main


@dataclass(frozen=True)
class Said:
    """What a command came to: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


async def run(*words: str, stdin: str = "") -> Said:
    """Run a command to its end."""
    return await asyncio.to_thread(_run, words, stdin)


def _run(words: tuple[str, ...], stdin: str) -> Said:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        mock.patch.dict("os.environ"),
        _logging(),
    ):
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Said(code, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@contextmanager
def _logging() -> Iterator[None]:
    """Give the log back as it was: a command sets up its own."""
    root, ours = logging.getLogger(), logging.getLogger("whatshooked")
    before = root.handlers[:], root.level, ours.level
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])


async def set_up(gateway: Gateway, sim: Meta) -> None:
    """Start a gateway whose account `business` is the simulator's number, and let Meta's webhooks come to it."""
    await gateway.start(workers=0)
    gateway.document["server"]["port"] = int(gateway.base.rpartition(":")[2])
    gateway.write()
    assert sim.app.subscription is not None
    sim.app.subscription.callback_url = f"{gateway.base}/webhooks/whatsapp/business"


def simulated_account(sim: Meta) -> dict[str, object]:
    """The simulator's number as it stands in config.json."""
    api = {
        "phone_number_id": sim.number.id,
        "access_token": sim.token,
        "verify_token": sim.verify_token,
        "app_secret": sim.secret,
        "app_id": sim.app.id,
        "business_account_id": sim.waba.id,
        "graph_url": sim.url,
    }
    return {"id": "business", "type": "business-api", "phone_number": f"+{sim.number.phone}", "business_api": api}
