"""The event log in a database that is killed, stopped, somebody else's or not there: nothing is lost or doubled."""

import contextlib
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import postgres as server
from tests import sql_logs
from tests.sql_logs import DAY, TABLE, Log, row, start
from whatshooked.config.model import Database, Kept
from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.row import Wanted
from whatshooked.eventlog.sql import sqlite as sqlite_target
from whatshooked.eventlog.sql.postgres import PostgresTarget
from whatshooked.eventlog.sql.sqlite import SqliteTarget
from whatshooked.eventlog.target import Target

postgres, log = server.postgres, sql_logs.log


def ids(target: Target) -> list[str]:
    """The ids of all rows, oldest first."""
    return [one.id for one in target.rows(Wanted(newest_first=False))]


def test_a_writer_that_is_killed_goes_on(log: Log) -> None:
    """kill -9 at five moments of its choosing; the next writes its last rows again, and each is there once."""
    dice, count = random.Random(5), 3000
    for _ in range(5):
        with start(log, count) as writer:
            assert writer.stdout is not None
            for _ in range(dice.randrange(2, 9)):
                writer.stdout.readline()
            time.sleep(dice.random() * 0.02)
            writer.kill()
        assert writer.returncode == -signal.SIGKILL
    last = start(log, count)
    last.communicate()
    assert last.returncode == 0
    assert ids(log.target()) == [row(number, DAY).id for number in range(count)]


@pytest.mark.parametrize("log", ["postgres"], indirect=True)
def test_an_outage_loses_nothing(postgres: server.Postgres, log: Log) -> None:
    """A server that crashes amid writing is told of, and written to again as soon as it is back."""
    target = log.target()
    written = threading.Semaphore(0)
    faults: list[str] = []

    def write() -> None:
        for begin in range(0, 6000, 100):
            while True:
                try:
                    target.write([row(number) for number in range(begin, begin + 100)])
                    break
                except LogUnavailable as error:
                    faults.append(str(error))
                    time.sleep(0.05)
            written.release()

    writer = threading.Thread(target=write)
    writer.start()
    for how in (signal.SIGQUIT, signal.SIGINT):
        for _ in range(10):
            written.acquire()
        postgres.stop(how)
        seen = len(faults)
        while len(faults) == seen:
            time.sleep(0.01)
        postgres.start()
    writer.join()
    assert ids(target) == [row(number).id for number in range(6000)]
    assert all(f"127.0.0.1:{postgres.port}/{log.database.database}: " in one for one in faults)
    assert not any("a-password" in one for one in faults)


@pytest.mark.parametrize("log", ["postgres"], indirect=True)
def test_who_reads_is_told_of_an_outage(postgres: server.Postgres, log: Log) -> None:
    """Between two chunks; the next call works when the server is back."""
    target = log.target()
    target.write([row(number) for number in range(1000)])
    reading = target.rows(Wanted())
    next(reading)
    postgres.stop()
    with pytest.raises(LogUnavailable):
        list(reading)
    with pytest.raises(LogUnavailable, match="can be reached from here"):
        target.tally(0, 1, 1)
    postgres.start()
    assert len(ids(target)) == 1000


def test_two_processes_begin_at_once(log: Log) -> None:
    """Both make the table, or neither does: it is there once, and all their rows."""
    writers = [start(log, 400) for _ in range(3)]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert ids(log.target()) == [row(number, DAY).id for number in range(400)]
    assert log.sql(f"SELECT version_num FROM {TABLE}_version") == [("0001",)]


def test_a_table_of_others_is_left_alone(log: Log) -> None:
    """It is named, with the remedy; so is one that lacks a column of ours, and one without which there are versions."""
    list(log.target(table="ours").rows(Wanted()))
    log.sql(f"CREATE TABLE {TABLE} (id INT, type TEXT)")
    log.sql(f"INSERT INTO {TABLE} VALUES (1, 'theirs')")
    target = log.target()
    for _ in range(2):
        with pytest.raises(
            LogUnavailable, match=r"'event_logs' that is not ours.*choose another event_logger.table_name"
        ):
            target.write([row(1)])
    assert log.sql(f"SELECT * FROM {TABLE}") == [(1, "theirs")]
    log.sql("ALTER TABLE ours DROP COLUMN data")
    with pytest.raises(LogUnavailable, match="not ours"):
        list(log.target(table="ours").rows(Wanted()))
    log.sql("DROP TABLE ours")
    with pytest.raises(LogUnavailable, match="'ours' is gone, but 'ours_version' tells of it"):
        list(log.target(table="ours").rows(Wanted()))
    log.sql("DROP TABLE ours_version")
    assert list(log.target(table="ours").rows(Wanted())) == []


