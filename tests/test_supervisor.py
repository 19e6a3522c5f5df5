"""The supervisor of child processes: how it stops, and what it does with one that does not come up."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.test_setup import Process, descendants, ended, lives, wait_for

#: Says its pid and lives on; SIGTERM does not end it.
#: One write a line: two of them speak at the same moment.
STUBBORN = (
    "import os, signal, time; signal.signal(15, signal.SIG_IGN); "
    "os.write(1, f'up {os.getpid()}\\n'.encode()); time.sleep(60)"
)
WILLING = "import time; print('up', flush=True); time.sleep(60)"
#: Supervises what is given as arguments, and is quick about restarts.
PROGRAM = """
import sys
from whatshooked import logs
from whatshooked.cli import supervisor
supervisor._BACKOFF, supervisor._EARLY = (0.02, 0.02), {early}
logs.setup()
children = [supervisor.Child(f"child-{{i}}", [sys.executable, "-c", one]) for i, one in enumerate(sys.argv[1:])]
sys.exit(supervisor.Supervisor(children).run())
"""


@pytest.fixture
def supervise() -> Iterator[Callable[..., Process]]:
    """Start a supervisor of some programs; `early` is the seconds within which a death is an early one."""
    started: list[Process] = []

    def start(*programs: str, early: float = 3.0) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(early=early), *programs],
            env=os.environ | {"PYTHONPATH": str(REPO)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        for pid in (process.pid, *descendants(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def test_ctrl_c_says_what_is_waited_for_and_a_second_one_ends_at_once(supervise: Callable[..., Process]) -> None:
    """One line at once; then children that do not stop are killed, and the exit code is that of an orderly end."""
    process = supervise(STUBBORN, STUBBORN)
    said = wait_for(process, r"(?s)up \d+\n.*up \d+\n")
    pids = [int(line.split()[1]) for line in said.splitlines()]
    process.send_signal(signal.SIGINT)
    said = wait_for(process, "at once\n")
    assert "Stopping: deliveries in flight may take 20 s more; Ctrl-C again ends at once" in said
    assert all(map(lives, pids))
    code, said = ended(process)
    assert (code, said) == (0, "")
    assert not any(map(lives, pids))


def test_a_service_manager_is_not_told_of_ctrl_c(supervise: Callable[..., Process]) -> None:
    """SIGTERM has its line too; children that stop when asked leave no other."""
    process = supervise(WILLING)
    wait_for(process, "up\n")
    code, said = ended(process, signal.SIGTERM)
    assert code == 0
    (line,) = said.splitlines()
    assert line.endswith("Stopping: deliveries in flight may take 20 s more")


def test_a_child_that_never_comes_up_stops_all(supervise: Callable[..., Process]) -> None:
    """Five early deaths in a row: one line with name and code, 69; what it said is shown once."""
    process = supervise(WILLING, "raise ImportError('half an install')")
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 69
    assert said.count("ImportError: half an install") == 1
    assert "Process does not come up, stopping all: see what it said at first process=child-1 code=1" in said
    assert said.count("starting it again") == 4


def test_a_child_that_comes_up_at_a_later_try_is_heard(supervise: Callable[..., Process], tmp_path: Path) -> None:
    """What it says is kept back until it has outlived an early death, and shown from then on."""
    mark = tmp_path / "died"
    program = f"""
import pathlib, sys, time
mark = pathlib.Path({str(mark)!r})
if not mark.exists(): mark.touch(); sys.exit(3)
print("second try", file=sys.stderr, flush=True); time.sleep(1.2)
print("and on", file=sys.stderr, flush=True); time.sleep(60)
"""
    process = supervise(program, early=1.0)
    assert "code=3" in wait_for(process, r"(?s)second try.*and on\n")
    assert ended(process)[0] == 0


def test_an_early_death_of_another_kind_is_heard(supervise: Callable[..., Process], tmp_path: Path) -> None:
    """A config that turns out to be refused at the second try: its fault is shown, and all stops with its code."""
    mark = tmp_path / "died"
    program = f"""
import pathlib, sys
mark = pathlib.Path({str(mark)!r})
if not mark.exists(): mark.touch(); sys.exit(3)
print("config.json: hooks: at fault", file=sys.stderr); sys.exit(78)
"""
    process = supervise(program)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 78
    assert said.splitlines()[-1] == "config.json: hooks: at fault"
