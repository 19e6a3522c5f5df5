"""The event log's target `file` in bounds, and without a person who is forgotten."""

import base64
import contextlib
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.log_files import DAY, NOON, Kill, kept, logs, numbered, row, seen, shown, target
from whatshooked.eventlog.files import packing
from whatshooked.eventlog.files.packing import pack_all
from whatshooked.eventlog.forgetting import masked
from whatshooked.eventlog.row import Row, Wanted
from whatshooked.meta.person import FORGOTTEN, Person

__all__ = ["logs"]
pytestmark = pytest.mark.usefixtures("logs")

NUMBER = "4915112345678"
OTHER = "4915187654321"
USER_ID = "DE.1234567890abcXYZ"
PERSON = Person([NUMBER, USER_ID])

#: Writes rows of two people without rest, until it is told to stop.
CHATTY = """
import sys
from pathlib import Path
from tests.log_files import NOON, row, target

log = target(Path(sys.argv[1]), rotate_bytes=65_536)
for n in range(1000, 30_000, 50):
    log.write([row(NOON + i, conversation=sys.argv[2], text=f"row {i}") for i in range(n, n + 50)])
log.close()
"""


def wamid(number: str, lead: int = 0) -> str:
    """A message id as Meta makes them: the number in base64, in one of three places."""
    return "wamid." + base64.b64encode(b"\x1d" * (5 + lead) + number.encode() + b"\x15\x02\x00rest of it").decode()


def about(ms: int, number: str, lead: int = 0) -> Row:
    """A row that is full of a person."""
    return row(
        ms,
        conversation=number,
        message_id=wamid(number, lead),
        error=f"(#131026) {number} is not on WhatsApp",
        text=f"I am {number}",
        data=json.dumps({"to": number, "user": USER_ID}),
        state="dead",
        status=131026,
    )


