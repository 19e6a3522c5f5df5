"""A command that goes on until it is interrupted, as a real process, and what it has said so far."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.conftest import REPO, Gateway


@dataclass
class Watching:
    """The process, and the lines it printed."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def until(self, pattern: str, *, errors: bool = False, timeout: float = 15.0) -> str:
        """Return the first line in which the pattern is found, once there is one; raises TimeoutError."""
        lines = self.errors if errors else self.lines
        async with asyncio.timeout(timeout):
            while not (found := [line for line in lines if re.search(pattern, line)]):
                await asyncio.sleep(0.02)
        return found[0]

    async def interrupt(self) -> int:
        """Press Ctrl-C; returns the exit code once all is read."""
        self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), 15)

    async def read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        """Take what is printed, whole lines."""
        async for line in stream:
            text = line.decode()
            assert text.endswith("\n"), f"half a line: {text!r}"
            lines.append(text[:-1])


@contextlib.asynccontextmanager
async def watching(gateway: Gateway, *words: str, **environment: str) -> AsyncIterator[Watching]:
    """Start a command on a gateway's config; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "whatshooked", *words, "-c", str(gateway.path)),
        cwd=gateway.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPO), "PYTHONIOENCODING": "utf-8"} | environment,
    )
    assert process.stdout is not None and process.stderr is not None
    found = Watching(process)
    readers = [
        asyncio.create_task(found.read(process.stdout, found.lines)),
        asyncio.create_task(found.read(process.stderr, found.errors)),
    ]
    try:
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*readers)
