"""The event log in each database, as tests use it, and a program of its own that writes until it is killed.

`python -m tests.sql_logs TARGET COUNT`: goes on where the log ends, and says how many rows it has after each batch.
"""

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tests.postgres import Postgres
from whatshooked.config.model import Database, Kept
from whatshooked.eventlog.row import Row, Wanted, place
from whatshooked.eventlog.sql.postgres import PostgresTarget
from whatshooked.eventlog.sql.sqlite import SqliteTarget
from whatshooked.eventlog.target import Target
from whatshooked.meta.person import Person

REPO = Path(__file__).parent.parent
TABLE = "event_logs"
#: The first of October 2026, UTC, in unix ms.
START = 1_790_812_800_000
DAY = 86_400_000
PERSON = Person(["491701234567"])
OTHER = "491709999999"
#: Ids of messages hold the number of the customer in base64: at the front of three, and of all their lengths.
WAMIDS = ("wamid.HBgMNDkxNzAxMjM0NTY3FQIAERgS", "wamid.aEJnTTQ5MTcwMTIzNDU2Nw==", "eHg0OTE3MDEyMzQ1NjcA")


class Log:
    """One database, and the targets that a test has open in it."""

    def __init__(self, kind: str, folder: Path, server: Postgres | None) -> None:
        self.kind = kind
        self.path = folder / "logs" / "events.sqlite"
        self.server = server
        self.database = server.fresh() if server else Database()
        self._open: list[Target] = []

    def target(self, kept: Kept | None = None, table: str = TABLE) -> "SqliteTarget | PostgresTarget":
        """Open a target; it is closed with the test."""
        found = opened(self.where, kept or Kept(max_age_days=0), table)
        self._open.append(found)
        return found

    @property
    def where(self) -> str:
        """How another process finds it."""
        return msgspec.json.encode(self.database if self.server else str(self.path)).decode()

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Ask the database itself, as an operator would."""
        if self.server:
            with self.server.connect(self.database.database) as connection:
                cursor = connection.execute(statement.encode())
                return list(cursor.fetchall()) if cursor.description else []
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as opened:
            return opened.execute(statement).fetchall()

    def holding(self, person: Person) -> list[str]:
        """Return the database's files in which something of a person stands."""
        folder = self.server.folder if self.server else self.path.parent
        wanted = person.traces
        files = [path for path in folder.rglob("*") if path.is_file()]
        contents = ((path, path.read_bytes()) for path in files)
        return [str(path.relative_to(folder)) for path, content in contents if any(one in content for one in wanted)]

    def close(self) -> None:
        """Close all targets."""
        for one in self._open:
            one.close()


def opened(where: str, kept: Kept, table: str = TABLE) -> SqliteTarget | PostgresTarget:
    """Open the target at a place as `Log.where` tells it."""
    found = msgspec.json.decode(where, type=Database | str)
    if isinstance(found, str):
        return SqliteTarget(Path(found), table, kept)
    return PostgresTarget(found, table, kept)


@pytest.fixture(params=["sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """An empty database of either kind."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    found = Log(request.param, tmp_path, server)
    yield found
    found.close()


def row(number: int, step: int = 1000, **more: str | float) -> Row:
    """The nth row, so many ms behind the one before."""
    ms = START + number * step
    at = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known: dict[str, str | float] = {"id": f"{ms}-0", "at": at, "type": "message.received", "account_id": "business"}
    return msgspec.convert(known | {"text": f"text {number}", "event_id": f"{ms}-0"} | more, Row)


def random_rows(seed: int, count: int) -> list[Row]:
    """Rows of all sorts, each with a place of its own, in no order."""
    dice = random.Random(seed)
    pick = dice.choice
    found = {
        (ms, seq, shard): Row(
            id=f"{shard}{ms}-{seq}",
            at="2026-10-01T00:00:00.000Z",
            type=pick(
                ["message.received", "message.sent", "messages", "message", "hook.called", "outbox.sent", "outbox-x"]
            ),
            account_id=pick(["", "business", "Business"]),
            conversation=pick(["", "491701234567", OTHER]),
            event_id=pick(["", "1-1", "1-2"]),
            hook_id=pick(["", "crm", "Ärger"]),
            state=pick(["", "done", "dead"]),
            error=pick(["", "Timeout", "100% _lost_", "ÄRGER \\ mit", "\u212aelvin", "İzmir", "tImEoUt"]),
            duration_ms=dice.random() * 1000,
        )
        for ms, seq, shard in (
            (START + dice.randrange(70) * DAY, dice.randrange(3), pick(["", "out:a:", "ü:"])) for _ in range(count)
        )
    }
    return list(found.values())


def random_wanted(dice: random.Random, rows: list[Row]) -> Wanted:
    """A question of two or three conditions."""
    conditions: dict[str, Callable[[], object]] = {
        "since": lambda: START + dice.randrange(70) * DAY,
        "until": lambda: START + dice.randrange(70) * DAY,
        "account_id": lambda: "business",
        "conversation": lambda: OTHER,
        "types": lambda: dice.choice([("message.*",), ("message", "outbox.*"), ("*",), ("messages",), (".*",)]),
        "hook_id": lambda: "Ärger",
        "states": lambda: dice.choice([("done",), ("dead", ""), ("none",)]),
        "event_id": lambda: "1-2",
        "text": lambda: dice.choice(["TIME", "100% _", "%", "_", "ärger \\", "k", "i", "İZ", "nothing"]),
        "after": lambda: place(dice.choice(rows)),
        "newest_first": lambda: False,
    }
    return Wanted(**{name: conditions[name]() for name in dice.sample(sorted(conditions), dice.randrange(4))})  # type: ignore[arg-type]


def start(log: Log, count: int) -> "subprocess.Popen[str]":
    """Start the program that writes rows up to a count."""
    command = [sys.executable, "-m", "tests.sql_logs", log.where, str(count)]
    return subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True)


def main(where: str, count: int) -> None:
    """Write rows in batches from where the log ends, some of them again."""
    target = opened(where, Kept())
    last = next(target.rows(Wanted()), None)
    begin = (int(last.id.partition("-")[0]) - START) // DAY + 1 if last else 0
    begin = max(begin - 70, 0)
    while begin < count:
        target.write([row(number, DAY) for number in range(begin, min(begin + 50, count))])
        begin += 50
        print(json.dumps(begin), flush=True)
    target.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
