"""A Redis of the harness's own, with the embedded server's settings: killed with -9 and started again on its files."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from whatshooked.embedded import probe
from whatshooked.embedded.binary import find_binary
from whatshooked.embedded.folder import prepare
from whatshooked.embedded.process import Plan, arguments

SHIM = Path(probe.__file__).with_name("shim.py")


def tied(command: list[str]) -> list[str]:
    """Return a command that ends with this process, whatever ends us."""
    return [sys.executable, "-I", "-S", str(SHIM), str(os.getpid()), *command]


class Valkey:
    """The server; `outages` are the spans (monotonic seconds) in which it did not answer."""

    def __init__(self, folder: Path) -> None:
        # A socket's path has little room: its folder is a short one of its own.
        self._short = tempfile.TemporaryDirectory(prefix="whf-")
        socket = Path(self._short.name) / "v.sock"
        self._plan = Plan(find_binary(), prepare(folder), socket, 512 * 1024 * 1024)
        self.url = f"unix://{socket}"
        self.outages: list[tuple[float, float]] = []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.kill()
        self._short.cleanup()

    def start(self, patience: float = 20.0) -> None:
        """Start and wait for its PONG; raises TimeoutError."""
        with self._plan.folder.log.open("ab") as log:
            self._process = subprocess.Popen(
                tied([str(self._plan.binary.path), *arguments(self._plan)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + patience
        while probe.ask(self._plan.socket).state is not probe.State.READY:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server does not answer, see {self._plan.folder.log}")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def crash(self, seconds: float = 0.2) -> None:
        """Kill it, leave it away for a moment, and start it again on the same files."""
        since = time.monotonic()
        self.kill()
        time.sleep(seconds)
        self.start()
        self.outages.append((since, time.monotonic()))
