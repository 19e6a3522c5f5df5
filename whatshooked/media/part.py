"""A file on its way in: a temporary file that nobody sees, hashed as it is written, whole or gone in the end.

A lock on it says that its process lives: what a kill left behind has none, and upkeep removes it.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from msgspec import structs

from whatshooked.media.faults import told
from whatshooked.media.store import About
from whatshooked.media.threads import beside

#: Bytes that wait in memory: the way to another thread costs more than a small write.
BUFFER = 256 * 1024

#: Makes a whole temporary file visible, in the thread that wrote it: its path, account, file name, what is known of it.
Here = Callable[[Path, str, str, About], None]
#: The same for what is not this disk's, beside the event loop.
There = Callable[[Path, str, str, About], Awaitable[None]]


class Part:
    """One file being received; an async context manager that leaves nothing behind unless `keep` was called.

    What fits into the buffer goes the way to another thread once: there it is written, made safe and made visible.
    """

    def __init__(self, folder: Path, *, here: Here | None = None, there: There | None = None) -> None:
        self._folder = folder
        self._path = folder / uuid.uuid4().hex
        self._file: IO[bytes] | None = None
        self._here = here
        self._there = there
        self._hash = hashlib.sha256()
        self._buffer = bytearray()
        self._written = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            await beside(self._discard)

    @property
    def size(self) -> int:
        """Bytes given so far."""
        return self._written + len(self._buffer)

    def digest(self) -> str:
        """Return the SHA-256 (hex) of all that was given so far."""
        found = self._hash.copy()
        found.update(self._buffer)
        return found.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Add bytes; raises StoreUnavailable when the disk does not take them."""
        self._buffer += chunk
        if len(self._buffer) >= BUFFER:
            with told(self._folder.parent):
                await beside(self._write, self._taken())

    async def keep(self, account_id: str, filename: str, about: About) -> None:
        """Make the file visible, all of it at once; again for one that is there already. Raises StoreUnavailable."""
        about = structs.replace(about, sha256=self.digest(), size=self.size)  # what is shared is named by this hash
        with told(self._folder.parent):
            await beside(self._finish, self._taken(), account_id, filename, about)
        if self._there is not None:
            await self._there(self._path, account_id, filename, about)

    def _taken(self) -> bytearray:
        data, self._buffer = self._buffer, bytearray()
        self._written += len(data)
        return data

    def _write(self, data: bytearray) -> IO[bytes]:
        if self._file is None:
            self._file = _create(self._path)
        self._hash.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        return self._file

    def _finish(self, data: bytearray, account_id: str, filename: str, about: About) -> None:
        file = self._write(data)
        os.fsync(file.fileno())
        if os.fstat(file.fileno()).st_size != self._written:
            raise OSError(errno.EIO, "the file is not what was written to it")
        if self._here is not None:
            self._here(self._path, account_id, filename, about)
            self._discard()

    def _discard(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def _create(path: Path) -> IO[bytes]:
    try:
        file = path.open("xb", buffering=0)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb", buffering=0)
    with contextlib.suppress(OSError):  # where there are no locks age alone counts
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return file


def clear(folder: Path, before: float) -> None:
    """Remove temporary files older than `before` (seconds since 1970) whose process is gone; raises OSError."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        for item in found:
            with contextlib.suppress(FileNotFoundError):
                if item.stat(follow_symlinks=False).st_mtime < before and _is_left(item.path):
                    Path(item.path).unlink()


def _is_left(path: str) -> bool:
    with Path(path).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
    return True
