"""The thread that keeps the server alive: as its owner, or as a watcher who takes over when the owner is gone."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from whatshooked.embedded import folder as folders
from whatshooked.embedded import probe
from whatshooked.embedded.binary import Find
from whatshooked.embedded.folder import Folder
from whatshooked.embedded.process import Plan, Server
from whatshooked.errors import EmbeddedError

#: Seconds between two looks of an owner at its process, and of a watcher at the lock.
OWNER_GLANCE, WATCHER_GLANCE = 0.1, 0.2

#: Seconds a server must have lived for its end not to count as one more quick death.
STEADY = 10.0

#: Seconds before the next start after a second quick death, doubling up to the longest.
SHORTEST, LONGEST = 0.2, 5.0

#: Quick deaths in a row after which the server's own last words are reported.
TROUBLE = 3

#: Takes a level ("info", "warning", "error") and a line; called from the keeper's thread.
OnEvent = Callable[[str, str], None]


def delay(quick_deaths: int) -> float:
    """Return the seconds to wait before the next start: none after a first death, then longer and longer."""
    # The exponent is bounded because a server that never starts is tried for days.
    return 0.0 if quick_deaths < 2 else min(SHORTEST * 2 ** min(quick_deaths - 2, 10), LONGEST)


class Keeper(threading.Thread):
    """One process's part in the shared server.

    Everything that touches the server process happens in this thread: on Linux the server gets its SIGTERM
    when the thread that started it ends, not only when the whole process does.
    """

    def __init__(
        self, folder: Folder, socket: Path, lock: int | None, *, maxmemory: int, find: Find, on_event: OnEvent
    ) -> None:
        super().__init__(name="embedded-keeper", daemon=True)
        self._folder = folder
        self._socket = socket
        self._lock = lock
        self._maxmemory = maxmemory
        self._find = find
        self._on_event = on_event
        self._stop_asked = threading.Event()
        self._settled = threading.Event()
        self._answered = False
        #: Why the very first start failed; "" once the server answered.
        self.failure = "the embedded server's keeper ended before the server answered: this is a bug, please report it"

    @property
    def owner(self) -> bool:
        """Whether this process runs the server now."""
        return self._lock is not None

    def wait_settled(self) -> None:
        """Return once the first start is decided; then `failure` tells."""
        self._settled.wait()

    def stop(self) -> None:
        """End the server if it is ours, else just stop watching; returns when that is done."""
        self._stop_asked.set()
        self.join()

    def run(self) -> None:
        """Watch while somebody else owns the server, then own it until told to stop."""
        try:
            self._watch()
            if self._lock is not None:
                self._own(self._lock)
        finally:
            self._leave()

    def _watch(self) -> None:
        while self._lock is None and not self._stop_asked.wait(WATCHER_GLANCE):
            self._try_takeover()

    def _try_takeover(self) -> None:
        with contextlib.suppress(EmbeddedError):  # the folder is out of reach for now: look again
            lock = folders.take_lock(self._folder)
            if lock is None:
                return
            if probe.ask(self._socket).state is not probe.State.SILENT:
                folders.release(lock)  # somebody removed the lock file; the server that answers is the truth
                return
            self._lock = lock
            self._answered = True  # it did answer once, so a failing start is to be tried again
            self._tell("warning", "the embedded server's owner is gone, this process takes over")

    def _own(self, lock: int) -> None:
        deaths = 0
        while not self._stop_asked.is_set():
            began = time.monotonic()
            cause = self._serve(lock)
            if self._stop_asked.is_set():
                return
            if not self._answered:
                self.failure = cause
                return
            deaths = deaths + 1 if time.monotonic() - began < STEADY else 1
            self._report(deaths, cause)
            self._stop_asked.wait(delay(deaths))

    def _serve(self, lock: int) -> str:
        """Run one server to its end and return the cause, "" when we were told to stop."""
        try:
            binary = self._find()
            if not self._answered:
                self._tell("info", f"starting the embedded server: {binary.version}, {binary.path}")
            server = Server(Plan(binary, self._folder, self._socket, self._maxmemory), lock)
        except EmbeddedError as error:
            return str(error)
        try:
            server.wait_ready(self._stop_asked)
            self._answers()
            return self._attend(server)
        except EmbeddedError as error:
            return str(error)
        finally:
            server.stop()

    def _attend(self, server: Server) -> str:
        while not self._stop_asked.wait(OWNER_GLANCE):
            if how := server.ended():
                return f"the embedded server died ({how})"
        return ""

    def _answers(self) -> None:
        if self._stop_asked.is_set():
            return
        if self._answered:
            self._tell("info", "the embedded server is back")
        self._answered, self.failure = True, ""
        self._settled.set()

    def _report(self, deaths: int, cause: str) -> None:
        if deaths < TROUBLE:
            self._tell("warning", f"{cause}; starting it again")
        else:
            self._tell("error", f"{cause}; {deaths} times in a row, next try in {delay(deaths):g} s")

    def _tell(self, level: str, line: str) -> None:
        # A logger in trouble must not end the thread: that would take the server along.
        with contextlib.suppress(Exception):
            self._on_event(level, line)

    def _leave(self) -> None:
        """Remove our socket and its folder while nobody else can start, then let others start."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with contextlib.suppress(OSError):
                self._socket.unlink(missing_ok=True)
                self._socket.parent.rmdir()
            folders.release(lock)
        self._settled.set()
