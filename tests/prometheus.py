"""A real Prometheus of a test's own; where the program is missing the test is skipped with the reason."""

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.wanted import lacking

#: Seconds in which it has to have started, or stopped.
PATIENCE = 30.0


def program(name: str) -> str:
    """The path of a program of Debian's; skips the test without it, or fails it in continuous integration."""
    found = shutil.which(name)
    if found is None:
        lacking(f"no {name}: apt install prometheus")
    return found


@dataclass
class Prometheus:
    """One that runs; `url` is where it answers."""

    url: str
    client: httpx.Client

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return the `data` of an answer of its API (`path` after /api/v1/); raises AssertionError with its error."""
        answer = self.client.get(f"/api/v1/{path}", params=parameters)
        said = answer.json()
        assert said["status"] == "success", f"{parameters}: {said.get('error')}"
        return said["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the series of an expression as it is now, each with `metric` and `value`."""
        found: list[dict[str, Any]] = self.ask("query", query=expr)["result"]
        return found

    def wait(self, expr: str, is_so: Callable[[list[dict[str, Any]]], bool] = bool, timeout: float = PATIENCE) -> Any:
        """Return the series of an expression once they are so, by default once there are any; raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while not is_so(found := self.query(expr)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{expr} stays at {found}")
            time.sleep(0.1)
        return found


@contextlib.contextmanager
def prometheus(
    folder: Path,
    jobs: Mapping[str, Sequence[str]],
    *,
    rules: Sequence[Path] = (),
) -> Iterator[Prometheus]:
    """Run one in a folder on a free port; `jobs` maps a job's name to its `host:port`s."""
    folder.mkdir(parents=True, exist_ok=True)
    config, said = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(yaml.safe_dump(_config(jobs, rules)))
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--web.enable-lifecycle",
    ]
    with said.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://{_address(process, said)}"
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            _wait_ready(client)
            yield Prometheus(url, client)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _config(jobs: Mapping[str, Sequence[str]], rules: Sequence[Path]) -> dict[str, Any]:
    return {
        "global": dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s"),
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(targets)}]} for job, targets in jobs.items()
        ],
    }


def _address(process: "subprocess.Popen[bytes]", said: Path) -> str:
    """Return where it listens, as its log says; it chose the port itself."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r'"Listening on" address=(\S+)', said.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(said.read_text()[-2000:])
        time.sleep(0.05)
    return found[1]


def _wait_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + PATIENCE
    while client.get("/-/ready").status_code != 200:
        if time.monotonic() > deadline:
            raise TimeoutError("Prometheus does not become ready")
        time.sleep(0.05)
