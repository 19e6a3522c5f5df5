"""A disk of a test's own; where none can be mounted the test is skipped with the reason."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.disks import small_disk


@contextlib.contextmanager
def disk_of(size: str, folder: Path) -> Iterator[Path]:
    """Give a folder on a disk of so much, as mount takes it."""
    with small_disk(folder, size) as missing:
        if missing:
            pytest.skip(f"no disk can be mounted here, run as root: {missing}")
        yield folder
