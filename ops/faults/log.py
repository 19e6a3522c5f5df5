"""The event log under fire: every target has each record once, whatever was killed, stopped or full meanwhile.

Events come in and go out as always, while the worker that writes is killed again and again, PostgreSQL is stopped for a
while, and the disk of the target file is full for another. An observer reads the activity stream all along: what it saw
is the ledger that each target is held against.
"""

import contextlib
import dataclasses
import gzip
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from ops.bench.stage import OURS, Stage
from ops.disks import small_disk
from ops.faults.journal import VARIABLE, Line
from ops.faults.log_mutants import LOG_MUTANTS
from ops.faults.steps import LOG_STEPS, Fault
from ops.postgres import Postgres, server
from whatshooked.config import Database, Kept
from whatshooked.eventlog.row import Wanted
from whatshooked.eventlog.sql.postgres import PostgresTarget
from whatshooked.eventlog.sql.sqlite import SqliteTarget
from whatshooked.eventlog.target import Target
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.follow import unfold

#: Bytes of the disk of the target file, and seconds of peace at either end of the run.
_DISK = 1_500_000_000
_PEACE = 3.0


@dataclass(frozen=True)
class LogPlan:
    """Events and how many a second; how often the worker is killed; seconds of each outage (0: none)."""

    events: int = 100_000
    rate: float = 800.0
    kills: int = 10
    postgres_away: float = 60.0
    disk_full: float = 30.0
    mutant: str = ""
    #: The steps at which workers die, in turns; else at any moment.
    steps: tuple[str, ...] = ()
    #: Seconds without any progress after which what is missing counts as missing.
    patience: float = 60.0


@dataclass
class LogVerdict:
    """What is wrong, by target: records it has not, has twice, or has though nobody noted them."""

    missing: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    strange: Counter[str] = field(default_factory=Counter)
    #: Events without the rows that they must have: that they came in, and that the hook took them.
    unlogged: int = 0
    dropped: int = 0
    undelivered: int = 0

    @property
    def green(self) -> bool:
        """Whether every target is as the ledger has it."""
        counted = (self.missing, self.doubled, self.strange)
        return not (any(counted) or self.unlogged or self.dropped or self.undelivered)


@dataclass
class LogResult:
    """What came of a run."""

    verdict: LogVerdict
    records: int
    kills: int
    sent: int
    seconds: float
    rows: dict[str, int]
    fired: Counter[str]
    #: Seconds until the last target had everything, after the last event was at its hook.
    behind: float


class Observer(threading.Thread):
    """Reads the activity stream all along, with no group of its own."""

    def __init__(self, socket: str, keys: Keys) -> None:
        super().__init__(daemon=True)
        self._redis = Redis(unix_socket_path=socket)
        self._stream = keys.activity
        self.kinds: dict[str, str] = {}
        self.subjects: dict[str, set[str]] = {"message.received": set(), "hook.success": set()}
        self.stopping = threading.Event()

    def run(self) -> None:
        """Read until told to stop."""
        reached = "0-0"
        while True:
            last = self.stopping.is_set()
            with contextlib.suppress(RedisError):
                while rows := cast(list[Any], self._redis.xrange(self._stream, f"({reached}", "+", 500)):
                    for entry_id, fields in rows:
                        reached = entry_id.decode()
                        self._take(reached, fields)
            if last:
                return
            time.sleep(0.1)

    def _take(self, entry_id: str, fields: dict[bytes, bytes]) -> None:
        flat = [part for pair in fields.items() for part in pair]
        for record in unfold("0", entry_id, flat):
            self.kinds[f"{record.ms}-{record.seq}"] = record.told.note.type
            if record.told.note.type in self.subjects:
                self.subjects[record.told.note.type].add(record.told.subject)


