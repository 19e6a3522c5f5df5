"""Files of the event log that end: by size and by day, compressed beside the writer, read while that happens."""

import contextlib
import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.log_files import DAY, NOON, OLDEST_FIRST, Kill, kept, logs, numbered, row, seen, shown, target
from whatshooked.eventlog.files import listing, packing
from whatshooked.eventlog.files.listing import Entry, entries
from whatshooked.eventlog.files.members import members
from whatshooked.eventlog.row import Place, Row, Wanted, place

__all__ = ["logs"]
pytestmark = pytest.mark.usefixtures("logs")

#: Writes rows without rest, into files that end often; the current one is renamed away now and then, as by logrotate.
BUSY = """
import sys
from pathlib import Path
from tests.log_files import numbered, target

folder = Path(sys.argv[1])
log = target(folder, rotate_bytes=65_536)
for batch in range(1, 400):
    log.write(numbered(batch * 100, 100))
    if batch % 60 == 0:
        (folder / "events.jsonl").rename(folder / f"events.jsonl.{batch}")
log.close()
"""


def pack(folder: Path) -> None:
    """Compress what is ended, here and now."""
    packing.pack_all(folder, lambda: False)


def test_a_file_ends_at_its_size_and_is_compressed(tmp_path: Path) -> None:
    """None is larger, names sort by time, and any program that knows gzip reads the same lines."""
    log = target(tmp_path, rotate_bytes=65_536)
    rows = numbered(0, 5000)
    for start in range(0, 5000, 170):
        log.write(rows[start : start + 170])
    log.close()
    pack(tmp_path)
    assert packing.waiting(tmp_path) == []
    *ended, current = shown(tmp_path)
    assert len(ended) > 8 and current == "events.jsonl" and ended[0].startswith(f"events-2025-10-09-{NOON}-")
    texts = [subprocess.run(["zcat", n], cwd=tmp_path, capture_output=True, check=True).stdout for n in ended]
    assert texts == [gzip.decompress((tmp_path / name).read_bytes()) for name in ended]
    assert all(60_000 < len(text) <= 65_536 for text in texts)
    assert [json.loads(line)["text"] for line in texts[0].splitlines()[:2]] == ["row 0", "row 1"]
    assert kept(tmp_path) == rows
    assert seen(tmp_path, Wanted()) == rows[::-1]


def test_a_day_has_its_own_file(tmp_path: Path) -> None:
    """By the rows' days (UTC), not the clock's; one that is late stays where it comes."""
    log = target(tmp_path)
    midnight = NOON + DAY // 2
    rows = [row(midnight - 1), row(midnight), row(midnight + DAY)]
    late = row(midnight - 2, shard="acc")
    log.write(rows[:2])
    log.write([late])
    log.write(rows[2:])
    log.close()
    pack(tmp_path)
    assert shown(tmp_path) == [
        f"events-2025-10-09-{midnight - 1}-{midnight - 1}.jsonl.gz",
        f"events-2025-10-10-{midnight - 2}-{midnight}.jsonl.gz",
        "events.jsonl",
    ]
    assert kept(tmp_path) == [late, *rows]


def test_files_of_the_same_moment_have_names_of_their_own(tmp_path: Path) -> None:
    """A thousand rows of one millisecond fill several."""
    rows = [row(NOON, n) for n in range(3000)]
    log = target(tmp_path, rotate_bytes=65_536)
    log.write(rows[:1500])
    pack(tmp_path)
    log.write(rows[1500:])
    assert sum(name.startswith(f"events-2025-10-09-{NOON}-{NOON}") for name in shown(tmp_path)) > 3
    assert kept(tmp_path) == rows


