"""The event log in SQLite and PostgreSQL: what was written is found again, in order, once, and quickly."""

import random
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import postgres as server
from tests import sql_logs
from tests.sql_logs import DAY, START, TABLE, Log, random_rows, random_wanted, row
from whatshooked.eventlog.row import Row, Tally, Wanted, is_wanted, place
from whatshooked.eventlog.sql import query
from whatshooked.eventlog.sql.table import COLUMNS, asked, cleaned, table_of

postgres, log = server.postgres, sql_logs.log


def test_every_column_comes_back(log: Log) -> None:
    """As it was written, of the first shard and of another, also in another process's eyes."""
    full = Row(
        id=f"out:business:{START}-7",
        at="2026-10-01T00:00:00.250Z",
        type="outbox.sent",
        account_id="business",
        conversation="491701234567",
        event_id="1-2",
        message_id="wamid.x",
        message_type="text",
        hook_id="crm",
        state="sent",
        attempt=3,
        status=131_026,
        duration_ms=12.625,
        error="none",
        actor="ops",
        text="Grüße 🌻\t\n\\N 'x' \"y\"",
        data='{"a":[1]}',
    )
    log.target().write([full, row(1)])
    assert list(log.target().rows(Wanted(newest_first=False))) == [full, row(1)]


def test_nothing_is_opened_before_the_first_call(log: Log) -> None:
    """And an empty log is no fault; a batch without rows does nothing."""
    target = log.target()
    assert not log.path.parent.exists()
    target.write([])
    assert not log.path.parent.exists()
    assert list(target.rows(Wanted())) == []
    assert target.tally(0, START, DAY) == []


def test_a_row_is_kept_once(log: Log) -> None:
    """However often its batch comes, or one that overlaps it; the first stays."""
    target = log.target()
    for begin in (0, 0, 5, 3):
        target.write([row(number, error=str(begin)) for number in range(begin, begin + 10)])
    found = list(target.rows(Wanted(newest_first=False)))
    assert [one.id for one in found] == [row(number).id for number in range(15)]
    assert {one.error for one in found} == {"0", "5"}
    target.write([row(50), row(50)])
    assert len(list(target.rows(Wanted()))) == 16


@pytest.mark.parametrize("seed", range(3))
def test_what_is_asked_for_is_what_is_wanted(log: Log, seed: int) -> None:
    """All conditions, alone and together, say the same as `is_wanted` and Python's order do."""
    rows = random_rows(seed, 400)
    target = log.target()
    target.write(rows)
    dice = random.Random(seed)
    hits = 0
    for _ in range(80):
        wanted = random_wanted(dice, rows)
        expected = sorted((one for one in rows if is_wanted(one, wanted)), key=place, reverse=wanted.newest_first)
        assert list(target.rows(wanted)) == expected, wanted
        hits += bool(expected)
    assert hits > 20


