"""A place of a test's own on this machine: ports, bridges, address translation and mounts that disturb nobody."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000


@contextlib.contextmanager
def own_network(*hidden: Path) -> Iterator[None]:
    """Move this thread, and what it starts from here on, into an empty network with a loopback, and mounts of its own.

    The folders `hidden` are empty ones there. Network and mounts are gone with their last process. Raises OSError where
    this is not allowed.
    """
    system, folder = ctypes.CDLL(None, use_errno=True), Path.cwd()
    with Path("/proc/thread-self/ns/net").open() as network, Path("/proc/thread-self/ns/mnt").open() as mounts:
        _succeed(system.unshare(_CLONE_NEWNET | _CLONE_NEWNS))
        try:
            _run("mount", "--make-rprivate", "/")
            for place in hidden:
                place.mkdir(parents=True, exist_ok=True)
                _run("mount", "-t", "tmpfs", "tmpfs", str(place))
            _run("ip", "link", "set", "lo", "up")
            yield
        finally:
            _succeed(system.setns(network.fileno(), _CLONE_NEWNET))
            _succeed(system.setns(mounts.fileno(), _CLONE_NEWNS))
            os.chdir(folder)  # it has led to the root since


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _succeed(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
