"""Those who watch: a real Prometheus with our rules made short, a real Alertmanager, and the bell that it rings."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from ops.alarms.scale import shrink, shrink_duration
from ops.faults.valkey import tied
from ops.listen import Listener, Reply, Request
from ops.ports import free_port

OPS = Path(__file__).parent.parent
#: The programs, by the names that Debian gives them.
PROMETHEUS, ALERTMANAGER = "prometheus", "prometheus-alertmanager"
#: Seconds between two scrapes, and between two looks at the rules; and between two of our looks.
EVERY, _LOOK = 0.5, 0.1
_START = 30.0

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Ring:
    """One alarm as Alertmanager told it."""

    labels: Labels
    annotations: Labels


@dataclass
class Watch:
    """The two programs and what came of them; `rings` in the order in which they came."""

    prometheus: str
    alertmanager: str
    client: httpx.AsyncClient
    rings: list[Ring] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        """Take what Alertmanager tells."""
        for alert in json.loads(request.body)["alerts"]:
            self.rings.append(Ring(alert["labels"], alert["annotations"]))
        return Reply(200)

    async def active(self) -> list[Labels]:
        """Return the labels of every alarm that Alertmanager has now, those that follow from another included."""
        answer = await self.client.get(f"{self.alertmanager}/api/v2/alerts")
        return [alert["labels"] for alert in answer.raise_for_status().json()]

    async def begun(self) -> list[Labels]:
        """Return the labels of every alarm that Prometheus has, also of those whose `for` is not over."""
        answer = await self.client.get(f"{self.prometheus}/api/v1/alerts")
        return [alert["labels"] for alert in answer.raise_for_status().json()["data"]["alerts"]]

    async def until(self, alarm: str, labels: Labels, *, stands: bool, patience: float) -> None:
        """Wait until an alarm stands, or until it does not; raises TimeoutError."""
        async with asyncio.timeout(patience):
            while matches(alarm, labels, await self.active()) != stands:
                await asyncio.sleep(_LOOK)


def matches(alarm: str, labels: Labels, active: list[Labels]) -> bool:
    """Return whether an alarm with these labels is among the active ones."""
    wanted = {"alertname": alarm, **labels}
    return any(wanted.items() <= one.items() for one in active)


def all_rules() -> str:
    """Return the rules of every alarm, those that Kubernetes alone has among them, as a file."""
    document = yaml.safe_load((OPS / "alerts.yml").read_text())
    volumes = yaml.safe_load((OPS / "k8s/components/monitoring/volumes.yaml").read_text())
    return yaml.safe_dump({"groups": [*document["groups"], *volumes["spec"]["groups"]]}, sort_keys=False)


def missing() -> str:
    """Return the program that is not there, or ""."""
    return next((name for name in (PROMETHEUS, ALERTMANAGER) if shutil.which(name) is None), "")


@contextlib.asynccontextmanager
async def watching(folder: Path, targets: Mapping[str, int]) -> AsyncIterator[Watch]:
    """Watch the metrics of jobs on ports of this machine, until the block ends."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        prometheus, alertmanager = free_port(), free_port()
        watch = Watch(f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{alertmanager}", client)
        async with Listener(watch.answer) as bell:
            rules = folder / "alerts.yml"
            rules.write_text(shrink(all_rules()))
            (folder / "prometheus.yml").write_text(_prometheus(rules, targets, alertmanager))
            (folder / "alertmanager.yml").write_text(_alertmanager(bell.url("bell")))
            started = [_start_alertmanager(folder, alertmanager), _start_prometheus(folder, prometheus)]
            try:
                await _ready(client, f"{watch.alertmanager}/-/ready", folder)
                # What fires before Prometheus knows of its Alertmanager is told a minute later.
                await _ready(client, f"{watch.prometheus}/api/v1/alertmanagers", folder, '"url"')
                yield watch
            finally:
                for process in started:
                    process.kill()
                    process.wait()


def _start_prometheus(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    return _start(folder, PROMETHEUS, *options, f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn")


def _start_alertmanager(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    options = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alertmanager'}"]
    alone = "--cluster.listen-address="
    return _start(folder, ALERTMANAGER, *options, f"--web.listen-address=127.0.0.1:{port}", alone, "--log.level=warn")


def _start(folder: Path, *command: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{command[0]}.log").open("ab") as log:
        program = shutil.which(command[0]) or command[0]
        return subprocess.Popen(
            tied([program, *command[1:]]), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


async def _ready(client: httpx.AsyncClient, url: str, folder: Path, holds: str = "") -> None:
    deadline = time.monotonic() + _START
    while True:
        with contextlib.suppress(httpx.HTTPError):
            answer = await client.get(url)
            if answer.status_code == 200 and holds in answer.text:
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} does not answer: see the logs in {folder}")
        await asyncio.sleep(_LOOK)


def _prometheus(rules: Path, targets: Mapping[str, int], alertmanager: int) -> str:
    """Return our own configuration, with its jobs' names and other places."""
    document: Any = yaml.safe_load((OPS / "prometheus.yml").read_text())
    every = f"{round(EVERY * 1000)}ms"
    document["global"] = {"scrape_interval": every, "evaluation_interval": every}
    document["rule_files"] = [str(rules)]
    document["alerting"] = {"alertmanagers": [_static(alertmanager)]}
    ours = [job["job_name"] for job in document["scrape_configs"]]
    for job in document["scrape_configs"]:
        del job["dns_sd_configs"]
        job.update(_static(targets[job["job_name"]]))
    others = [{"job_name": name, **_static(port)} for name, port in targets.items() if name not in ours]
    document["scrape_configs"] += others
    return yaml.safe_dump(document)


def _static(port: int) -> dict[str, Any]:
    return {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}


def _alertmanager(bell: str) -> str:
    """Return our own configuration, with its waits made short and the bell as every receiver."""
    document: Any = yaml.safe_load((OPS / "alertmanager.yml").read_text())
    for route in (document["route"], *document["route"]["routes"]):
        for name in ("group_wait", "group_interval"):
            if name in route:
                route[name] = shrink_duration(route[name])
    for receiver in document["receivers"]:
        receiver["webhook_configs"] = [{"url": bell, "send_resolved": True}]
    return yaml.safe_dump(document)
