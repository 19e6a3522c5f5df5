"""The demo's folder, for one run at a time: two would write one config and share a queue."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from whatshooked.errors import StartError


@dataclass(frozen=True)
class Held:
    """The folder while this process holds it; the lock file says who that is."""

    path: Path
    lock: int

    def tell(self, address: str) -> None:
        """Write down who holds the folder and where it is reached; raises OSError."""
        os.truncate(self.lock, 0)
        os.pwrite(self.lock, f"pid {os.getpid()}, {address}".rstrip(", ").encode(), 0)


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Held]:
    """Hold the folder until the block ends, made if there is none; raises StartError with the remedy."""
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with usable(folder):
            _take(lock, folder)
            held = Held(folder, lock)
            held.tell("")
        yield held
    finally:
        os.close(lock)


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses in the folder into a StartError."""
    try:
        yield
    except OSError as error:
        remedy = "let this user write there, or start in a folder of your own"
        raise StartError(f"the demo cannot use {error.filename or folder} ({error.strerror}): {remedy}") from error


def _take(lock: int, folder: Path) -> None:
    """Lock the folder; raises StartError when another process has it, OSError when it cannot be locked."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = os.pread(lock, 200, 0).decode(errors="replace") or f"see {folder / 'lock'}"
        raise StartError(f"a demo runs here already ({who}): stop it first, or start in another folder") from error
