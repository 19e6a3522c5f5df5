"""Small disks of their own, which tests and faults can fill."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[str]:
    """Make a folder with a disk of so much (as mount takes it) at it; yields why that cannot be had, "" when it is."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    try:
        yield done.stderr.decode().strip() or "mount says no" if done.returncode else ""
    finally:
        if not done.returncode:
            subprocess.run(["umount", str(folder)], check=True)