def shows(folder: Path) -> list[str]:
    """The files in which the person can be read, by any of their names; files may come and go meanwhile."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError, EOFError):
            raw = path.read_bytes()
            raw = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
            if any(sign in raw for sign in PERSON.traces):
                found.append(path.name)
    return found


def test_what_is_too_old_goes_by_file(tmp_path: Path) -> None:
    """A file goes when its last row is too old; a current one whose day is over is ended for that."""
    log = target(tmp_path, max_age_days=2)
    for day in range(4):
        log.write([row(NOON + day * DAY + n) for n in range(10 + day)])
    pack_all(tmp_path, lambda: False)
    assert log.retain(NOON + 3 * DAY) == (10, 0)
    assert log.retain(NOON + 3 * DAY) == (0, 0)
    assert len(kept(tmp_path)) == 36
    assert "events.jsonl" in shown(tmp_path)
    assert log.retain(NOON + 10 * DAY) == (36, 0)
    assert shown(tmp_path) == []
    log.write([row(NOON + 11 * DAY)])
    assert len(kept(tmp_path)) == 1
    assert target(tmp_path, max_age_days=0).retain(NOON + 9999 * DAY) == (0, 0)


def test_what_is_too_much_goes_oldest_first(tmp_path: Path) -> None:
    """Until all files together are within the bound; the current one stays whatever its size."""
    log = target(tmp_path, rotate_bytes=65_536, max_bytes=150_000)
    log._packer.close()
    rows = numbered(0, 3000)
    for start in range(0, 3000, 100):
        log.write(rows[start : start + 100])
    removed = log.retain(NOON)
    left = kept(tmp_path)
    assert removed == (0, 3000 - len(left)) and left == rows[3000 - len(left) :]
    sizes = sum((tmp_path / name).stat().st_size for name in shown(tmp_path))
    assert 150_000 - 65_536 < sizes <= 150_000
    assert target(tmp_path, max_bytes=1).retain(NOON).too_many_bytes > 100
    assert shown(tmp_path) == ["events.jsonl"]
    log.write(rows)
    assert kept(tmp_path)[-1] == rows[-1] and len(kept(tmp_path)) < 1000


def test_what_logrotate_left_goes_by_its_last_change(tmp_path: Path) -> None:
    """Old files of other names are ours to remove as well, and counted."""
    log = target(tmp_path, max_age_days=2)
    log.write(numbered(0, 10))
    (tmp_path / "events.jsonl").rename(tmp_path / "events.jsonl.1")
    (tmp_path / "events.jsonl.2.gz").write_bytes(gzip.compress((tmp_path / "events.jsonl.1").read_bytes()))
    os.utime(tmp_path / "events.jsonl.2.gz", (NOON / 1000, NOON / 1000))
    os.utime(tmp_path / "events.jsonl.1", (NOON / 1000 + 86_400, NOON / 1000 + 86_400))
    (tmp_path / "events.sqlite").write_text("somebody else's")
    assert log.retain(NOON + 2 * DAY + 1) == (10, 0)
    assert shown(tmp_path) == ["events.jsonl.1", "events.sqlite"]


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_a_masked_row_tells_nothing_of_the_person_and_counts_the_same(lead: int) -> None:
    """Their words go whole; what another wrote about them too; whoever is not concerned stays as they are."""
    left = masked(about(NOON, NUMBER, lead), PERSON)
    assert left == row(NOON, conversation=FORGOTTEN, state="dead", status=131026)
    named = row(NOON, conversation=OTHER, message_id=wamid(OTHER), text=f"call {NUMBER}", data="{}", error="HTTP 500")
    assert masked(named, PERSON) == row(NOON, conversation=OTHER, message_id=wamid(OTHER), error="HTTP 500")
    assert masked(row(NOON, actor=NUMBER, text="x"), PERSON) == row(NOON, actor=FORGOTTEN)
    assert masked(row(NOON, conversation=USER_ID), PERSON) == row(NOON, conversation=FORGOTTEN)
    other = about(NOON, "14155550100", lead)
    assert masked(other, Person([NUMBER])) is other
    longer = row(NOON, text=f"9{NUMBER}9")
    assert masked(longer, PERSON) is longer


def test_a_forgotten_person_is_in_no_file(tmp_path: Path) -> None:
    """Current, ended, compressed, what logrotate left, what a killed compressor left; all others' rows stay."""
    log = target(tmp_path, rotate_bytes=65_536)
    log._packer.close()
    rows = [about(NOON + n, (NUMBER, "14155550100")[n % 2], n % 3) for n in range(800)]
    rows = [r if n % 2 == 0 else Row(id=r.id, at=r.at, type=r.type, text=f"row {n}") for n, r in enumerate(rows)]
    log.write(rows[:150])
    (tmp_path / "events.jsonl").rename(tmp_path / "events.jsonl.1")
    (tmp_path / "events.jsonl.2.gz").write_bytes(gzip.compress(f"note on {NUMBER}\nnote\n".encode()))
    log.write(rows[150:])
    (first, *_) = packing.waiting(tmp_path)
    pack_all(tmp_path, lambda: False)
    (tmp_path / first).write_bytes(gzip.decompress((tmp_path / f"{first}.gz").read_bytes()))
    (tmp_path / packing.PART).write_bytes(NUMBER.encode())
    log.write(numbered(800, 400))
    log.write([about(NOON + 1900, NUMBER)])
    times = {
        name: (tmp_path / name).stat().st_mtime_ns for name in shown(tmp_path) if name not in ("events.jsonl", first)
    }
    assert len(shows(tmp_path)) >= 5
    assert log.forget(PERSON) == 402
    assert shows(tmp_path) == [] and log.leaves() == []
    assert kept(tmp_path) == [masked(r, PERSON) for r in [*rows, *numbered(800, 400), about(NOON + 1900, NUMBER)]]
    assert gzip.decompress((tmp_path / "events.jsonl.2.gz").read_bytes()) == b"note\n"
    assert times == {name: (tmp_path / name).stat().st_mtime_ns for name in times} and f"{first}.gz" in times
    assert log.forget(PERSON) == 0
    log.write([about(NOON + 1900, NUMBER), row(NOON + 1901)])
    assert kept(tmp_path)[-1] == row(NOON + 1901) and shows(tmp_path) == []


