"""What the server's socket answers: nothing, that it is loading, or that it is ready."""

import socket
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from whatshooked.embedded import runtime

#: Seconds for a connection and for one answer; a server busy with one huge record while loading counts as silent.
TIMEOUT = 2.0


class State(Enum):
    """How far the server is."""

    SILENT = "silent"
    LOADING = "loading"
    READY = "ready"


@dataclass(frozen=True)
class Answer:
    """One answer of the socket."""

    state: State
    #: Bytes of the append-only file read so far, while LOADING.
    loaded: int = 0


def ask(path: Path) -> Answer:
    """Return what the server at this socket says to PING; a stale socket file is SILENT.

    A socket in a folder that is not ours is not asked: somebody else may have put it there to be sent our events.
    """
    if not runtime.is_ours(path.parent):
        return Answer(State.SILENT)
    try:
        pong = command(path, b"PING")
        if pong.startswith(b"+PONG"):
            return Answer(State.READY)
        if pong.startswith(b"-LOADING"):
            return Answer(State.LOADING, loaded_bytes(command(path, b"INFO persistence")))
    except (OSError, ValueError):
        return Answer(State.SILENT)
    return Answer(State.SILENT)


def command(path: Path, line: bytes) -> bytes:
    """Send one inline command and return its answer (b"" when the server hung up); raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(TIMEOUT)
        link.connect(str(path))
        link.sendall(line + b"\r\n")
        with link.makefile("rb") as reader:
            head = reader.readline()
            return reader.read(int(head[1:])) if head.startswith(b"$") else head


def loaded_bytes(info: bytes) -> int:
    """Return `loading_loaded_bytes` of INFO's answer, 0 when it is not there."""
    for line in info.splitlines():
        name, _, value = line.partition(b":")
        if name == b"loading_loaded_bytes":
            return int(value)
    return 0


class Patience:
    """Waits `limit` seconds for an answer, and starts anew whenever a loading server got further."""

    def __init__(self, limit: float, now: float) -> None:
        self._limit = limit
        self._since = now
        self._loaded = 0

    def lasts(self, answer: Answer, now: float) -> bool:
        """Return whether to go on waiting after this answer, at this time in seconds."""
        if answer.loaded != self._loaded:
            self._loaded, self._since = answer.loaded, now
        return now - self._since < self._limit