def run(plan: LogPlan) -> LogResult:
    """Carry a plan out and judge it; needs root for a disk that can be full, else that part is left out."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="log-faults-")))
        disk = folder / "disk"
        if missing := stack.enter_context(small_disk(disk, str(_DISK))):
            print(f"    no disk is filled in this run: {missing}")
        postgres = stack.enter_context(server())
        stage = stack.enter_context(Stage(folder))
        return _Run(plan, stage, postgres, disk).carry_out()


class _Run:
    def __init__(self, plan: LogPlan, stage: Stage, postgres: Postgres, disk: Path) -> None:
        self._plan = plan
        self._stage = stage
        self._postgres = postgres
        self._disk = disk
        self._database: Database = postgres.fresh()
        self._journal = stage.folder / "journal"
        self._kills = 0
        self._fired: Counter[str] = Counter()
        self._over = threading.Event()

    def carry_out(self) -> LogResult:
        """Run, wait for rest, and judge."""
        started = time.monotonic()
        os.environ[VARIABLE] = str(self._journal)
        port = self._stage.ours(self._stage.hook(), event_logger=self._section(), database=self._named())
        self._stage.kill_worker()
        self._worker(0)
        observer = Observer(self._stage.socket, Keys())
        observer.start()
        threads = [threading.Thread(target=part) for part in (self._kill, self._outages)]
        for thread in threads:
            thread.start()
        order, report = self._stage.send(
            port, OURS, self._plan.events, self._plan.events / self._plan.rate + 30.0, rate=self._plan.rate
        )
        self._over.set()
        for thread in threads:
            thread.join()
        missing = self._delivered(order.first, report.sent)
        delivered = time.monotonic()
        self._rest(observer)
        behind = time.monotonic() - delivered
        observer.stopping.set()
        observer.join()
        self._stage.end("worker")
        self._fired["worker killed"] = self._kills
        self._fired.update(line.step for line in _journal(self._journal) if line.what == "fault")
        verdict, rows = self._judge(observer, report.sent, missing)
        seconds = time.monotonic() - started
        return LogResult(verdict, len(observer.kinds), self._kills, report.sent, seconds, rows, self._fired, behind)

    def _section(self) -> dict[str, Any]:
        return {
            "enabled": True,
            "targets": ["file", "sqlite", "postgres"],
            "file_dir": str(self._disk / "events"),
            "sqlite_path": str(self._stage.folder / "events.sqlite"),
            "file": {"rotate_bytes": 4_000_000},
        }

    def _named(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self._database)
        return found

    def _kill(self) -> None:
        """Kill one worker after the other; the processes that write die with them, or before at their step."""
        each = self._plan.events / self._plan.rate / (self._plan.kills + 1)
        for number in range(1, self._plan.kills + 1):
            if self._over.wait(each):
                break
            self._stage.kill_worker()
            self._kills += 1
            self._worker(number)

    def _worker(self, number: int) -> None:
        """Start the next worker, with the fault of its turn, and the mutant if there is one."""
        arguments: list[str] = []
        if self._plan.steps and number < self._plan.kills:
            arguments += ["--fault", str(Fault(self._step(number), 2))]
        if self._plan.mutant:
            arguments += ["--mutant", self._plan.mutant]
        self._stage.worker(*(("ops.faults.launch", *arguments, "--") if arguments else ()))

    def _step(self, number: int) -> str:
        return self._plan.steps[number % len(self._plan.steps)]

    def _outages(self) -> None:
        if self._over.wait(_PEACE):
            return
        if self._plan.postgres_away:
            self._postgres.stop()
            self._fired["postgres stopped"] += 1
        if self._plan.disk_full and os.path.ismount(self._disk):
            with _full(self._disk):
                self._fired["disk full"] += 1
                self._over.wait(self._plan.disk_full)
        if self._plan.postgres_away:
            self._over.wait(max(self._plan.postgres_away - self._plan.disk_full, 0.0))
            self._postgres.start()

    def _delivered(self, first: int, sent: int) -> int:
        """Wait until the hook has all; return how many it lacks after a while without any more."""
        received = self._stage.ledger.received
        missing, since = sent, time.monotonic()
        while missing and time.monotonic() - since < self._plan.patience:
            found = sum(1 for at in received[first : first + sent] if not at)
            if found < missing:
                missing, since = found, time.monotonic()
            time.sleep(0.5)
        return missing

    def _rest(self, observer: Observer) -> None:
        """Wait until no target has anything left to read or to write, or nothing moves any more."""
        last: tuple[int, ...] = ()
        since = time.monotonic()
        while time.monotonic() - since < self._plan.patience:
            groups = cast(list[dict[str, Any]], self._stage.redis.xinfo_groups(Keys().activity))
            lags = tuple(int(group["lag"] or 0) + int(group["pending"]) for group in groups)
            # What a killed worker had delivered and not settled comes once more when its lease is over.
            lags = (*lags, int(cast(dict[str, Any], self._stage.redis.xpending(Keys().events, GROUP))["pending"]))
            if len(lags) == 4 and not any(lags) and (*lags, len(observer.kinds)) == last:
                return
            if (*lags, len(observer.kinds)) != last:
                last, since = (*lags, len(observer.kinds)), time.monotonic()
            time.sleep(1.0)

    def _judge(self, observer: Observer, sent: int, missing: int) -> tuple[LogVerdict, dict[str, int]]:
        verdict = LogVerdict(undelivered=missing)
        wanted = observer.kinds.keys()
        counts = {}
        ids_of = {"file": Counter(_lines(self._disk / "events"))}
        for name, target in self._targets().items():
            ids_of[name] = Counter(row.id for row in target.rows(Wanted(newest_first=False)))
            target.close()
        for name, ids in ids_of.items():
            counts[name] = ids.total()
            verdict.missing[name] = len(wanted - ids.keys())
            verdict.strange[name] = len(ids.keys() - wanted)
            verdict.doubled[name] = ids.total() - len(ids)
        verdict.missing, verdict.strange, verdict.doubled = +verdict.missing, +verdict.strange, +verdict.doubled
        events = self._events()
        verdict.unlogged = sum(len(events - subjects) for subjects in observer.subjects.values())
        verdict.unlogged += max(sent - len(events), 0)
        dropped = cast(dict[bytes, bytes], self._stage.redis.hgetall(Keys().dropped))
        verdict.dropped = sum(int(count) for count in dropped.values())
        return verdict, counts

    def _events(self) -> set[str]:
        """Return the ids of all events that came in, as the events stream itself has them."""
        found: set[str] = set()
        after = "-"
        while rows := cast(list[Any], self._stage.redis.xrange(Keys().events, after, "+", 5_000)):
            found |= {entry_id.decode() for entry_id, _ in rows}
            after = f"({rows[-1][0].decode()}"
        return found

    def _targets(self) -> dict[str, Target]:
        """Return the databases; the files are read without our code, which might leave out what stands there twice."""
        return {
            "sqlite": SqliteTarget(self._stage.folder / "events.sqlite", "event_logs", Kept()),
            "postgres": PostgresTarget(self._database, "event_logs", Kept()),
        }


def carry_out(events: int, *, mutants: bool) -> bool:
    """Carry the runs out and print a row each; return whether each came out as expected."""
    print(f"\n{_HEAD}", flush=True)
    # A worker has to live for some seconds, or it never comes to its step.
    rate = min(LogPlan.rate, events / 70)
    plans = [("all at once", LogPlan(events=events, rate=rate, steps=tuple(LOG_STEPS)), "")]
    for name, mutant in LOG_MUTANTS.items() if mutants else ():
        calm = LogPlan(
            events=2_500, rate=100.0, kills=4, postgres_away=0, disk_full=0, steps=(mutant.step,), patience=15.0
        )
        plans.append((name, dataclasses.replace(calm, mutant=name), mutant.shows))
        plans.append(("  the same without it", calm, ""))
    good = True
    for name, plan, shows in plans:
        result = run(plan)
        verdict = result.verdict
        as_expected = bool(getattr(verdict, shows)) if shows else verdict.green
        good = good and as_expected
        said = ("green" if verdict.green else "red") + ("" if as_expected else " !!")
        wrong = (verdict.missing.total(), verdict.doubled.total(), verdict.strange.total(), verdict.unlogged)
        figures = (result.sent, result.records, *(result.rows[name] for name in ("file", "sqlite", "postgres")))
        print(_ROW.format(name, *figures, result.kills, *wrong, verdict.dropped, round(result.seconds), said))
        print(f"    {dict(result.fired)}, all targets had everything {result.behind:.0f} s after the last receipt")
        if not as_expected:
            print(f"    {verdict}", flush=True)
    return good


_ROW = "{:<21} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>8} {:>9} {:>8} {:>5}  {}"
_HEAD = _ROW.format(
    *("the log", "events", "records", "file", "sqlite", "postgres", "kills"),
    *("missing", "doubled", "strange", "unlogged", "dropped", "s", "verdict"),
)


def _journal(path: Path) -> list[Line]:
    """Return what the processes wrote down, where a fault was put into one."""
    found = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Line) for line in found]


def _lines(folder: Path) -> Iterator[str]:
    """Yield the id of each line in the files of the log."""
    for path in folder.glob("events*.jsonl*"):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield json.loads(line)["id"]


@contextlib.contextmanager
def _full(folder: Path) -> Iterator[None]:
    """Fill a disk to its last byte, and empty it again."""
    filler = folder / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 1_000_000)
            file.flush()
    try:
        yield
    finally:
        filler.unlink()
