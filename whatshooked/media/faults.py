"""What goes wrong with a disk, in one line with the place and the remedy."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from whatshooked.errors import StoreUnavailable

_FULL = "make room there, or lower media.max_age_days or media.max_total_bytes"
_DENIED = "let the user of this process write there, or set media.data_path"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _DENIED,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENOTDIR: "a file stands where a folder should be: move it away, or set media.data_path",
    errno.EMFILE: "raise the process's limit of open files (ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files",
}


def of_disk(folder: Path, error: OSError) -> StoreUnavailable:
    """Return the fault of a folder of files."""
    remedy = _REMEDIES.get(error.errno or 0, "see the machine's log about this disk")
    return StoreUnavailable(f"media.data_path {folder}: {error.strerror or 'input/output error'}; {remedy}")


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """Raise what the disk says as StoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise of_disk(folder, error) from error
