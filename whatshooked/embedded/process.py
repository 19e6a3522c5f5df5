"""One server process: its command line, its start, the wait until it answers, and its end."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from whatshooked.embedded import faults, folder, probe, runtime
from whatshooked.embedded.binary import Binary
from whatshooked.embedded.folder import Folder
from whatshooked.errors import EmbeddedError

#: Seconds without an answer, or without progress in loading, before a start counts as failed.
PATIENCE = 60.0

#: Seconds between two looks at a server that is coming up.
GLANCE = 0.02

#: Seconds the server gets to end after SHUTDOWN, after SIGTERM, and after SIGKILL.
SHUTDOWN_GRACE, TERMINATE_GRACE, KILL_GRACE = 10.0, 5.0, 5.0

_SHIM = Path(__file__).with_name("shim.py")


@dataclass(frozen=True)
class Plan:
    """All that a start needs."""

    binary: Binary
    folder: Folder
    socket: Path
    #: Bytes of data after which writes are refused.
    maxmemory: int


def arguments(plan: Plan) -> list[str]:
    """Return the server's options as command-line arguments."""
    options = {
        "port": "0",  # reachable through the socket alone
        "unixsocket": str(plan.socket),
        "unixsocketperm": "700",  # for this user alone: there is no password
        "daemonize": "no",  # stays our child, so that we see it end
        "dir": str(plan.folder.path),
        "appendonly": "yes",  # every write goes to the file ...
        "appendfsync": "always",  # ... and to the disk before its answer: what we acknowledged survives a power cut
        "no-appendfsync-on-rewrite": "no",  # also while the file is being rewritten
        # Plain commands, though a snapshot in front of them would load in half the time: it holds entries that were
        # deleted from streams, and so people who were forgotten.
        "aof-use-rdb-preamble": "no",
        "aof-load-truncated": "yes",  # a last write cut short by a crash was never acknowledged: drop it and start
        "save": "",  # no snapshots beside the append-only file
        "maxmemory": str(plan.maxmemory),  # a full cache answers "full" instead of taking the machine down
        "maxmemory-policy": "noeviction",  # nothing acknowledged is ever thrown out to make room
        "loglevel": "notice",
        "logfile": str(plan.folder.log),
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


class Server:
    """A server process that we started; the thread that made it must outlive it (PR_SET_PDEATHSIG)."""

    def __init__(self, plan: Plan, lock: int) -> None:
        """Start the process, which inherits the lock; raises EmbeddedError."""
        self._plan = plan
        runtime.make_private(plan.socket.parent)
        try:
            self._log_start = folder.put_log_aside(plan.folder)
            log = plan.folder.log.open("ab")
        except OSError as error:
            raise EmbeddedError(faults.of_folder(plan.folder.data_path, error)) from error
        with log:
            self._process = _spawn(plan, lock, log)

    def wait_ready(self, stop: threading.Event) -> None:
        """Return once it answers PING, or once `stop` is set; raises EmbeddedError when it ends or goes silent."""
        folder.write_state(self._plan.folder, self._plan.socket, self._process.pid)
        patience = probe.Patience(PATIENCE, time.monotonic())
        while not stop.is_set():
            if self._process.poll() is not None:
                raise EmbeddedError(f"the embedded server does not start: {self.reason()}")
            answer = probe.ask(self._plan.socket)
            if answer.state is probe.State.READY:
                return
            if not patience.lasts(answer, time.monotonic()):
                raise EmbeddedError(
                    f"the embedded server did not answer for {PATIENCE:.0f} s: see {self._plan.folder.log}"
                )
            stop.wait(GLANCE)

    def ended(self) -> str:
        """Return how the process ended ("SIGKILL", "exit code 1: No space left ..."), "" while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        return faults.of_signal(-code) if code < 0 else f"exit code {code}: {self.reason()}"

    def reason(self) -> str:
        """Return why it would not run, from what it logged since its start."""
        lines = _lines_from(self._plan.folder.log, self._log_start)
        return faults.of_log(self._plan.folder.log, lines, self._plan.binary.path)

    def stop(self) -> None:
        """End the process in order (its file synced to disk), by force when it will not; returns when it is gone."""
        if self._process.poll() is None and self._say_shutdown():
            self._wait(SHUTDOWN_GRACE)
        if self._process.poll() is None:
            self._process.terminate()
            self._wait(TERMINATE_GRACE)
        if self._process.poll() is None:
            self._process.kill()
            self._wait(KILL_GRACE)

    def _say_shutdown(self) -> bool:
        try:
            refused = probe.command(self._plan.socket, b"SHUTDOWN")
        except OSError:
            return False
        return not refused

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)


def _lines_from(log: Path, start: int) -> list[str]:
    """Return the log's lines after its first `start` bytes, none when it cannot be read."""
    try:
        with log.open("rb") as reader:
            reader.seek(start)
            return reader.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _spawn(plan: Plan, lock: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the server through the shim, with its output before it opens the log itself; raises EmbeddedError."""
    # -I -S: the shim needs no packages, and must not meet a module of the current folder.
    shim = [sys.executable, "-I", "-S", str(_SHIM), str(os.getpid())]
    try:
        return subprocess.Popen(  # noqa: S603 - the program is the one we chose, its arguments are ours
            [*shim, str(plan.binary.path), *arguments(plan)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            # A session of its own: Ctrl-C must reach us alone, or the server would be gone before its users.
            start_new_session=True,
        )
    except OSError as error:
        raise EmbeddedError(f"the embedded server cannot be started: {error.strerror}: set redis.url") from error
