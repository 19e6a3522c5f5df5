"""The event log's target `file`: every row once, whatever happens to the process, the disk or the file."""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.disks import disk_of
from tests.log_files import DAY, NOON, Kill, close_all, kept, logs, numbered, row, seen, shown, target
from whatshooked.config import KeptFiles
from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.files import FileTarget, disk, position
from whatshooked.eventlog.files.position import NAME as POSITION
from whatshooked.eventlog.files.position import Position
from whatshooked.eventlog.row import Row, Wanted

__all__ = ["logs"]
pytestmark = pytest.mark.usefixtures("logs")

#: Writes numbered rows in batches, from what its ledger says is written to a number, as the event logger does.
WRITER = """
import sys
from pathlib import Path
from tests.log_files import numbered, target

folder, ledger, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
done = int(ledger.read_text()) if ledger.exists() else 0
log = target(folder, rotate_bytes=65_536)
while done < most:
    count = min(1 + done % 170, most - done)
    log.write(numbered(done, count))
    done += count
    ledger.with_suffix(".new").write_text(str(done))
    ledger.with_suffix(".new").replace(ledger)
    print(done, flush=True)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB; needs the right to mount."""
    with disk_of("1m", tmp_path / "disk") as folder:
        yield folder
        close_all()


def test_rows_are_lines_in_order(tmp_path: Path) -> None:
    """5,000 rows are 5,000 lines of JSON in the order written, without keys that are empty."""
    rows = numbered(0, 5000)
    log = target(tmp_path / "new" / "events")
    assert not (tmp_path / "new").exists()
    log.write(rows[:3000])
    log.write(rows[3000:])
    log.close()
    lines = (tmp_path / "new" / "events" / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[7]) == {
        "id": f"{NOON + 7}-0",
        "at": "2025-10-09T12:00:00.007Z",
        "type": "message.text",
        "account_id": "business",
        "text": "row 7",
    }
    assert [json.loads(line)["text"] for line in lines] == [f"row {n}" for n in range(5000)]
    assert kept(tmp_path / "new" / "events") == rows


def test_odd_text_stays_on_its_line(tmp_path: Path) -> None:
    """Line ends, NUL and half a character lose neither the row nor its neighbours."""
    odd = 'a\nb\r\u2028\x00"\\ \U0001f600'
    target(tmp_path).write([row(NOON, text=odd), row(NOON, 1, text="\ud83d half"), row(NOON, 2)])
    assert [r.text for r in kept(tmp_path)] == [odd, "? half", ""]


def test_what_is_kept_is_left_out(tmp_path: Path) -> None:
    """A batch again, in part, or with newer rows behind it; each shard has its own order."""
    log = target(tmp_path)
    other = [row(NOON - 5000 + n, shard="acc:1") for n in range(3)]
    log.write(numbered(0, 10))
    log.write(other + numbered(5, 10))
    log.write(numbered(0, 15))
    target(tmp_path).write(other + numbered(14, 2))
    assert kept(tmp_path) == other + numbered(0, 16)


@pytest.mark.parametrize("again", [30, 45])
def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    """Also amid a write, and where the batch fills several files; it comes again, alone or with newer rows."""
    kill = Kill(monkeypatch)
    rows = [*numbered(0, 900), *numbered(0, 45, start=NOON + 1000, data="x" * 6000)]
    first, batch, more = rows[:900], rows[900:930], rows[900 : 900 + again]
    for step in kill.steps():
        folder = tmp_path / str(step)
        log = target(folder, rotate_bytes=100_000)
        log.write(first)
        killed = kill.at(step, lambda log=log: log.write(batch))  # type: ignore[misc]
        for _ in range(2):
            target(folder, rotate_bytes=100_000).write(more)
        assert kept(folder) == [*first, *more]
        assert all(line.endswith("}") for line in (folder / "events.jsonl").read_text().splitlines())
        if not killed:
            assert step > 15
            break