def test_a_person_behind_an_escape_is_found(tmp_path: Path) -> None:
    """In the file a line end is `\\n` and a letter may stand before the name; the row is what counts."""
    rows = [row(NOON, data=f"\n{USER_ID}"), row(NOON + 1, error=f"\x01{NUMBER}"), row(NOON + 2, text=f"a{USER_ID}b")]
    log = target(tmp_path)
    log.write(rows)
    assert log.forget(PERSON) == 2
    assert kept(tmp_path) == [row(NOON), row(NOON + 1), rows[2]]


def test_a_kill_amid_forgetting_loses_no_row_and_the_next_one_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps; and rows that come again after it are known."""
    kill = Kill(monkeypatch)
    rows = [about(NOON + n, NUMBER, n % 3) if n % 50 == 0 else numbered(n, 1)[0] for n in range(1300)]
    for step in kill.steps():
        folder = tmp_path / str(step)
        log = target(folder, rotate_bytes=65_536)
        log.write(rows[:700])
        pack_all(folder, lambda: False)
        log._packer.close()
        log.write(rows[700:])
        assert packing.waiting(folder)
        killed = kill.at(step, lambda folder=folder: target(folder).forget(PERSON))  # type: ignore[misc]
        assert [r.id for r in kept(folder)] == [r.id for r in rows]
        target(folder).write(rows[-100:])
        target(folder).forget(PERSON)
        assert shows(folder) == [] and kept(folder) == [masked(r, PERSON) for r in rows]
        if not killed:
            break


def test_forgetting_beside_a_busy_writer(tmp_path: Path) -> None:
    """Another process writes all the time and compresses: it takes turns, and loses and doubles nothing."""
    log = target(tmp_path, rotate_bytes=65_536)
    log.write([about(NOON + n, NUMBER, n % 3) for n in range(1000)])
    log.close()
    program = [sys.executable, "-c", CHATTY, str(tmp_path), OTHER]
    with subprocess.Popen(program, cwd=REPO) as process:
        total = 0
        while process.poll() is None:
            total += target(tmp_path).forget(PERSON)
            assert shows(tmp_path) == []
    assert process.returncode == 0 and total == 1000
    assert [r.id for r in kept(tmp_path)] == [row(NOON + n).id for n in range(30_000)]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """logrotate may use another compressor: its files are named in the receipt."""
    log = target(tmp_path)
    log.write([row(NOON)])
    (tmp_path / "events.jsonl.3.xz").write_bytes(b"\xfd7zXZ\x00rest")
    (sentence,) = log.leaves()
    assert sentence.startswith(str(tmp_path / "events.jsonl.3.xz")) and "compressed in another way" in sentence
    assert seen(tmp_path, Wanted()) == [row(NOON)]


def test_what_root_writes_the_gateways_user_can_use(tmp_path: Path) -> None:
    """`forget`, run by root, takes no file away from the user whose folder it is."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away: run as root")
    folder = tmp_path / "events"
    log = target(folder, rotate_bytes=65_536)
    folder.mkdir()
    os.chown(folder, 4711, 4712)
    log.write([about(NOON + n, NUMBER) for n in range(600)])
    (folder / "events.jsonl").chmod(0o640)
    log._packer.wait()
    log.forget(PERSON)
    found = {path.name: path.stat() for path in folder.iterdir()}
    assert {(about.st_uid, about.st_gid) for about in found.values()} == {(4711, 4712)}
    assert found["events.jsonl"].st_mode & 0o777 == 0o640
