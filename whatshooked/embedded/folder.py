"""The server's own folder in message_cache.data_path: who may start it (lock) and where it listens (state).

The lock's descriptor is handed on to the server, so it stays held until both the owner and the server are gone:
nobody can start a second server on the same files.
"""

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from whatshooked.embedded import faults, runtime
from whatshooked.errors import EmbeddedError

#: Bytes after which the server's log is put aside at the next start; one older log is kept.
LOG_LIMIT = 10_000_000


@dataclass(frozen=True)
class Folder:
    """`<data_path>/valkey`; everything beside it belongs to somebody else and is left alone."""

    #: As the configuration has it, for messages.
    data_path: Path
    #: The server's folder, absolute and without links.
    path: Path

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.path / "valkey.log"

    @property
    def lock(self) -> Path:
        """The file whose lock makes an owner."""
        return self.path / "lock"

    @property
    def state(self) -> Path:
        """Where the owner writes its socket down for those who attach."""
        return self.path / "state.json"


def inside(data_path: Path) -> Path:
    """Return the server's folder in a `message_cache.data_path`."""
    return data_path / "valkey"


def prepare(data_path: Path) -> Folder:
    """Create the server's folder; raises EmbeddedError when it cannot be used."""
    folder = Folder(data_path, inside(Path(os.path.realpath(data_path))))
    try:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.path.chmod(0o700)
    except OSError as error:
        raise EmbeddedError(faults.of_folder(data_path, error)) from error
    return folder


def old_files_note(folder: Folder) -> tuple[str, ...]:
    """Return what to say about files in data_path that are not the server's: one line or none; raises EmbeddedError."""
    try:
        with os.scandir(folder.path.parent) as found:
            count = sum(item.name != folder.path.name for item in found)
    except OSError as error:
        raise EmbeddedError(faults.of_folder(folder.data_path, error)) from error
    if not count:
        return ()
    files, are = ("1 file", "is") if count == 1 else (f"{count} files", "are")
    return (f"{files} of an earlier program in {folder.data_path} {are} left alone",)


def put_log_aside(folder: Folder) -> int:
    """Rename a log that has grown over LOG_LIMIT; return the bytes in the log that is written to next."""
    size = folder.log.stat().st_size if folder.log.exists() else 0
    if size <= LOG_LIMIT:
        return size
    folder.log.replace(folder.log.with_suffix(".log.1"))
    return 0


_held: set[int] = set()


def take_lock(folder: Folder) -> int | None:
    """Return the held lock's descriptor, None while somebody else holds it; raises EmbeddedError."""
    try:
        lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedError(faults.of_folder(folder.data_path, error)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise EmbeddedError(faults.of_folder(folder.data_path, error)) from error
    _held.add(lock)
    return lock


def release(lock: int) -> None:
    """Give the lock back; it stays held while a server that was handed it lives."""
    _held.discard(lock)
    os.close(lock)


def _forget_locks() -> None:
    """Close the locks in a forked child: they are the parent's, and must not outlive it there."""
    for lock in _held:
        os.close(lock)
    _held.clear()


os.register_at_fork(after_in_child=_forget_locks)


def write_state(folder: Folder, socket: Path, server_pid: int) -> None:
    """Write down where the server listens; raises EmbeddedError when the disk does not take it."""
    text = json.dumps({"folder": str(folder.path), "socket": str(socket), "server_pid": server_pid})
    new = folder.state.with_suffix(".new")
    try:
        new.write_text(text)
        new.replace(folder.state)
    except OSError as error:
        raise EmbeddedError(faults.of_folder(folder.data_path, error)) from error


def known_socket(folder: Folder) -> Path | None:
    """Return the socket that the last owner wrote down, None when it is no use here.

    Asked first, because two processes may have different ideas of the runtime folder. Copied files name the
    original's folder: following those would lead to a server with other data.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads(folder.state.read_text())
        socket = Path(state["socket"])
        if state["folder"] == str(folder.path) and runtime.is_ours(socket.parent):
            return socket
    return None
