"""What docs/operations.md says of the process's own log, and the unit for systemd."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import REPO, Gateway
from tests.streams import until
from tests.wanted import lacking

UNIT = REPO / "ops/whatshooked.service"


async def test_the_log_goes_on_after_it_was_cut(make_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    """Appended to and cut as by logrotate's `copytruncate`, the file gets the next lines, from its start."""
    found = make_gateway()
    found.write()
    log, counts = tmp_path / "whatshooked.log", tmp_path / "counts"
    counts.mkdir()
    command = f"exec {sys.executable} -m whatshooked serve -c {found.path} 2>>{log}"
    environment = os.environ | {"PYTHONPATH": str(REPO), "PROMETHEUS_MULTIPROC_DIR": str(counts)}
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", command, env=environment, cwd=tmp_path)
    try:
        await until(lambda: _says(log, "Listening"), timeout=30)
        size = log.stat().st_size
        shutil.copy(log, tmp_path / "whatshooked.log.1")
        os.truncate(log, 0)
        process.send_signal(signal.SIGHUP)
        await until(lambda: _says(log, "Config reloaded"))
        assert b"\0" not in log.read_bytes() and b"Listening" not in log.read_bytes()
        assert (tmp_path / "whatshooked.log.1").stat().st_size == size
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def _says(log: Path, text: str) -> bool:
    return text in await asyncio.to_thread(lambda: log.read_text() if log.exists() else "")


def test_the_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing in it, with a program in the place of ours."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        lacking("systemd-analyze is not installed")
    unit = tmp_path / UNIT.name
    text = UNIT.read_text()
    assert text.count("/opt/whatshooked/bin/whatshooked") == 1
    unit.write_text(text.replace("/opt/whatshooked/bin/whatshooked", sys.executable))
    said = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in said.stderr.splitlines() if UNIT.name in line]
    assert (said.returncode, ours) == (0, [])


def test_the_unit_stops_in_order() -> None:
    """The first process alone is told, and has longer than the supervisor needs at most."""
    from whatshooked.cli.supervisor import PATIENCE

    told = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] not in "#[")
    assert told["KillMode"] == "mixed"
    assert float(told["TimeoutStopSec"]) > PATIENCE + 10
