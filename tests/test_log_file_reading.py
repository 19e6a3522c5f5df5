"""What the event log's target `file` answers: every condition, both orders, pages, counts; against a plain sort."""

import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.log_files import DAY, MINUTE, NOON, OLDEST_FIRST, close_all, kept, logs, row, seen, target
from whatshooked.eventlog.files import packing
from whatshooked.eventlog.row import Row, Tally, Wanted, is_wanted, place

__all__ = ["logs"]
pytestmark = pytest.mark.usefixtures("logs")

TYPES = ("message.text", "message.image", "status.read", "outbox.sent", "messages")
moments = st.integers(NOON, NOON + 3 * DAY).map(lambda ms: ms // 1000 * 1000) | st.integers(NOON, NOON + 50)
some_rows = st.builds(
    row,
    moments,
    st.integers(0, 3),
    shard=st.sampled_from(["0", "acc", 'b:"ü']),
    type=st.sampled_from(TYPES),
    account_id=st.sampled_from(["business", "shop", 'odd "ü']),
    conversation=st.sampled_from(["", "491511", "491512"]),
    hook_id=st.sampled_from(["", "crm"]),
    state=st.sampled_from(["", "delivered", "dead"]),
    event_id=st.sampled_from(["", f"{NOON}-0", f"{NOON}-1"]),
    error=st.sampled_from(["", "HTTP 500", "Straße is blocked"]),
    data=st.sampled_from(["", "x" * 30_000]),
    duration_ms=st.sampled_from([0.0, 1.5]),
)
conditions = st.builds(
    Wanted,
    since=st.none() | moments,
    until=st.none() | moments,
    account_id=st.sampled_from(["", "business", 'odd "ü']),
    conversation=st.sampled_from(["", "", "491511"]),
    types=st.sampled_from([(), ("message.*",), ("status.read", "outbox.*"), ("*",)]),
    hook_id=st.sampled_from(["", "crm"]),
    states=st.sampled_from([(), ("dead",), ("dead", "delivered")]),
    event_id=st.sampled_from(["", "", f"{NOON}-1"]),
    text=st.sampled_from(["", "", "http", "STRASSE", "straße"]),
    newest_first=st.booleans(),
    after=st.none() | some_rows.map(place),
)


def expected(rows: list[Row], wanted: Wanted) -> list[Row]:
    """The rows asked for, by a plain sort."""
    return sorted((r for r in rows if is_wanted(r, wanted)), key=place, reverse=wanted.newest_first)


def written(folder: Path, rows: list[Row], sizes: list[int]) -> None:
    """Write rows as the event logger does: in ordered batches, in which shards may be days behind one another."""
    log = target(folder, rotate_bytes=65_536)
    waiting = {shard: sorted((r for r in rows if place(r).shard == shard), key=place) for shard in ("0", "acc", 'b:"ü')}
    while any(waiting.values()):
        batch = list[Row]()
        for shard, left in waiting.items():
            size = sizes[(len(left) + len(shard)) % len(sizes)]
            batch += left[:size]
            waiting[shard] = left[size:]
        log.write(sorted(batch, key=place))
    log.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(some_rows, max_size=60, unique_by=place),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    wanted=conditions,
    compressed=st.booleans(),
    most=st.integers(1, 7),
)
def test_rows_come_as_of_a_plain_sort(
    rows: list[Row], sizes: list[int], wanted: Wanted, compressed: bool, most: int
) -> None:
    """Whatever is asked, however far the shards are apart, in one go or by pages; and counts agree."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, rows, sizes)
        if compressed:
            packing.pack_all(folder, lambda: False)
        assert seen(folder, wanted) == expected(rows, wanted)
        pages, after = list[Row](), wanted.after
        while page := list(islice(target(folder).rows(structs.replace(wanted, after=after)), most)):
            pages += page
            after = place(page[-1])
        assert pages == expected(rows, wanted)
        since, until = wanted.since or NOON, wanted.until or NOON + DAY
        assert target(folder).tally(since, until, MINUTE) == counted(rows, since, until)
        close_all()


def counted(rows: list[Row], since: int, until: int) -> list[Tally]:
    """Counts by minute, in plain words."""
    found = Counter[tuple[int, str, str, str, str]]()
    took = Counter[tuple[int, str, str, str, str]]()
    for r in rows:
        ms = place(r).ms
        if since <= ms < until:
            kind = (ms - (ms - since) % MINUTE, r.type, r.account_id, r.hook_id, r.state)
            found[kind] += 1
            took[kind] += int(r.duration_ms * 2)
    return [Tally(*kind, count, took[kind] / 2) for kind, count in sorted(found.items())]


def test_an_empty_folder_has_no_rows(tmp_path: Path) -> None:
    """Nor has one that is not there, and asking makes none."""
    for folder in (tmp_path, tmp_path / "none"):
        log = target(folder, max_age_days=1)
        assert list(log.rows(Wanted())) == [] and log.tally(0, NOON, DAY) == [] and log.leaves() == []
        assert log.retain(NOON) == (0, 0)
    assert not (tmp_path / "none").exists()


def test_lines_that_are_no_rows_are_passed_over(tmp_path: Path) -> None:
    """Somebody's note, a row torn amid, keys in another order, bytes that are no text."""
    first, second = row(NOON), row(NOON + 1, text="ä")
    target(tmp_path).write([first])
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'\n# a note\n{"id":"5-0","at":\n{"id":"x","at":"","type":"t"}\n{"id":7}\n\xff\xfe\n[]\n')
        file.write(b'{"type":"t","at":"2020","id":"1000-0","new":[1]}\n')
    (tmp_path / "events-note.jsonl.txt").write_bytes(b"\x00\x01 no row\n")
    target(tmp_path).write([second])
    old = Row(id="1000-0", at="2020", type="t")
    assert kept(tmp_path) == [old, first, second]
    assert seen(tmp_path, Wanted(until=2000)) == [old]
    assert seen(tmp_path, Wanted(since=2000)) == [second, first]


def test_a_position_that_tells_of_another_file_is_not_believed(tmp_path: Path) -> None:
    """A copied or restored folder, or one whose position is behind: readers look for themselves."""
    rows = [row(NOON + n) for n in range(100)]
    log = target(tmp_path)
    log.write(rows[:50])
    old = (tmp_path / ".position").read_bytes()
    log.write(rows[50:])
    (tmp_path / ".position").write_bytes(old)
    assert kept(tmp_path) == rows
    for spoilt in (old.replace(b'"size":', b'"size":9'), b'{"inode":"x"}', old.replace(b'"inode":', b'"inode":1')):
        (tmp_path / ".position").write_bytes(spoilt)
        assert kept(tmp_path) == rows and seen(tmp_path, OLDEST_FIRST) == rows
