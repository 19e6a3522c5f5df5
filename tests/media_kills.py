"""Keeps or removes a file in a process that is killed at the nth line of the store, for every n; a program of its own.

`python -m tests.media_kills keep|remove FOLDER [OTHER...]`: each line it writes is what was found after one kill, and
what a second try made; the others have the same content.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from whatshooked.media import local, part, threads
from whatshooked.media.store import About

CONTENT = b"what a customer sent " * 20_000
TRACED = {local.__file__, part.__file__}


def killer(n: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that ends this process at the nth line of the store."""
    left = [n]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


async def keep(folder: Path, filename: str, content: bytes = CONTENT) -> None:
    """Keep one file."""
    async with local.LocalStore(folder).part() as one:
        await one.write(content)
        await one.keep("business", filename, About("image/jpeg", "", one.digest(), one.size))


def in_child(act: Callable[[], None]) -> int:
    """Run something in a process of its own; returns how it ended."""
    child = os.fork()
    if child == 0:
        threads._THREADS = ThreadPoolExecutor(4)  # those of the parent did not come along
        try:
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kept(folder: Path, filename: str) -> None:
    """Keep one file, in peace."""
    asyncio.run(keep(folder, filename))


async def remove(folder: Path) -> None:
    """Remove the file, as retention does."""
    store = local.LocalStore(folder)
    async for batch in store.held():
        await store.remove([held for held in batch if held.filename == "m_1.jpg"])


def killed(folder: Path, what: str, n: int) -> None:
    """Keep or remove the file, and be killed at the nth line."""
    trace = killer(n)  # one count for all threads
    threading.settrace(trace)
    sys.settrace(trace)
    asyncio.run(remove(folder) if what == "remove" else keep(folder, "m_1.jpg"))


async def look(folder: Path) -> dict[str, Any]:
    """What a reader of the store sees, and what lies in the folder for people."""
    found = await local.LocalStore(folder).find("business", "m_1.jpg")
    plain = folder / "business" / "m_1.jpg"
    return {
        "visible": found is not None,
        "described": bool(found and found.about.sha256),
        "whole": plain.read_bytes() == CONTENT if plain.exists() else None,
        "others": all(path.read_bytes() == CONTENT for path in plain.parent.glob("*.jpg")),
    }


async def empty(folder: Path) -> None:
    """Let retention take all files, and clear what the dead left."""
    store = local.LocalStore(folder)
    with patch.object(local, "YOUNG", -60.0):  # as if hours had gone by
        await store.tidy()
        async for batch in store.held():
            await store.remove(batch)
        await store.tidy()


def files(folder: Path) -> list[str]:
    """Every file in the folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def main() -> None:
    """Kill at the first line, the second, and so on, until one is never reached."""
    what, place, others = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    for n in range(1, 5000):
        folder = place / str(n)
        for other in [*others, *(["m_1.jpg"] if what == "remove" else [])]:
            assert in_child(partial(kept, folder, other)) == 0
        ended = in_child(partial(killed, folder, what, n))
        found = {"ended": ended} | asyncio.run(look(folder))
        again = in_child(partial(kept, folder, "m_1.jpg"))
        found |= {"again": again, "then": asyncio.run(look(folder))}
        asyncio.run(empty(folder))
        found["left"] = files(folder)
        print(json.dumps(found), flush=True)
        shutil.rmtree(folder)
        if ended == 0:
            return


if __name__ == "__main__":
    main()
