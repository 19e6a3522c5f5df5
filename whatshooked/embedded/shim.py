"""Become the server, or another child process, on Linux tied to the life of the thread that started us.

Run by path under `python -I -S` (see process.py), so it imports nothing of ours and starts in some 20 ms.
"""

import ctypes
import os
import signal
import sys

#: <linux/prctl.h>; the setting survives exec, see prctl(2).
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Exec the command in `arguments[1:]`; `arguments[0]` is the owner's pid."""
    owner, *command = arguments
    # A mask inherited from the owner's thread would keep SIGTERM from the server.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # A reload may be asked for before a process listens for it: that must not end it. Ignoring survives exec.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if sys.platform == "linux":
        die_with(int(owner))
    os.execv(command[0], command)  # noqa: S606 - no shell wanted: the command is the owner's own list


def die_with(owner: int) -> None:
    """Ask the kernel for SIGTERM when the owner goes; exit when it went before we could ask."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != owner:
        sys.exit("the owner is gone")


if __name__ == "__main__":
    main(sys.argv[1:])
