"""What went wrong with the embedded server, as one line for people: the place and the remedy."""

import errno
import re
import signal
from pathlib import Path

#: What an OSError on the data folder means, and what to do.
_OS_REMEDIES = {
    errno.EACCES: "this user may not write there: change its owner or choose another message_cache.data_path",
    errno.EPERM: "it belongs to another user: change its owner or choose another message_cache.data_path",
    errno.EROFS: "the file system is read-only: choose another message_cache.data_path",
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EEXIST: "there is a file of that name: name a folder in message_cache.data_path",
    errno.ENOTDIR: "part of it is a file: name a folder in message_cache.data_path",
    errno.ENOLCK: "its file system cannot lock files: choose a local disk for message_cache.data_path",
    errno.EOPNOTSUPP: "its file system cannot lock files: choose a local disk for message_cache.data_path",
}

#: What a line of the server's log means; the first that is found in the last start's lines counts.
_LOG_REMEDIES = (
    (
        "Bad file format reading the append only file",
        "its append-only file is damaged: copy {folder} away, then cut the file at the damage with "
        "`bash -c 'exec -a valkey-check-aof {program} --fix {folder}/appendonlydir/appendonly.aof.manifest'`",
    ),
    ("No space left on device", "the disk of {folder} is full: free some space"),
    (
        "Can't recover from AOF write error",
        "it could not write in {folder}: the disk is probably full, free some space",
    ),
    ("Permission denied", "it may not write in {folder}: change the owner of what is there to this user"),
    ("Read-only file system", "the file system of {folder} is read-only: choose another message_cache.data_path"),
    ("Can't handle RDB format version", "a newer server wrote {folder}: run that version again"),
    ("Out Of Memory", "the machine has no memory left for it: free some"),
)

#: Start of a log line: pid, role, date and time.
_LOG_HEAD = re.compile(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [*#.-] ")

#: How many of the log's last lines an error without a known remedy shows.
_SHOWN = 3


def of_folder(path: Path, error: OSError) -> str:
    """Return the line for an error of the operating system in the data folder."""
    why = _OS_REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return f"message_cache.data_path: cannot use {path}: {why}"


def of_log(log: Path, lines: list[str], program: Path) -> str:
    """Return why the server would not run, from what it logged since its start."""
    for sign, remedy in _LOG_REMEDIES:
        if any(sign in line for line in lines):
            return remedy.format(folder=log.parent, program=program)
    last = " / ".join(_LOG_HEAD.sub("", line) for line in lines[-_SHOWN:]) or "it logged nothing"
    return f"{last} (see {log})"


def of_signal(number: int) -> str:
    """Return the name of a signal that ended a process: "SIGKILL", or "signal 35" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