def test_without_its_position_a_folder_is_learnt_from_its_files(tmp_path: Path) -> None:
    """Also what stands in an ended file; and one that is spoilt is none."""
    rows = numbered(0, 2000)
    log = target(tmp_path, rotate_bytes=65_536)
    for start in range(0, 2000, 100):
        log.write(rows[start : start + 100])
    log.close()
    assert len(shown(tmp_path)) > 2
    (tmp_path / POSITION).unlink()
    target(tmp_path, rotate_bytes=65_536).write(rows)
    (tmp_path / POSITION).write_bytes(b"{")
    target(tmp_path, rotate_bytes=65_536).write(rows)
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / POSITION).unlink()
    left = len(kept(tmp_path))
    target(tmp_path, rotate_bytes=65_536).write(rows)
    assert 0 < left < 2000 and kept(tmp_path) == rows


def test_a_torn_line_is_cut_off_and_a_whole_one_kept(tmp_path: Path) -> None:
    """What a kill left of a write is not glued to the next row; a row that only lacks its end stays."""
    log = target(tmp_path)
    log.write(numbered(0, 3))
    file = tmp_path / "events.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    assert kept(tmp_path) == numbered(0, 2)
    log.write(numbered(3, 1))
    assert kept(tmp_path) == [*numbered(0, 2), *numbered(3, 1)]
    file.write_bytes(whole[:-1])
    target(tmp_path).write(numbered(2, 3))
    assert kept(tmp_path) == [*numbered(0, 3), *numbered(4, 1)]


def test_killed_at_random_and_resumed_no_row_is_lost_or_doubled(tmp_path: Path) -> None:
    """Ten times a `kill -9` amid batches, files that end and are compressed; the ledger is a batch behind at most."""
    folder, ledger, most = tmp_path / "events", tmp_path / "ledger", 12_000
    chance = random.Random(7)
    for kills_left in reversed(range(11)):
        program = [sys.executable, "-c", WRITER, str(folder), str(ledger), str(most)]
        with subprocess.Popen(program, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(2, 9) if kills_left else most):
                if not process.stdout.readline():
                    break
            if kills_left:
                for _ in range(chance.randrange(20_000)):
                    pass
                process.send_signal(signal.SIGKILL)
            process.stdout.read()
        assert process.returncode == (-signal.SIGKILL if kills_left else 0)
    assert kept(folder) == numbered(0, most)
    text = b"".join(
        gzip.decompress((folder / name).read_bytes()) if name.endswith(".gz") else (folder / name).read_bytes()
        for name in shown(folder)
        if f"{name}.gz" not in shown(folder)
    )
    assert len([json.loads(line) for line in text.splitlines()]) == most


def test_two_writers_take_turns(tmp_path: Path) -> None:
    """Each sees what the other kept, though both have the files open: batches that both bring are kept once."""
    one, two = target(tmp_path, rotate_bytes=65_536), target(tmp_path, rotate_bytes=65_536)
    for start in range(0, 3000, 100):
        for log in (one, two):
            log.write(numbered(start, 150))
    assert kept(tmp_path) == numbered(0, 3050)


def test_a_writer_knows_what_another_kept_and_logrotate_took(tmp_path: Path) -> None:
    """Though no file tells them apart from those it left."""
    one, two = target(tmp_path), target(tmp_path)
    one.write(numbered(0, 10))
    one.retain(NOON + DAY)
    two.write(numbered(10, 10))
    (tmp_path / "events.jsonl").unlink()
    one.write(numbered(10, 20))
    assert kept(tmp_path) == [*numbered(0, 10), *numbered(20, 10)]