def test_a_compressed_file_tells_what_is_in_it(tmp_path: Path) -> None:
    """Its members are read one by one; a damaged one costs its own rows, and none is an error."""
    log = target(tmp_path, rotate_bytes=5_000_000)
    rows = [row(NOON + n, data="x" * 1000) for n in range(4200)]
    log.write([*rows, row(NOON + DAY)])
    log.close()
    pack(tmp_path)
    path = tmp_path / shown(tmp_path)[0]
    with path.open("rb") as file:
        inside = members(file.fileno()) or []
    assert len(inside) > 3 and sum(member.span.rows for member in inside) == 4200
    assert (inside[0].span.low, inside[-1].span.high) == (NOON, NOON + 4199)
    raw = bytearray(path.read_bytes())
    raw[inside[1].start + 60] ^= 0xFF
    path.write_bytes(raw)
    left = seen(tmp_path)
    assert left == [*rows[: inside[0].span.rows], *rows[inside[0].span.rows + inside[1].span.rows :], row(NOON + DAY)]
    path.write_bytes(raw[: inside[1].start + 100])
    assert set(rows[: inside[0].span.rows]) <= set(seen(tmp_path))


def test_a_kill_amid_compressing_leaves_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two steps: for readers at once, and for what is compressed the next time."""
    kill = Kill(monkeypatch)
    rows = numbered(0, 1500)
    states = set[tuple[bool, bool]]()
    for step in kill.steps():
        folder = tmp_path / str(step)
        log = target(folder, rotate_bytes=65_536)
        log._packer.close()
        log.write(rows)
        killed = kill.at(step, lambda folder=folder: pack(folder))  # type: ignore[misc]
        first = packing.waiting(folder)[0] if packing.waiting(folder) else ""
        states.add((first != "", (folder / f"{first}.gz").exists()))
        assert kept(folder) == rows and seen(folder, Wanted()) == rows[::-1]
        assert sum(t.count for t in target(folder).tally(NOON, NOON + DAY, DAY)) == 1500
        pack(folder)
        assert kept(folder) == rows and packing.waiting(folder) == []
        if not killed:
            break
    assert states == {(True, False), (True, True), (False, False)}


def test_what_a_killed_compressor_left_is_taken_up(tmp_path: Path) -> None:
    """The next writer has it finished, without being asked."""
    log = target(tmp_path, rotate_bytes=65_536)
    log._packer.close()
    log.write(numbered(0, 2000))
    (tmp_path / packing.PART).write_bytes(b"half")
    assert len(packing.waiting(tmp_path)) > 1
    log = target(tmp_path, rotate_bytes=65_536)
    log.write(numbered(2000, 1))
    log._packer.wait()
    assert packing.waiting(tmp_path) == [] and not (tmp_path / packing.PART).exists()
    assert kept(tmp_path) == numbered(0, 2001)


def test_a_file_that_changes_while_it_is_compressed_is_compressed_anew(tmp_path: Path) -> None:
    """The copy of what it was is dropped."""
    log = target(tmp_path, rotate_bytes=65_536)
    log._packer.close()
    log.write(numbered(0, 700))
    (name,) = packing.waiting(tmp_path)
    changed = iter([False, True])

    def stopped() -> bool:
        """Amid the first copy the file becomes another."""
        if next(changed, False):
            other = tmp_path / "other"
            other.write_bytes((tmp_path / name).read_bytes().replace(b'row 3"', b'other"'))
            other.replace(tmp_path / name)
        return False

    packing.pack_all(tmp_path, stopped)
    assert [r.text for r in kept(tmp_path)][2:5] == ["row 2", "other", "row 4"]


def test_a_reader_misses_and_doubles_nothing_while_files_come_and_go(tmp_path: Path) -> None:
    """Rows that were there when it began come once and in order, though files end, are compressed and renamed."""
    log = target(tmp_path, rotate_bytes=65_536)
    log.write(numbered(0, 100))
    log.close()
    with subprocess.Popen([sys.executable, "-c", BUSY, str(tmp_path)], cwd=REPO) as process:
        looks, known = 0, 100
        while process.poll() is None:
            for wanted in (OLDEST_FIRST, Wanted()):
                found = [place(r).ms - NOON for r in seen(tmp_path, wanted)]
                assert found == sorted(found, reverse=wanted.newest_first)
                assert sorted(found) == list(range(len(found))) and len(found) >= known
                known = len(found)
            looks += 1
    assert process.returncode == 0 and looks > 3
    assert kept(tmp_path) == numbered(0, 40_000)


def test_a_reader_looks_again_when_its_list_is_not_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is compressed while the folder is listed may be missing under both its names."""
    log = target(tmp_path, rotate_bytes=65_536)
    log._packer.close()
    log.write(numbered(0, 1500))
    looks = [0]

    def first_without_one(folder: Path) -> list[Entry]:
        looks[0] += 1
        return entries(folder)[1:] if looks[0] == 1 else entries(folder)

    monkeypatch.setattr(listing, "entries", first_without_one)
    assert seen(tmp_path) == numbered(0, 1500)