def test_all_rows_are_read_in_chunks(log: Log) -> None:
    """None is left out or comes twice at the seams, and who stops reading leaves nothing open."""
    target = log.target()
    rows = [row(number // 3, id=f"{START + number // 3}-{number % 3}") for number in range(5000)]
    target.write(rows)
    assert list(target.rows(Wanted(newest_first=False))) == rows
    reading = target.rows(Wanted())
    assert list(islice(reading, 250)) == rows[:-251:-1]
    if log.kind == "postgres":
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        assert log.sql(open_ones) == [(0,)]
    else:
        log.sql("VACUUM")
    target.write([row(6000)])
    assert list(islice(reading, 1)) == [rows[-251]]


def test_what_no_database_takes_is_put_right(log: Log) -> None:
    """A text or number out of bounds neither loses a batch nor itself, as far as it can be kept."""
    target = log.target()
    bad = row(
        1,
        at="the day before",
        text="a\x00b\ud800c\U0001f33b",
        account_id="x" * 5000,
        conversation="4\x009",
        duration_ms=float("nan"),
        data="\\.\n\\.",
    )
    target.write([row(0), msgspec.structs.replace(bad, status=10**30), row(2)])
    found = list(target.rows(Wanted(newest_first=False)))
    assert [found[0], found[2]] == [row(0), row(2)]
    kept = found[1]
    assert kept.at == row(1).at
    assert kept.text == "a�b�c\U0001f33b"
    assert (kept.account_id, kept.status, kept.duration_ms, kept.data) == ("x" * 500, 2**63 - 1, 0.0, "\\.\n\\.")
    assert [one.id for one in target.rows(Wanted(conversation="4\x009", account_id="x" * 5000))] == [bad.id]


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_can_be_kept(text: str) -> None:
    """What is left has no NUL and is UTF-8; what was good is as it was."""
    found = cleaned(text)
    found.encode()
    assert "\x00" not in found
    assert found == text or "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec=None), max_size=30), min_size=1, max_size=20))
def test_odd_texts_come_back(log: Log, texts: list[str]) -> None:
    """Each as `cleaned` says it is kept."""
    target = log.target(table="odd")
    rows = [row(number, text=text, error=text) for number, text in enumerate(texts)]
    target.write(rows)
    found = list(target.rows(Wanted(newest_first=False)))
    target.close()
    log.sql("DELETE FROM odd")
    assert [one.text for one in found] == [cleaned(text) for text in texts]


def test_moments_out_of_the_calendar_are_kept(log: Log) -> None:
    """The first of all places and the last that an id can name, months apart in PostgreSQL."""
    target = log.target()
    rows = [row(0, id="0-0"), row(0, id="1-999999999999999"), row(0, id="999999999999999-0")]
    target.write(rows)
    assert list(target.rows(Wanted(newest_first=False))) == rows


def test_a_tally_counts_by_span_and_kind(log: Log) -> None:
    """Spans begin at `since`; what is empty is not told."""
    target = log.target()
    kinds = [("message.received", ""), ("hook.called", "done"), ("hook.called", "done"), ("hook.called", "dead")]
    target.write([row(n, DAY // 4, type=kinds[n % 4][0], state=kinds[n % 4][1], duration_ms=n) for n in range(12)])
    since = START + DAY // 4
    assert target.tally(since, START + 2 * DAY, DAY) == [
        Tally(since, "hook.called", "business", "", "dead", 1, 3.0),
        Tally(since, "hook.called", "business", "", "done", 2, 3.0),
        Tally(since, "message.received", "business", "", "", 1, 4.0),
        Tally(since + DAY, "hook.called", "business", "", "dead", 1, 7.0),
        Tally(since + DAY, "hook.called", "business", "", "done", 2, 11.0),
    ]


def test_a_page_is_read_by_an_index(log: Log) -> None:
    """All rows, and those of one conversation, hook, account, type or event: never by a look at the whole table."""
    target = log.target()
    target.write([row(n, conversation=str(n % 500), hook_id=f"h{n % 90}", error="x") for n in range(20_000)])
    log.sql("ANALYZE")
    questions = [
        Wanted(),
        Wanted(newest_first=False),
        Wanted(after=place(row(10_000))),
        Wanted(conversation="77"),
        Wanted(hook_id="h7", newest_first=False),
        Wanted(account_id="business", after=place(row(10_000))),
        Wanted(types=("message.received",)),
        Wanted(event_id=row(5).event_id),
    ]
    explain = "EXPLAIN" if log.kind == "postgres" else "EXPLAIN QUERY PLAN"
    for wanted in questions:
        with target._connected() as engine:
            question = query.page(table_of(TABLE), asked(wanted), 200).compile(
                engine, compile_kwargs={"literal_binds": True}
            )
        plan = "\n".join(str(line[-1]) for line in log.sql(f"{explain} {question}"))
        assert "Seq Scan" not in plan, plan
        assert "INDEX" in plan or "Index" in plan, plan
        if not (wanted.event_id or wanted.conversation or wanted.hook_id):
            assert "FOR ORDER BY" not in plan and "->  Sort" not in plan, plan


def test_the_table_is_what_queries_think(log: Log) -> None:
    """The versions make the columns that queries ask for, and no other."""
    list(log.target().rows(Wanted()))
    listed = (
        f"SELECT column_name FROM information_schema.columns WHERE table_name = '{TABLE}'"
        if log.kind == "postgres"
        else f"SELECT name FROM pragma_table_info('{TABLE}')"
    )
    assert sorted(str(one[0]) for one in log.sql(listed)) == sorted(COLUMNS)


def test_a_table_may_have_any_name_of_the_config(log: Log) -> None:
    """One that SQL has a use for, one with capitals, one of forty letters; two in one database."""
    for name in ("order", "EventLogs", "x" * 40):
        target = log.target(table=name)
        target.write([row(1)])
        assert list(target.rows(Wanted())) == [row(1)]
        assert target.retain(START) == (0, 0)


@pytest.mark.parametrize("log", ["sqlite"], indirect=True)
def test_a_database_that_was_moved_away_begins_anew(log: Log, tmp_path: Path) -> None:
    """A file of SQLite's that somebody renamed takes no more rows: they would be lost."""
    target = log.target()
    target.write([row(1)])
    log.path.rename(tmp_path / "old.sqlite")
    target.write([row(2)])
    assert list(target.rows(Wanted())) == [row(2)]
