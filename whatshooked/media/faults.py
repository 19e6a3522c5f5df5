"""What goes wrong with a disk or a bucket, in one line with the place and the remedy."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from whatshooked import disk
from whatshooked.errors import StoreUnavailable

_REMEDIES = disk.remedies(
    "media.data_path",
    full="make room there, or lower media.max_age_days or media.max_total_bytes",
    denied="let the user of this process write there, or set media.data_path",
)


def of_disk(folder: Path, error: OSError) -> StoreUnavailable:
    """Return the fault of a folder of files."""
    return StoreUnavailable(disk.fault(f"media.data_path {folder}", error, _REMEDIES))


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """Raise what the disk says as StoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise of_disk(folder, error) from error


@contextlib.contextmanager
def refused(url: str) -> Iterator[None]:
    """Raise what a bucket says as StoreUnavailable."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise of_bucket(url, error) from None  # its text is long, and shows keys


def of_bucket(url: str, error: Exception) -> StoreUnavailable:
    """Return the fault of a bucket; of what it says only the status is told."""
    found = re.search(r"status code: (\d{3})", str(error))
    status = int(found[1]) if found else 0
    if status in (401, 403) or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        text = "refuses our credentials; check media.storage_options, and that they may list, read, write and delete"
    elif status == 404 or isinstance(error, FileNotFoundError):
        text = "there is no such bucket; make it, or mend media.storage"
    else:
        said = f"answers HTTP {status}" if status else "does not answer"
        text = f"{said}; see whether it can be reached from here, and media.storage_options"
    return StoreUnavailable(f"media.storage {url}: {text}")