def test_a_reader_that_has_begun_reads_on_when_its_files_are_gone(tmp_path: Path) -> None:
    """What it had opened it keeps, and what retention took is not missed."""
    log = target(tmp_path, rotate_bytes=65_536)
    log._packer.close()
    log.write(numbered(0, 1000))
    pack(tmp_path)
    (compressed,) = shown(tmp_path)[:-1]
    log.write(numbered(1000, 1000))
    rows = log.rows(Wanted())
    assert next(rows) == numbered(1999, 1)[0]
    gone = numbered(0, 1 + int(compressed.split("-")[5].split(".")[0]) - NOON)
    for name in shown(tmp_path):
        (tmp_path / name).unlink()
    assert list(rows) == numbered(len(gone), 1999 - len(gone))[::-1]


def test_a_pause_amid_a_read_holds_up_no_writer(tmp_path: Path) -> None:
    """Readers have no lock."""
    log = target(tmp_path, rotate_bytes=65_536)
    log.write(numbered(0, 1000))
    rows = target(tmp_path).rows(OLDEST_FIRST)
    first = next(rows)
    writer = threading.Thread(target=log.write, args=(numbered(1000, 1000),))
    writer.start()
    writer.join(30)
    assert not writer.is_alive()
    assert [first, *rows] == numbered(0, 1000)


def test_what_others_compressed_is_read(tmp_path: Path) -> None:
    """One member or damaged at its end: whatever can be had comes, in its order among the rest."""
    rows = numbered(0, 3000)
    target(tmp_path).write(rows[2000:])
    target(tmp_path / "other").write(rows[:2000])
    raw = (tmp_path / "other" / "events.jsonl").read_bytes()
    (tmp_path / "events.jsonl.1.gz").write_bytes(gzip.compress(raw))
    assert kept(tmp_path) == rows
    (tmp_path / "events.jsonl.1.gz").write_bytes(gzip.compress(raw)[:-500])
    left = kept(tmp_path)
    assert left[-1000:] == rows[2000:] and left == [*rows[: len(left) - 1000], *rows[2000:]]


def test_a_page_of_a_busy_log_reads_little_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 30 MB, current and compressed, a page reads a few blocks, wherever in time it is."""
    log = target(tmp_path, rotate_bytes=20_000_000)
    for start in range(0, 30_000, 2000):
        log.write([row(NOON + n, data="x" * 1000) for n in range(start, start + 2000)])
    log.close()
    pack(tmp_path)
    read, pread = [0], os.pread

    def counted(descriptor: int, size: int, start: int) -> bytes:
        found = pread(descriptor, size, start)
        read[0] += len(found)
        return found

    monkeypatch.setattr(os, "pread", counted)
    for after in (None, NOON + 25_000, NOON + 5000):
        read[0] = 0
        wanted = Wanted(after=None if after is None else Place(after, 0))
        page: list[Row] = []
        with contextlib.closing(log.rows(wanted)) as rows:
            page += [next(rows) for _ in range(50)]
        newest = NOON + 30_000 if after is None else after
        assert [place(r).ms for r in page] == list(range(newest - 1, newest - 51, -1))
        assert 0 < read[0] < 5_000_000
