"""What serving files costs a web process: memory, descriptors, and work for clients that have left."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import API_KEY
from tests.test_media_serving import KEY, Make, get, keep
from tests.test_setup import ended, wait_for


@pytest.fixture
def process(make_gateway: Make, tmp_path: Path, spawn: "Callable[..., subprocess.Popen[str]]") -> Any:
    """A web process of its own, and where it listens."""
    gateway = make_gateway(media={"data_path": str(tmp_path / "media")})
    gateway.write()
    found = spawn("serve", "-c", str(gateway.path), PYTHONUNBUFFERED="1")
    said = wait_for(found, "Listening")
    gateway.base = "http://" + re.findall(r"address=(\S+)", said)[0]
    return gateway, found


def resident(pid: int, which: str) -> int:
    """KB of memory of a process: VmRSS now, VmHWM at most."""
    return int(re.findall(rf"{which}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


def holds(pid: int, content: str) -> bool:
    """Whether a process has a file open."""
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if content in str(one.readlink()):
                return True
    return False


async def test_memory_does_not_grow_with_what_is_served(process: Any) -> None:
    """100 MB to four clients at once, one of which reads slowly, one of which leaves."""
    gateway, found = process
    await keep(gateway, "m_1.bin", b"x" * 100_000_000, "application/pdf")
    await keep(gateway, "m_2.bin", b"x" * 1_000_000, "application/pdf")
    assert len((await get(gateway, "m_2.bin")).content) == 1_000_000
    before = resident(found.pid, "VmRSS")

    async def read(slowly: float = 0, most: int = 10**9) -> int:
        size = 0
        async with gateway.client.stream("GET", f"{gateway.base}/api/media/business/m_1.bin", headers=KEY) as answer:
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                await asyncio.sleep(slowly if size < 300_000 else 0)
                if size > most:
                    break
        return size

    sizes = await asyncio.gather(read(), read(), read(0.05), read(most=1_000_000))
    assert min(sizes[:3]) == 100_000_000
    assert resident(found.pid, "VmHWM") - before < 16 * 1024
    async with asyncio.timeout(10):
        while holds(found.pid, "m_1.bin"):
            await asyncio.sleep(0.02)
    code, said = ended(found, signal.SIGTERM)
    assert (code, "Traceback" in said) == (0, False)


async def test_a_client_that_leaves_costs_nothing_more(
    make_gateway: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of its file is not read for nobody, and the file is closed."""
    gateway = make_gateway(media={"data_path": str(tmp_path / "media")})
    await gateway.start(workers=0)
    await keep(gateway, "m_1.bin", b"x" * 50_000_000)
    read: list[int] = []
    really = os.pread

    def counted(descriptor: int, size: int, place: int) -> bytes:
        read.append(size)
        return really(descriptor, size, place)

    monkeypatch.setattr(os, "pread", counted)
    with socket.create_connection((urlsplit(gateway.base).hostname, urlsplit(gateway.base).port)) as client:
        client.sendall(f"GET /api/media/business/m_1.bin HTTP/1.1\r\nHost: h\r\nX-API-Key: {API_KEY}\r\n\r\n".encode())
        await asyncio.to_thread(client.recv, 1000)
    async with asyncio.timeout(10):
        while holds(os.getpid(), "m_1.bin"):
            await asyncio.sleep(0.02)
    assert sum(read) < 20_000_000
