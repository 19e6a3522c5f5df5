"""The event log from end to end: what happens at the gateway is in every target, once."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver
from whatshooked.eventlog.row import Row, Wanted
from whatshooked.eventlog.target import Target
from whatshooked.eventlog.targets import open_target
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

LOGGED = {"enabled": True, "targets": ["file"]}


def logged(folder: Path, **more: object) -> dict[str, object]:
    """Return the section of a config whose log is on."""
    return LOGGED | {"file_dir": str(folder / "events"), "sqlite_path": str(folder / "events.sqlite")} | more


async def rows(gateway: Gateway, count: int, target: str = "file", *, timeout: float = 15.0) -> list[Row]:
    """Return the target's rows, oldest first, once there are so many."""
    opened: Target = open_target("file" if target == "file" else "sqlite", gateway.config)
    async with asyncio.timeout(timeout):
        while True:
            found = await asyncio.to_thread(lambda: list(opened.rows(Wanted(newest_first=False))))
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


async def test_an_event_and_its_attempt_are_logged(
    make_gateway: Callable[..., Gateway], receiver: Receiver, tmp_path: Path
) -> None:
    """A message that a hook takes leaves three rows: it came in, the attempt began, it was accepted."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=logged(tmp_path))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("Hello"))))
    found = await rows(gateway, 4)
    print([msgspec.json.encode(row) for row in found])
    kinds = [row.type for row in found if not row.type.startswith("whatsapp.")]
    assert kinds == ["message.received", "hook.triggered", "hook.success"]
