"""Child processes: started, restarted when they die, told of reloads, and stopped in order."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import FrameType
from typing import IO

from whatshooked import logs
from whatshooked.errors import BAD_CONFIG, UNAVAILABLE

log = logs.get("supervisor")

#: Seconds until a child that died is started again: the first, the longest.
_BACKOFF = (0.2, 5.0)
#: Seconds after which a child that runs counts as well again.
_WELL = 10.0
#: A child that never was well and dies so often within so many seconds of its start will not come up at all.
_HOPELESS, _EARLY = 5, 3.0
#: Seconds that a worker lets deliveries finish, and that a child may take to stop before it is killed.
_IN_FLIGHT, PATIENCE = 20, 35.0
#: Seconds between two looks at the children.
_GLANCE = 0.1


@dataclass
class Child:
    """One process to keep running; `name` stands in the log."""

    name: str
    command: Sequence[str]
    fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    #: Deaths in a row within _EARLY seconds of a start, the code of the last, and whether it ever was well.
    early: int = 0
    code: int = 0
    well: bool = False
    due: float = field(default=0.0)


class Supervisor:
    """Keeps children running until SIGINT or SIGTERM; they stop in the order in which they stand here."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = list(children)
        self.stopping = False
        #: The signals that asked to stop, in their order.
        self._asked: list[int] = []
        self._reload = False
        self.code = 0

    def run(self, announce: Iterable[object] = ()) -> int:
        """Start all, watch until told to stop, stop all in order; returns the exit code.

        `announce` is taken on beside the watch, a step every now and then, until it ends.
        """
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._stop)
        signal.signal(signal.SIGHUP, self._hup)
        for child in self.children:
            self._start(child)
        announcing = threading.Thread(target=self._announce, args=(announce,), daemon=True)
        announcing.start()
        try:
            while not self.stopping:
                self._watch()
                time.sleep(_GLANCE)
        finally:
            self._end()
            announcing.join(1.0)
        return self.code

    def _announce(self, announce: Iterable[object]) -> None:
        for _ in announce:
            if self.stopping:
                return
            time.sleep(_GLANCE)

    def _end(self) -> None:
        """Say what is waited for, and stop all children in order; a second Ctrl-C kills those that are left."""
        if self._asked:
            again = "; Ctrl-C again ends at once" if self._asked[0] == signal.SIGINT else ""
            log.info(f"Stopping: deliveries in flight may take {_IN_FLIGHT} s more{again}")
        for child in self.children:
            _signal_and_wait(child, lambda: self._asked.count(signal.SIGINT) > 1)

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
        lived = now - child.started
        child.well = child.well or lived > _WELL
        child.early, child.code = child.early + 1 if lived < _EARLY and not child.well else 0, code
        if child.early >= _HOPELESS:
            log.error(
                "Process does not come up, stopping all: see what it said at first", process=child.name, code=code
            )
            self.code, self.stopping = UNAVAILABLE, True
            return
        child.failures = 1 if lived > _WELL else child.failures + 1
        wait = min(_BACKOFF[0] * 2 ** (child.failures - 1), _BACKOFF[1])
        child.due = now + wait
        log.error("Process died, starting it again", process=child.name, code=code, wait_seconds=round(wait, 1))

    def _start(self, child: Child) -> None:
        shim = find_spec("whatshooked.embedded.shim")
        tied = [sys.executable, "-I", "-S", str(shim.origin if shim else ""), str(os.getpid())]
        # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop things in order.
        child.process = subprocess.Popen(  # noqa: S603 - our own commands
            [*tied, *child.command],
            stdin=subprocess.DEVNULL,
            # What it said at its early death was shown; the same again would only bury that.
            stderr=subprocess.PIPE if child.early else None,
            pass_fds=tuple(child.fds),
            start_new_session=True,
        )
        child.started = time.monotonic()
        if child.process.stderr is not None:
            threading.Thread(target=_pass_on, args=(child.process, child.process.stderr, child.code)).start()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._asked.append(number)
        self.stopping = True

    def _hup(self, _signal: int, _frame: FrameType | None) -> None:
        self._reload = True


def _signal_and_wait(child: Child, hurried: Callable[[], bool]) -> None:
    """Ask a child to stop and wait; end it when it does not, or at once when somebody is in a hurry."""
    if child.process is None:
        return
    _signal(child, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while child.process.poll() is None and time.monotonic() < until and not hurried():
        time.sleep(_GLANCE / 5)
    if child.process.poll() is None:
        if not hurried():
            log.error("Process does not stop, killing it", process=child.name)
        child.process.kill()
        child.process.wait()


def _pass_on(process: subprocess.Popen[bytes], said: IO[bytes], code: int) -> None:
    """Show what a child says once it has lived on; nothing of one that dies early again, with the same code."""
    kept, until = b"", time.monotonic() + _EARLY
    with said:
        while (left := until - time.monotonic()) > 0:
            if select.select([said], [], [], left)[0]:
                chunk = os.read(said.fileno(), 65536)
                if not chunk:
                    break
                kept += chunk
        if left > 0 and process.wait() == code:
            return
        _show(kept)
        while chunk := os.read(said.fileno(), 65536):
            _show(chunk)


def _show(said: bytes) -> None:
    sys.stderr.buffer.write(said)
    sys.stderr.buffer.flush()


def _signal(child: Child, number: int) -> None:
    if child.process is not None and child.process.poll() is None:
        child.process.send_signal(number)


def ours(*arguments: str) -> list[str]:
    """Return the command that runs one of our own commands with this Python."""
    return [sys.executable, "-m", "whatshooked", *arguments]