def test_a_new_file_is_not_taken_for_a_removed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may give it the same inode: before it is made, the position says that there is none."""
    create, known = disk.create, list[int]()

    def looked(path: Path, flags: int) -> int:
        if path.name == "events.jsonl":
            known.append((position.load(tmp_path) or Position(7)).inode)
        return create(path, flags)

    monkeypatch.setattr(disk, "create", looked)
    log = target(tmp_path, rotate_bytes=65_536)
    log.write(numbered(0, 10))
    log.retain(NOON + DAY)
    log.write(numbered(10, 2000))
    (tmp_path / "events.jsonl").unlink()
    log.write(numbered(2010, 10))
    assert len(known) > 4 and set(known) == {0}


def test_a_file_that_was_renamed_away_is_followed_by_a_new_one(tmp_path: Path) -> None:
    """As logrotate does; what it keeps in the folder is read as well, compressed or not, and not written again."""
    log = target(tmp_path)
    file = tmp_path / "events.jsonl"
    log.write(numbered(0, 10))
    file.rename(tmp_path / "events.jsonl.1")
    log.write(numbered(5, 10))
    (tmp_path / "events.jsonl.2.gz").write_bytes(gzip.compress((tmp_path / "events.jsonl.1").read_bytes()))
    file.replace(tmp_path / "events.jsonl.1")
    target(tmp_path).write(numbered(10, 10))
    assert seen(tmp_path) == numbered(0, 20)
    assert seen(tmp_path, Wanted()) == numbered(0, 20)[::-1]
    assert shown(tmp_path) == ["events.jsonl", "events.jsonl.1", "events.jsonl.2.gz"]


@pytest.mark.parametrize("how", ["moved", "emptied"])
def test_rows_of_a_killed_batch_are_known_wherever_the_file_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Killed before the position tells of them, then logrotate was there: the batch comes again."""
    kill = Kill(monkeypatch)
    for step in kill.steps():
        folder = tmp_path / str(step)
        target(folder).write(numbered(0, 10))
        killed = kill.at(step, lambda folder=folder: target(folder).write(numbered(10, 10)))  # type: ignore[misc]
        if how == "moved":
            (folder / "events.jsonl").rename(folder / "events.jsonl.1")
        else:
            shutil.copy(folder / "events.jsonl", folder / "events.jsonl.1")
            os.truncate(folder / "events.jsonl", 0)
        target(folder).write(numbered(10, 20))
        assert kept(folder) == numbered(0, 30)
        if not killed:
            break


def test_a_full_disk_is_told_and_takes_the_batch_when_there_is_room(small_disk: Path) -> None:
    """Nothing of the batch is in the file meanwhile, and retention works on it."""
    log = target(small_disk / "events")
    log.write(numbered(0, 1000))
    (small_disk / "ballast").write_bytes(b"x" * 700_000)
    before = (small_disk / "events" / "events.jsonl").read_bytes()
    batch = numbered(1000, 3000)
    for _ in range(2):
        with pytest.raises(LogUnavailable, match=r"file_dir .*/disk/events: No space left on device; make room there"):
            log.write(batch)
        assert (small_disk / "events" / "events.jsonl").read_bytes() == before
    assert target(small_disk / "events").retain(NOON) == (0, 0)
    (small_disk / "ballast").unlink()
    log.write(batch)
    assert kept(small_disk / "events") == numbered(0, 4000)


def test_a_disk_that_its_own_log_filled_is_freed_by_retention(small_disk: Path) -> None:
    """Though there is no room for the smallest file."""
    folder = small_disk / "events"
    log = target(folder, rotate_bytes=65_536)
    log.write(numbered(0, 2000))
    log.close()
    (folder / POSITION).unlink()
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="No space"):
        while ballast.write(b"x" * 4096):
            pass
    log = target(folder, rotate_bytes=65_536, max_bytes=1)
    assert log.retain(NOON).too_many_bytes > 500
    log.write(numbered(2000, 10))
    assert kept(folder)[-10:] == numbered(2000, 10)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder: folder.write_text(""), "a file stands where a folder should be: move it away"),
        (lambda folder: (folder / "events.jsonl").mkdir(parents=True), "a folder stands where a file should be"),
    ],
)
def test_what_stands_in_the_way_is_told(tmp_path: Path, spoil: object, text: str) -> None:
    """It is no bug of ours, and the line says what to do."""
    assert callable(spoil)
    spoil(tmp_path / "events")
    with pytest.raises(LogUnavailable, match=text):
        target(tmp_path / "events").write(numbered(0, 1))


def test_one_process_at_a_time_has_the_right_to_write(tmp_path: Path) -> None:
    """Whoever begins while another writes is refused until that one is closed; the folder is not everybody's."""
    folder = tmp_path / "events"
    first, second = FileTarget(folder, KeptFiles()), FileTarget(folder, KeptFiles())
    first.begin()
    first.begin()
    with pytest.raises(LogUnavailable, match="another process"):
        second.begin()
    first.write([Row("1790000000000-1", "2026-09-21T13:46:40.000Z", "config.reloaded")])
    assert folder.stat().st_mode & 0o007 == 0
    assert all(path.stat().st_mode & 0o007 == 0 for path in folder.iterdir())
    first.close()
    second.begin()
    second.close()
