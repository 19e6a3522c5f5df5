"""The processes of a benchmark: Valkey as the product ships it, the programs, the hook and the sender."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import msgspec
from redis import Redis

from ops.bench import environment
from ops.bench.bodies import NUMBER_ID, SECRET
from ops.bench.ledger import CAPACITY, Ledger
from ops.bench.load import Order, Report
from ops.ports import free_port
from whatshooked.embedded import Embedded

_REPO = Path(__file__).parents[2]
_UVICORN = (
    "-m",
    "uvicorn",
    "--http",
    "httptools",
    "--loop",
    "uvloop",
    "--no-access-log",
    "--log-level",
    "warning",
    "--no-proxy-headers",
    "--no-server-header",
)
_CLOCK_TICK = os.sysconf("SC_CLK_TCK")
_PATIENCE = 30.0

OURS, PLAIN = "/webhooks/whatsapp/bench", "/webhook"


class Stage:
    """Starts processes and ends all of them at the end; `folder` holds their data and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._used = 0
        self._valkey = Embedded.open(folder / "valkey")
        self.socket = self._valkey.url.removeprefix("unix://")
        self.redis = Redis(unix_socket_path=self.socket)
        self.ledger = Ledger(folder / "ledger")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end(*reversed(self._processes))
        self.redis.close()
        self._valkey.close()

    def raw(self) -> int:
        """Start the server that answers 200 to everything; returns its port."""
        return self._server("raw", [sys.executable, *_UVICORN, "ops.bench.raw:app"])

    def celery(self) -> int:
        """Start FastAPI + Celery; returns its port."""
        command = [str(environment.python()), *_UVICORN, "ops.bench.baseline.with_celery:app"]
        return self._server("celery", command, self._baseline())

    def arq(self, hook: int) -> int:
        """Start FastAPI + arq, with its worker; returns its port."""
        python = str(environment.python())
        self._start(
            "arq-worker",
            [python, "-m", "arq", "ops.bench.baseline.with_arq.WorkerSettings"],
            self._baseline(hook),
        )
        return self._server("arq-web", [python, *_UVICORN, "ops.bench.baseline.with_arq:app"], self._baseline(hook))

    def ours(self, hook: int | None = None, graph: int = 9, **sections: Any) -> int:
        """Start our web process, and a worker when there is a hook to deliver to; returns the port.

        `graph` is the port of Meta's Graph and of its files; nobody answers at 9. `sections` are the config's others.
        """
        port = free_port()
        config = self.folder / "config.json"
        document = _document(port, self._valkey.url, hook, graph, self.folder / "media") | sections
        config.write_text(json.dumps(document))
        self._start("web", [sys.executable, "-m", "whatshooked", "serve"], {"WHATSHOOKED_CONFIG": str(config)})
        self._await_port("web", port)
        if hook is not None:
            self.worker()
        return port

    def worker(self, *launched: str) -> None:
        """Start a worker of what `ours` started, as an argument of another program if one is named."""
        named = {"WHATSHOOKED_CONFIG": str(self.folder / "config.json")}
        self._start("worker", [sys.executable, "-m", *(launched or ("whatshooked",)), "worker"], named)

    def has_worker(self) -> bool:
        """Return whether the worker lives."""
        return self._processes["worker"].poll() is None

    def kill_worker(self) -> None:
        """Kill the worker, as a machine's end would."""
        process = self._processes.pop("worker")
        process.kill()
        process.wait()

    def hook(self) -> int:
        """Start the receiver; returns its port."""
        port = free_port()
        self._start(
            "receiver", [sys.executable, "-m", "ops.bench.receiver", str(port), str(self.folder / "ledger")], {}
        )
        self._await_port("receiver", port)
        return port

    def file_host(self) -> int:
        """Start Meta's file host; returns its port."""
        port = free_port()
        self._start("file-host", [sys.executable, "-m", "ops.bench.files", str(port)], {})
        self._await_port("file-host", port)
        return port

    def send(self, port: int, path: str, count: int, seconds: float, **more: Any) -> tuple[Order, Report]:
        """Send fresh events from a process of its own and return what came of it; raises RuntimeError."""
        order = Order(port, path, str(self.folder / "ledger"), self._used, count, seconds, **more)
        self._used += count * order.messages
        if self._used > CAPACITY:
            raise RuntimeError(f"the ledger has room for {CAPACITY} events: raise CAPACITY")
        command = [sys.executable, "-m", "ops.bench.load"]
        done = subprocess.run(command, input=msgspec.json.encode(order), stdout=subprocess.PIPE, cwd=_REPO, check=True)
        report = msgspec.json.decode(done.stdout, type=Report)
        if not report.ok:
            raise RuntimeError(f"no request was answered with 200: see the logs in {self.folder}")
        return order, report

    def end(self, *names: str) -> None:
        """End processes in this order."""
        for name in names:
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end_all(self) -> None:
        """End every program and empty Redis."""
        self.end(*reversed(self._processes))
        self.redis.flushall()

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds that each process has used so far."""
        known = {name: process.pid for name, process in self._processes.items()}
        known["valkey"] = int(self._info("server")["process_id"])
        if children := _children(known.get("worker", 0)):
            known["log"] = children[0]
        return {name: _cpu_of(pid) for name, pid in known.items()}

    def redis_micros(self) -> int:
        """Return the microseconds that Redis has spent in the gateway's scripts and reads."""
        stats = self._info("commandstats")
        return sum(int(stats[name]["usec"]) for name in _COMMANDS if name in stats)

    def _info(self, section: str) -> dict[str, Any]:
        return cast(dict[str, Any], self.redis.info(section))

    def _server(self, name: str, command: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
        port = free_port()
        self._start(name, [*command, "--port", str(port)], environ or {})
        self._await_port(name, port)
        return port

    def _start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=_REPO,
                env=os.environ | dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _await_port(self, name: str, port: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._processes[name].poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"{name} does not start: see {self.folder / name}.log")

    def _baseline(self, hook: int = 0) -> dict[str, str]:
        url = f"http://127.0.0.1:{hook}/hook"
        return {"BENCH_SECRET": SECRET, "BENCH_SOCKET": self.socket, "BENCH_HOOK": url}


#: What the gateway calls per event; the commands inside a script count with the script.
_COMMANDS = ("cmdstat_evalsha", "cmdstat_xreadgroup")


def _document(port: int, redis: str, hook: int | None, graph: int, media: Path) -> dict[str, Any]:
    api = {
        "phone_number_id": NUMBER_ID,
        "access_token": "token-of-the-bench",
        "verify_token": "verify-token-of-the-bench-0123456789",
        "app_secret": SECRET,
        "graph_url": f"http://127.0.0.1:{graph}",
    }
    account = {"id": "bench", "type": "business-api", "phone_number": "+4930111000", "business_api": api}
    url = f"http://127.0.0.1:{hook}/hook"
    hooks = [{"id": "h", "name": "h", "url": url, "method": "POST", "active": True, "events": ["message.*"]}]
    return {
        "server": {"host": "127.0.0.1", "port": port},
        "whatsapp": [account],
        "hooks": hooks if hook else [],
        "redis": {"url": redis},
        "media": {"data_path": str(media)},
    }


def _children(parent: int) -> list[int]:
    """Return the processes that a process started: a worker's only one writes the event log."""
    found = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in found.read_text().split()] if parent and found.exists() else []


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICK
