"""A network of a test's own, in which ports, bridges and address translation disturb nobody."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and the threads and processes it starts from here on, into an empty network with a loopback.

    The network is gone with its last process; raises OSError where that is not allowed.
    """
    system = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        _succeed(system.unshare(_CLONE_NEWNET))
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            _succeed(system.setns(before.fileno(), _CLONE_NEWNET))


@contextlib.contextmanager
def own_mounts(hidden: Path) -> Iterator[list[str]]:
    """Give the words that, before a command, let it run among mounts of this block's own, in which a folder is empty.

    A process of its own holds them, since a thread of ours could not come back from there.
    """
    hidden.mkdir(parents=True, exist_ok=True)
    script = f"mount -t tmpfs tmpfs {hidden} && echo made && exec cat"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        try:
            if not holder.stdout.readline():
                raise OSError("no mounts of our own: see what unshare or mount says above")
            yield ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt"]
        finally:
            holder.stdin.close()


def _succeed(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
