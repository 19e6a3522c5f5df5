"""Run one of our commands with its own waits made short, a loop that can be made to hang, and a bug that can be had.

    python -m ops.alarms.launch [NAME=VALUE ...] -- worker

NAME is one of `WAITS`, VALUE JSON. Upkeep stands still for as long as the file that `HANG` names is there, and while
the one of `BUG` is, a message that has its content in it runs into an error: the product has no such switches, and its
modules are changed from outside, before its command starts.
"""

import asyncio
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from whatshooked.meta import decode
from whatshooked.meta.items import Item
from workers.process import Process

#: What can be made short: seconds between two checks of an account (connected, or not), before each new try at a hook,
#: and between two looks for files that have to go; how long what waits is on its way, and how long a look is good for.
WAITS = {
    "checks": ("workers.accounts", "EVERY"),
    "checks_failed": ("workers.accounts", "EVERY_FAILED"),
    "look": ("workers.accounts", "_LOOK"),
    "retries": ("whatshooked.hooks.retry", "SCHEDULE"),
    "sweep": ("workers.files", "SWEEP_EVERY"),
    "usual": ("whatshooked.stream.look", "USUAL"),
    "kept": ("whatshooked.web.customers", "_KEPT"),
}
#: The variables that name the files.
HANG, BUG = "WHATSHOOKED_ALARMS_HANG", "WHATSHOOKED_ALARMS_BUG"


def main() -> int:
    """Change this process's code, and be the command."""
    place = sys.argv.index("--")
    for word in sys.argv[1:place]:
        name, _, value = word.partition("=")
        _shorten(*WAITS[name], json.loads(value))
    _let_hang(Path(os.environ[HANG]))
    _let_fail(Path(os.environ[BUG]))
    from whatshooked.cli import main as command

    return command(sys.argv[place + 1 :])


def _shorten(module: str, name: str, value: Any) -> None:
    found = importlib.import_module(module)
    if not hasattr(found, name):
        raise SystemExit(f"{module}.{name} is gone: ops/alarms/launch.py must learn its new place")
    setattr(found, name, value)


def _let_hang(file: Path) -> None:
    one_pass = Process._one_pass

    is_there = file.exists

    async def hanging(self: Process) -> None:
        while is_there():
            await asyncio.sleep(0.1)
        await one_pass(self)

    Process._one_pass = hanging  # type: ignore[method-assign] # a loop hangs here, as on a disk that does not answer


def _let_fail(file: Path) -> None:
    event, is_there = decode.event, file.exists

    def failing(item: Item, account_id: str, foreign: bool, trace: bytes | None = None) -> decode.Incoming:
        if is_there() and file.read_bytes() in item.raw:
            raise ZeroDivisionError("a bug that was planted")
        return event(item, account_id, foreign, trace)

    decode.event = failing


if __name__ == "__main__":
    sys.exit(main())
