"""Child processes: started, restarted when they die, told of reloads, and stopped in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import FrameType

from whatshooked import logs
from whatshooked.errors import BAD_CONFIG

log = logs.get("supervisor")

#: Seconds until a child that died is started again: the first, the longest.
_BACKOFF = (0.2, 5.0)
#: Seconds after which a child that runs counts as well again.
_WELL = 10.0
#: Seconds a child may take to stop before it is killed: above a worker's own grace.
PATIENCE = 35.0


@dataclass
class Child:
    """One process to keep running; `name` stands in the log."""

    name: str
    command: Sequence[str]
    fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float = field(default=0.0)


class Supervisor:
    """Keeps children running until SIGINT or SIGTERM; they stop in the order in which they stand here."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = list(children)
        self.stopping = False
        self._reload = False
        self.code = 0

    def run(self, announce: Callable[[], bool] = lambda: True) -> int:
        """Start all, watch until told to stop, stop all in order; returns the exit code.

        `announce` is called every now and then until it returns True.
        """
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._stop)
        signal.signal(signal.SIGHUP, self._hup)
        for child in self.children:
            self._start(child)
        try:
            announced = False
            while not self.stopping:
                self._watch()
                announced = announced or announce()
                time.sleep(0.1)
        finally:
            for child in self.children:
                stop(child)
        return self.code

    def _watch(self) -> None:
        if self._reload:
            self._reload = False
            for child in self.children:
                _signal(child, signal.SIGHUP)
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.due:
                    self._start(child)
            elif (code := child.process.poll()) is not None:
                self._died(child, code, now)

    def _died(self, child: Child, code: int, now: float) -> None:
        child.process = None
        if code == BAD_CONFIG:  # starting it again would end the same way
            self.code, self.stopping = code, True
            return
        child.failures = 1 if now - child.started > _WELL else child.failures + 1
        wait = min(_BACKOFF[0] * 2 ** (child.failures - 1), _BACKOFF[1])
        child.due = now + wait
        log.error("Process died, starting it again", process=child.name, code=code, wait_seconds=round(wait, 1))

    def _start(self, child: Child) -> None:
        shim = find_spec("whatshooked.embedded.shim")
        tied = [sys.executable, "-I", "-S", str(shim.origin if shim else ""), str(os.getpid())]
        # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop things in order.
        child.process = subprocess.Popen(  # noqa: S603 - our own commands
            [*tied, *child.command], stdin=subprocess.DEVNULL, pass_fds=tuple(child.fds), start_new_session=True
        )
        child.started = time.monotonic()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _hup(self, _signal: int, _frame: FrameType | None) -> None:
        self._reload = True


def stop(child: Child) -> None:
    """Ask a child to stop, wait, and end it when it does not."""
    if child.process is None:
        return
    _signal(child, signal.SIGTERM)
    try:
        child.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        log.error("Process does not stop, killing it", process=child.name)
        child.process.kill()
        child.process.wait()


def _signal(child: Child, number: int) -> None:
    if child.process is not None and child.process.poll() is None:
        child.process.send_signal(number)


def ours(*arguments: str) -> list[str]:
    """Return the command that runs one of our own commands with this Python."""
    return [sys.executable, "-m", "whatshooked", *arguments]
