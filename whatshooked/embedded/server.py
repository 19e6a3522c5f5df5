"""Embedded: a running Valkey on the files of one data_path, shared by all processes that open it."""

import atexit
import os
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

from whatshooked.embedded import folder as folders
from whatshooked.embedded import probe, process, runtime
from whatshooked.embedded.binary import Find, find_binary
from whatshooked.embedded.folder import Folder
from whatshooked.embedded.keeper import Keeper, OnEvent
from whatshooked.errors import EmbeddedError

#: Default bytes of data after which the server refuses writes, and intake answers 503.
MAXMEMORY = 1 << 30

#: Seconds between two looks at a server that somebody else is starting or stopping.
GLANCE = 0.05


class Embedded:
    """This process's share in the server of one data_path.

    The first process to open it starts the server and owns it; others attach, and one of them takes over when
    the owner is gone. Where the kernel can tie the two together (Linux), the server ends with its owner.
    """

    def __init__(self, socket: Path, keeper: Keeper, notes: tuple[str, ...]) -> None:
        """Use `Embedded.open`."""
        #: "unix:///run/user/1000/whatshooked-1a2b3c4d/valkey.sock"
        self.url = "unix://" + quote(str(socket))
        #: Lines to log once.
        self.notes = notes
        self._keeper = keeper
        self._pid = os.getpid()
        atexit.register(self.close)

    @classmethod
    def open(
        cls,
        data_path: Path,
        *,
        maxmemory: int = MAXMEMORY,
        find: Find = find_binary,
        on_event: OnEvent = lambda _level, _line: None,
    ) -> Self:
        """Attach to the running server of this data_path or start it; returns once it answers PING.

        `maxmemory` is in bytes and counts for the process that starts the server; `on_event` hears of deaths,
        restarts and takeovers, from another thread. Raises EmbeddedError, one line with the remedy.
        """
        folder = folders.prepare(data_path)
        notes = folders.old_files_note(folder)
        socket, lock = find_or_lock(folder)
        keeper = Keeper(folder, socket, lock, maxmemory=maxmemory, find=find, on_event=on_event)
        keeper.start()
        if lock is not None:
            _await_first_start(keeper)
        return cls(socket, keeper, notes)

    @staticmethod
    def address(data_path: Path) -> str:
        """Return the URL of this data_path's server, whether it runs or not; raises EmbeddedError."""
        folder = folders.prepare(data_path)
        return f"unix://{folders.known_socket(folder) or runtime.socket_path(folder.path)}"

    @property
    def owner(self) -> bool:
        """Whether this process runs the server; changes when it takes over."""
        return self._keeper.owner

    def close(self) -> None:
        """End the server when it is ours, else detach; returns when that is done, and does nothing twice."""
        atexit.unregister(self.close)
        # A forked child has the object, but neither the thread nor the server.
        if os.getpid() == self._pid:
            self._keeper.stop()


def find_or_lock(folder: Folder) -> tuple[Path, int | None]:
    """Return the socket of a server that answers, or the socket to use and the lock to start one.

    Waits while another process starts or stops the server; raises EmbeddedError when that takes too long.
    """
    patience = probe.Patience(process.PATIENCE, time.monotonic())
    while True:
        socket = folders.known_socket(folder) or runtime.socket_path(folder.path)
        answer = probe.ask(socket)
        if answer.state is probe.State.READY:
            return socket, None
        if answer.state is probe.State.SILENT and (lock := folders.take_lock(folder)) is not None:
            return socket, lock
        if not patience.lasts(answer, time.monotonic()):
            raise EmbeddedError(
                f"another process holds {folder.lock}, but its server does not answer at {socket}: "
                "stop that process, or set redis.url"
            )
        time.sleep(GLANCE)


def _await_first_start(keeper: Keeper) -> None:
    try:
        keeper.wait_settled()
    except BaseException:  # Ctrl-C while a long file loads: leave nothing running
        keeper.stop()
        raise
    if keeper.failure:
        keeper.join()
        raise EmbeddedError(keeper.failure)
