"""How long the event log in a database keeps what it has, and that a person is gone from it when they are forgotten."""

import base64
import contextlib
import sqlite3

import pytest

from tests import postgres as server
from tests import sql_logs
from tests.sql_logs import DAY, OTHER, PERSON, START, TABLE, WAMIDS, Log, row
from whatshooked.config.model import Kept
from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.forgetting import masked
from whatshooked.eventlog.row import Row, Wanted
from whatshooked.eventlog.sql import postgres as postgres_target
from whatshooked.eventlog.sql import sqlite as sqlite_target
from whatshooked.eventlog.sql.postgres import PostgresTarget
from whatshooked.eventlog.sql.sqlite import SqliteTarget
from whatshooked.meta.person import Person

postgres, log = server.postgres, sql_logs.log


def size(log: Log) -> int:
    """The bytes that the log takes on the disk."""
    if log.kind == "sqlite":
        return log.path.stat().st_size
    found = log.sql(
        f"SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = '{TABLE}'::regclass"
    )
    return int(str(found[0][0]))


def test_what_is_too_old_goes(log: Log) -> None:
    """Months that are over as a whole, the rest row by row; what is younger stays."""
    target = log.target(Kept(max_age_days=30))
    rows = [row(number, DAY // 4) for number in range(400)]
    target.write(rows)
    now = START + 90 * DAY
    assert target.retain(now) == (240, 0)
    assert list(target.rows(Wanted(newest_first=False))) == rows[240:]
    assert target.retain(now) == (0, 0)
    if log.kind == "postgres":
        assert log.sql(f"SELECT to_regclass('{TABLE}_202610')") == [(None,)]
    target.write(rows[:1])
    assert target.retain(now) == (1, 0)


def test_rows_are_kept_for_ever_if_so_wished(log: Log) -> None:
    """Both bounds are off at 0."""
    target = log.target(Kept(max_age_days=0, max_bytes=0))
    target.write([row(1)])
    assert target.retain(START + 10_000 * DAY) == (0, 0)
    assert len(list(target.rows(Wanted()))) == 1


@pytest.mark.parametrize("step", [1000, DAY // 40], ids=["one month", "many months"])
def test_what_is_too_much_goes(log: Log, step: int) -> None:
    """The oldest first, no more than has to be, and the disk has its room again."""
    plenty = log.target()
    rows = [row(number, step, data="x" * 300) for number in range(8000)]
    plenty.write(rows)
    most = size(log) // 2
    target = log.target(Kept(max_age_days=0, max_bytes=most))
    removed = 0
    while count := target.retain(START).too_many_bytes:
        removed += count
    assert size(log) <= most * 1.05
    left = list(target.rows(Wanted(newest_first=False)))
    assert left == rows[removed:]
    assert 3000 < len(left) < 4800
    target.write(rows[-10:])
    assert target.retain(START) == (0, 0)


def test_holes_are_closed_before_more_goes(log: Log) -> None:
    """Room that age has freed is counted as free: no row is too much because of one that is gone."""
    target = log.target()
    target.write([row(number, data="x" * 300) for number in range(8000)])
    whole = size(log)
    log.target(Kept(max_age_days=1)).retain(START + DAY + 6_000_000)
    assert log.target(Kept(max_age_days=0, max_bytes=whole // 2)).retain(START) == (0, 0)
    assert size(log) < whole // 2
    assert len(list(target.rows(Wanted()))) == 2000


def speaking(number: int) -> Row:
    """A row that names the person in one of many ways, or somebody else."""
    name = "491701234567"
    inside = base64.b64encode(f"{'x' * (number % 3)}{name} wrote".encode()).decode()
    ways: list[dict[str, str]] = [
        {"conversation": name, "text": f"I am {name}", "data": '{"body":"hello"}'},
        {"message_id": WAMIDS[number % len(WAMIDS)], "text": "hello"},
        {"error": f"no route to +{name}", "conversation": OTHER},
        {"data": f'{{"id":"{inside}"}}', "actor": "ops"},
        {"actor": name},
        {"conversation": OTHER, "text": "of somebody else", "message_id": "wamid.x"},
    ]
    return row(number, 40_000_000, **ways[number % len(ways)])


def filled(log: Log) -> "tuple[SqliteTarget | PostgresTarget, list[Row]]":
    """A log that names the person all over, in live rows, removed ones and what the server keeps of both."""
    target = log.target()
    rows = [speaking(number) for number in range(600)]
    for begin in range(0, 600, 100):
        target.write(rows[begin : begin + 100])
        if log.kind == "postgres":
            log.sql("CHECKPOINT")
            log.sql("SELECT pg_switch_wal()")
    log.sql("ANALYZE")
    log.target(Kept(max_age_days=30)).retain(START + 50 * DAY)
    left = list(target.rows(Wanted(newest_first=False)))
    assert 0 < len(left) < 600
    assert log.holding(PERSON)
    return target, left


def test_a_forgotten_person_leaves_no_byte(log: Log) -> None:
    """In no file of the database, plain or in base64; every row is still there, and others are as they were."""
    target, rows = filled(log)
    expected = [masked(one, PERSON) for one in rows]
    changed = sum(before != after for before, after in zip(rows, expected, strict=True))
    assert target.forget(PERSON) == changed > 300
    assert target.leaves() == []
    assert log.holding(PERSON) == []
    assert list(target.rows(Wanted(newest_first=False))) == expected
    assert log.holding(Person([OTHER]))
    assert target.forget(PERSON) == 0


def test_what_was_removed_before_is_forgotten_too(log: Log) -> None:
    """No row names the person any more when they are forgotten, but pages of the database still do."""
    target = log.target(Kept(max_age_days=10))
    target.write([row(n, DAY // 10, conversation="491701234567" if n < 100 else OTHER) for n in range(200)])
    assert target.retain(START + 20 * DAY) == (100, 0)
    assert log.server is None or log.holding(PERSON)
    assert target.forget(PERSON) == 0
    assert log.holding(PERSON) == []


@pytest.mark.parametrize("log", ["sqlite"], indirect=True)
def test_what_others_removed_is_forgotten_too(log: Log) -> None:
    """An operator's own program leaves in the file what it deletes."""
    target = log.target()
    target.write([row(n, conversation="491701234567") for n in range(100)])
    with contextlib.closing(sqlite3.connect(log.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(f"DELETE FROM {TABLE}")
    assert log.holding(PERSON)
    assert target.forget(PERSON) == 0
    assert log.holding(PERSON) == []


def test_a_crash_in_forgetting_is_made_up_for(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are masked, in files that are not cleaned: the next call has nothing to mask, and cleans."""
    target, _ = filled(log)
    with monkeypatch.context() as patched:

        def die(*_: object) -> list[str]:
            raise LogUnavailable("killed here")

        patched.setattr(type(target), "_clean", die)
        with pytest.raises(LogUnavailable):
            target.forget(PERSON)
    target.close()
    assert log.holding(PERSON)
    assert log.target().forget(PERSON) == 0
    assert log.holding(PERSON) == []


def test_who_still_reads_is_told_of(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another transaction that sees the old rows keeps them on the disk; when it has ended, all is done."""
    monkeypatch.setattr(sqlite_target, "PATIENCE", 0.05)
    monkeypatch.setattr(postgres_target, "PAUSE", 0.0)
    target, _ = filled(log)
    target.close()
    count = f"SELECT count(*) FROM {TABLE}"
    with contextlib.ExitStack() as stack:
        if log.server:
            reader = stack.enter_context(contextlib.closing(log.server.connect(log.database.database)))
            reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT 1 FROM pg_class LIMIT 1")
        else:
            file = stack.enter_context(contextlib.closing(sqlite3.connect(log.path, isolation_level=None)))
            file.execute("BEGIN")
            file.execute(count).fetchone()
        assert target.forget(PERSON) > 300
        assert any("forget once more" in one for one in target.leaves())
    assert target.forget(PERSON) == 0
    assert target.leaves() == []
    assert log.holding(PERSON) == []


def test_what_a_plain_user_cannot_reach_is_told(postgres: server.Postgres) -> None:
    """The write-ahead log is the administrator's; tables and their indexes are clean."""
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE plain LOGIN")
    target = PostgresTarget(postgres.fresh("plain"), TABLE, Kept(max_age_days=0))
    target.write([speaking(number) for number in range(60)])
    assert target.forget(PERSON) == 50
    assert len(target.leaves()) == 1 and "ask the database's administrator" in target.leaves()[0]
    assert not any(PERSON.is_named(f"{one}") for one in target.rows(Wanted()))
    target.close()


def test_copies_of_the_server_are_told_of(postgres: server.Postgres) -> None:
    """A slot holds the write-ahead log for somebody who may never come; the server's own log may show questions."""
    found = postgres.fresh()
    target = PostgresTarget(found, TABLE, Kept(max_age_days=0))
    target.write([speaking(number) for number in range(60)])
    with postgres.connect() as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('a_copy', true)")
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            assert target.forget(PERSON) == 50
            left = " ".join(target.leaves())
        finally:
            connection.execute("SELECT pg_drop_replication_slot('a_copy')")
            connection.execute("ALTER SYSTEM RESET log_statement")
            connection.execute("SELECT pg_reload_conf()")
    assert "keeps files of its write-ahead log" in left
    assert "own log shows what is asked" in left
    target.close()