def test_a_newer_table_is_left_alone(log: Log) -> None:
    """One that a later version of ours has changed is refused, and not written to."""
    log.target().write([row(1)])
    log.sql(f"UPDATE {TABLE}_version SET version_num = '0999'")
    with pytest.raises(LogUnavailable, match="version 0999 of a newer WhatsHooked"):
        log.target().write([row(2)])
    assert log.sql(f"SELECT count(*) FROM {TABLE}") == [(1,)]


def test_a_server_that_is_not_there_is_named() -> None:
    """With host, port and database, the remedy, and no password."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    database = Database(host="127.0.0.1", port=port, username="u", password="a-password", database="d")
    with pytest.raises(LogUnavailable) as caught:
        PostgresTarget(database, TABLE, Kept()).write([row(1)])
    assert str(caught.value).startswith(f"event log 127.0.0.1:{port}/d: ")
    assert "can be reached from here" in str(caught.value)
    assert "a-password" not in str(caught.value)


def test_what_a_server_refuses_has_a_remedy(postgres: server.Postgres) -> None:
    """A database that is not there, a user who may not make tables, an encoding without all letters."""
    found = postgres.fresh()
    gone = Database(host=found.host, port=found.port, username=found.username, database="none")
    with pytest.raises(LogUnavailable, match=r'"none" does not exist; .*username, password and database'):
        PostgresTarget(gone, TABLE, Kept()).write([row(1)])
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    guest = Database(host=found.host, port=found.port, username="guest", database=found.database)
    with pytest.raises(LogUnavailable, match="GRANT CREATE ON SCHEMA public"):
        PostgresTarget(guest, TABLE, Kept()).write([row(1)])
    ascii_ = Database(host=found.host, port=found.port, username=found.username, database="ascii")
    with pytest.raises(LogUnavailable, match="ENCODING 'UTF8'"):
        PostgresTarget(ascii_, TABLE, Kept()).write([row(1)])


def test_what_a_disk_refuses_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is a file, a file that is no database, one that another process holds."""
    monkeypatch.setattr(sqlite_target, "PATIENCE", 0.05)
    (tmp_path / "file").write_text("no database, " * 1000)
    with pytest.raises(LogUnavailable, match=r"file/log\.sqlite: .*set event_logger\.sqlite_path"):
        SqliteTarget(tmp_path / "file" / "log.sqlite", TABLE, Kept()).write([row(1)])
    with pytest.raises(LogUnavailable, match=r"no file of SQLite's: move it away"):
        SqliteTarget(tmp_path / "file", TABLE, Kept()).write([row(1)])
    target = SqliteTarget(tmp_path / "log.sqlite", TABLE, Kept())
    target.write([row(1)])
    with contextlib.closing(sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert ids(target) == [row(1).id]
        with pytest.raises(LogUnavailable, match="another process holds it"):
            target.write([row(2)])
    target.write([row(2)])
    assert len(ids(target)) == 2
    target.close()


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    """A batch that finds no room is refused whole; what was kept is read on."""
    code = (
        "import resource, sys; from pathlib import Path; from tests.sql_logs import row; "
        "from whatshooked.config.model import Kept; from whatshooked.eventlog.sql.sqlite import SqliteTarget\n"
        "target = SqliteTarget(Path(sys.argv[1]), 'event_logs', Kept())\n"
        "target.write([row(1)])\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
        "target.write([row(n, data='x' * 1000) for n in range(2, 5000)])\n"
    )
    path = tmp_path / "log.sqlite"
    command = [sys.executable, "-c", code, str(path)]
    found = subprocess.run(command, check=False, cwd=sql_logs.REPO, capture_output=True, text=True)
    assert "LogUnavailable" in found.stderr and str(path) in found.stderr
    target = SqliteTarget(path, TABLE, Kept())
    assert ids(target) == [row(1).id]
    target.close()
