"""Several processes count in one folder: sums that never fall, and gauges of the living alone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from tests.conftest import REPO
from tests.disks import disk_of

#: Counts, shows itself, and says its slot; then it lives until its input ends, or is killed.
PROGRAM = """
import os, sys
from whatshooked import metrics
from whatshooked.metrics import folder
metrics.RETRIES.labels("h1").inc(int(sys.argv[1]))
metrics.LOOPS.labels("reader").inc()
metrics.LOOP_TURN.labels("reader").set(1000 + int(sys.argv[1]))
print(folder._Mine.number, flush=True)
sys.stdin.read()
"""
Run = Callable[[int], "Counting"]


class Counting:
    """A process that has counted."""

    def __init__(self, folder: Path, count: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(count)],
            env=os.environ | {"PYTHONPATH": str(REPO), "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.slot = int(self.process.stdout.readline())

    def kill(self) -> None:
        """Let it die without a word."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Let it end, or be gone."""
        self.process.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start a process that counts so many retries."""
    running: list[Counting] = []

    def start(count: int) -> Counting:
        running.append(Counting(tmp_path, count))
        return running[-1]

    yield start
    for one in running:
        one.end()


def shown(folder: Path) -> dict[str, float]:
    """What a scrape would show."""
    from whatshooked.metrics.folder import counts

    found = MultiProcessCollector.merge(counts(folder))  # type: ignore[no-untyped-call] # it has no types
    return {sample.name: sample.value for metric in found for sample in metric.samples if sample.labels}


def test_a_dead_process_counts_on_and_does_not_live_on(run: Run, tmp_path: Path) -> None:
    """kill -9: what it counted stays in the sum, its loops and their times do not."""
    first, second = run(5), run(7)
    assert {first.slot, second.slot} == {0, 1}
    both = shown(tmp_path)
    assert both["whatshooked_retries_total"] == 12
    assert both["whatshooked_worker_loops"] == 2
    assert both["whatshooked_loop_turn_timestamp_seconds"] == 1005
    first.kill()
    left = shown(tmp_path)
    assert left["whatshooked_retries_total"] == 12
    assert left["whatshooked_worker_loops"] == 1
    assert left["whatshooked_loop_turn_timestamp_seconds"] == 1007


def test_the_next_process_goes_on_in_its_slot(run: Run, tmp_path: Path) -> None:
    """However often one dies, the folder holds no more files, and no sum falls."""
    stays, dies = run(1), run(2)
    files = {path.name for path in tmp_path.iterdir()}
    for n in range(1, 4):
        dies.kill()
        dies = run(2)
        assert dies.slot == 1
        assert {path.name for path in tmp_path.iterdir()} == files
        found = shown(tmp_path)
        assert found["whatshooked_retries_total"] == 1 + 2 + 2 * n
        assert found["whatshooked_worker_loops"] == 2
    stays.kill()


def test_when_all_are_gone_a_new_count_begins(run: Run, tmp_path: Path) -> None:
    """Whatever lies there, also what a power cut made of it."""
    run(5).kill()
    (tmp_path / "counter_9.db").write_bytes(b"half a fi")
    run(3)
    assert shown(tmp_path)["whatshooked_retries_total"] == 3


def test_a_file_that_was_never_begun_is_no_trouble(run: Run, tmp_path: Path) -> None:
    """A process that dies between making its file and giving it a size leaves an empty one."""
    run(4)
    (tmp_path / "counter_5.db").touch()
    assert shown(tmp_path)["whatshooked_retries_total"] == 4


def test_a_fork_counts_for_itself(tmp_path: Path) -> None:
    """In a slot of its own, and its parent's is free when the parent is gone."""
    program = """
import os, sys, time
from whatshooked import metrics
from whatshooked.metrics import folder
metrics.LOOPS.labels("reader").inc()
if os.fork() == 0:
    metrics.LOOPS.labels("reader").inc()
    os.write(1, b"%d " % folder._Mine.number)
    os.read(0, 1)
    os._exit(0)
"""
    environment = os.environ | {"PYTHONPATH": str(REPO), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    reading, writing = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdin=reading, stdout=subprocess.PIPE, text=True
    )
    os.close(reading)
    assert parent.stdout is not None
    assert parent.stdout.read(2) == "1 "
    parent.wait()
    assert shown(tmp_path)["whatshooked_worker_loops"] == 1
    os.close(writing)
    parent.stdout.read()
    parent.stdout.close()


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    """It names the place and the remedy."""
    (tmp_path / "file").touch()
    environment = os.environ | {"PYTHONPATH": str(REPO), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "file" / "x")}
    command = [sys.executable, "-c", "import whatshooked.metrics"]
    said = subprocess.run(command, check=False, env=environment, capture_output=True, text=True).stderr
    assert "Not a directory: set PROMETHEUS_MULTIPROC_DIR to a folder of this user's own" in said


def test_without_a_folder_a_process_shows_its_own(tmp_path: Path) -> None:
    """As in a test, or in a command."""
    program = (
        "from whatshooked import metrics; from whatshooked.metrics import shown, facts;"
        "metrics.RETRIES.labels('h1').inc(2);"
        "print(shown.exposition([facts.Known(facts.HOOK_DUE, ('h1',), 4)]).decode())"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PROMETHEUS_MULTIPROC_DIR"}
    said = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env=environment | {"PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    ).stdout
    assert 'whatshooked_retries_total{hook="h1"} 2.0' in said
    assert 'whatshooked_hook_due{hook="h1"} 4.0' in said


def test_a_disk_that_fills_up_stops_no_counting(tmp_path: Path) -> None:
    """The room of the counts is theirs from the start: what another fills the disk with does not kill who counts."""
    program = PROGRAM + "for n in range(1000): metrics.RETRIES.labels(f'hook-{n}').inc()\nprint('counted')"
    with disk_of("16m", tmp_path / "small") as small:
        environ = os.environ | {"PYTHONPATH": str(REPO), "PROMETHEUS_MULTIPROC_DIR": str(small)}
        command = [sys.executable, "-c", program, "1"]
        with subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "0\n"
            with pytest.raises(OSError, match="No space left"), (small / "other").open("wb", buffering=0) as other:
                while other.write(b"." * 65536):
                    pass
            assert process.communicate()[0] == "counted\n"
            assert process.returncode == 0
        full = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert f"{small}: No space left on device" in full.stderr.splitlines()[-1]
