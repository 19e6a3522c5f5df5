"""What goes wrong with the folder of the event log, in one line with the place and the remedy."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from whatshooked import disk
from whatshooked.errors import LogUnavailable

_NO_LOCKS = "the file system has no locks (flock): set event_logger.file_dir to a local disk"
_REMEDIES = {
    **disk.remedies(
        "event_logger.file_dir",
        full="make room there, or lower event_logger.file.max_age_days or event_logger.file.max_bytes",
        denied="let the user of this process read and write there, or set event_logger.file_dir",
    ),
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
        raise LogUnavailable(disk.fault(f"event_logger.file_dir {folder}", error, _REMEDIES)) from error
