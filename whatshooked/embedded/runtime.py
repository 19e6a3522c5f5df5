"""The short private folder of the server's socket: a socket's path has little room, a data folder's may be long."""

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from whatshooked.errors import EmbeddedError

#: Bytes a socket path may have: sun_path is 108 on Linux, unix(7), and 104 on BSD and macOS, with a closing zero.
SOCKET_LIMIT = 107 if sys.platform == "linux" else 103

SOCKET_NAME = "valkey.sock"


def socket_path(data: Path) -> Path:
    """Return where the socket of this (resolved) data folder belongs; raises EmbeddedError when no folder will do."""
    name = folder_name(data, os.geteuid())
    for base in _bases():
        path = base / name / SOCKET_NAME
        if len(os.fsencode(path)) <= SOCKET_LIMIT and base.is_dir() and os.access(base, os.W_OK | os.X_OK):
            return path
    raise EmbeddedError(
        "no short writable folder for the embedded server's socket: set XDG_RUNTIME_DIR to one, or set redis.url"
    )


def folder_name(data: Path, user: int) -> str:
    """Return the socket folder's name, one for each data folder and user."""
    return "whatshooked-" + hashlib.sha256(f"{user}:{data}".encode(errors="surrogateescape")).hexdigest()[:8]


def _bases() -> Iterator[Path]:
    given = Path(os.environ.get("XDG_RUNTIME_DIR") or "")
    if given.is_absolute():
        yield given
    yield Path(tempfile.gettempdir())
    yield Path("/tmp")  # noqa: S108 - the folder made in it is ours alone, and make_private checks that


def make_private(folder: Path) -> None:
    """Create the socket's folder for this user alone; raises EmbeddedError when what is there is not ours."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not is_ours(folder):
            raise EmbeddedError(
                f"{folder} is a link or belongs to another user, so no socket is put there: "
                "remove it, or set XDG_RUNTIME_DIR to a folder of your own"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise EmbeddedError(
            f"cannot make {folder} for the embedded server's socket: {error.strerror}: "
            "set XDG_RUNTIME_DIR to a folder of your own"
        ) from error


def is_ours(folder: Path) -> bool:
    """Return whether this is a real folder, no link, and belongs to this user."""
    try:
        there = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(there.st_mode) and there.st_uid == os.geteuid()
