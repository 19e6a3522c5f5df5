"""What goes wrong with the folder of the event log, in one line with the place and the remedy."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from whatshooked.errors import LogUnavailable

_FULL = "make room there, or lower event_logger.file.max_age_days or event_logger.file.max_bytes"
_DENIED = "let the user of this process read and write there, or set event_logger.file_dir"
_NO_LOCKS = "the file system has no locks (flock): set event_logger.file_dir to a local disk"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _DENIED,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENOTDIR: "a file stands where a folder should be: move it away, or set event_logger.file_dir",
    errno.EEXIST: "a file stands where a folder should be: move it away, or set event_logger.file_dir",
    errno.EISDIR: "a folder stands where a file should be: move it away, or set event_logger.file_dir",
    errno.EMFILE: "raise the process's limit of open files (ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files",
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
}


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """Raise what the disk says as LogUnavailable."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "see the machine's log about this disk")
        reason = error.strerror or "input/output error"
        raise LogUnavailable(f"event_logger.file_dir {folder}: {reason}; {remedy}") from error
