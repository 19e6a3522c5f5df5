"""The layout of the keys: noted by whoever comes first, and a process that knows another one touches nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Gateway
from tests.streams import Rig, until
from whatshooked.embedded import Embedded
from whatshooked.errors import StartError
from whatshooked.keys import Keys
from whatshooked.stream import layout
from whatshooked.stream.link import Link
from workers.process import Process

MakeGateway = Callable[..., Gateway]


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with one hook."""
    return Rig(link, keys, "h1")


async def test_the_first_process_notes_the_layout(link: Link, keys: Keys, rig: Rig) -> None:
    """An empty Redis has the layout of who comes first, one with events and no note the first there was."""
    await layout.hold(link, keys)
    assert await link.call("GET", keys.layout) == str(layout.LAYOUT).encode()
    await link.call("DEL", keys.layout)
    await rig.add()
    await layout.hold(link, keys)
    assert await link.call("GET", keys.layout) == b"1"


@pytest.mark.parametrize(
    ("noted", "remedy"),
    [
        ("2", "has layout 2, this version knows 1: run the newer version"),
        ("0", "has layout 0, this version needs 1: stop all, run `whatshooked migrate`"),
        ("x", "is 'x', which is no layout: set redis.prefix"),
    ],
)
async def test_another_layout_is_refused(link: Link, keys: Keys, noted: str, remedy: str) -> None:
    """The error says which version is needed, and what is noted stays."""
    await link.call("SET", keys.layout, noted)
    with pytest.raises(StartError) as refused:
        await layout.hold(link, keys)
    assert remedy.replace("has layout", "have layout") in str(refused.value)
    assert await link.call("GET", keys.layout) == noted.encode()


@pytest.mark.parametrize("command", [["serve"], ["worker"], ["run"], ["cache", "list"]])
async def test_no_command_touches_keys_of_another_layout(
    make_gateway: MakeGateway, spawn: Callable[..., Any], link: Link, keys: Keys, command: list[str]
) -> None:
    """Each ends with 69 and one line before it does anything."""
    found = make_gateway(log_level="warn")
    found.write()
    await link.call("SET", keys.layout, "2")
    process = spawn(*command, "-c", str(found.path))
    said, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 69, said
    assert [line for line in said.splitlines() if "layout" in line] == [
        line for line in said.splitlines() if line.startswith("Redis: its keys have layout 2")
    ]
    assert await link.call("KEYS", f"*{keys.prefix}*") == [keys.layout.encode()]


async def test_a_worker_goes_no_further_than_another_layout(link: Link, keys: Keys, make_gateway: MakeGateway) -> None:
    """One that starts in spite of it reads nothing."""
    await link.call("SET", keys.layout, "2")
    found = make_gateway()
    found.write()
    worker = Process(found.config, found.url)
    with pytest.raises(StartError, match="layout 2"):
        await worker.start()
    await worker.stop()
    assert await link.call("KEYS", f"*{keys.prefix}*") == [keys.layout.encode()]


@pytest.mark.parametrize("command", ["worker", "serve"])
async def test_a_redis_that_comes_late_is_looked_at(
    make_gateway: MakeGateway, spawn: Callable[..., Any], tmp_path: Path, command: str
) -> None:
    """A process that waited for a Redis of another layout ends when it comes, and says why."""
    data, counts = tmp_path / "late", tmp_path / "counts"
    counts.mkdir()
    server = Embedded.open(data)
    found = make_gateway(redis={"url": server.url})
    async with Link(server.url) as link:
        await link.call("SET", Keys("wh").layout, "2")
    server.close()
    found.write()
    process = spawn(command, "-c", str(found.path), PROMETHEUS_MULTIPROC_DIR=str(counts))

    async def is_past_its_first_look() -> bool:
        return bool(list(counts.glob("*.db")))

    await until(is_past_its_first_look, timeout=30)
    server = Embedded.open(data)
    try:
        said, _ = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        server.close()
    assert "Redis: its keys have layout 2" in said
    assert "Traceback" not in said
