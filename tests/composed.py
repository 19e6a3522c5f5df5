"""compose.yaml as it is, run by podman-compose; and what can be asked of it from outside."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from tests.podman import Podman
from tests.stand_ins import COMPOSE, LEFT_OUT, services

T = TypeVar("T")
SCRIPTS = COMPOSE.parent / "ops" / "compose"


@dataclass
class Composed:
    """One project: `profile` is one of the file's or "", `port` the gateway's, `environ` what else stands in .env."""

    podman: Podman
    project: str
    profile: str = ""
    port: int = 8080
    environ: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *words: str, timeout: float = 240.0) -> str:
        """Run a command of podman-compose."""
        return self.podman.run(*self._command, *words, timeout=timeout, **self._environ)

    def script(self, name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a script of ops/compose/ on this project."""
        command = ["sh", SCRIPTS / name, *words]
        return self.podman.tried(*command, timeout=240.0, **self._environ, COMPOSE=" ".join(self._command))

    @property
    def _command(self) -> list[str]:
        program = Path(sys.executable).parent / "podman-compose"
        chosen = ["--profile", self.profile] if self.profile else []
        return [str(program), "-f", str(COMPOSE), "-p", self.project, *chosen]

    @property
    def _environ(self) -> dict[str, str]:
        return {"WHATSHOOKED_PORT": str(self.port), **self.environ}

    def services(self) -> list[str]:
        """Return the services of the profile for which there is an image."""
        ours = {"", self.profile}
        return [
            name
            for name, service in services().items()
            if name not in LEFT_OUT and ours.intersection(service.get("profiles", [""]))
        ]

    def up(self, *names: str, **scale: int) -> None:
        """Start services, all there are unless named, and as many of each as said."""
        counts = [word for name, count in scale.items() for word in ("--scale", f"{name}={count}")]
        self.compose("up", "--detach", "--no-build", *counts, *(names or self.services()))

    def down(self, *words: str) -> None:
        """Stop and remove all containers; `-v` removes the volumes as well."""
        self.compose("down", *words)

    def containers(self, *words: str) -> dict[str, Any]:
        """Return what podman knows of each running container, by its name without the project; `--all`: ended, too."""
        ours = ("--filter", f"label=com.docker.compose.project={self.project}")
        names = self.podman.run("podman", "ps", "--quiet", *ours, *words)
        found = json.loads(self.podman.run("podman", "inspect", *names.split())) if names.split() else []
        return {one["Name"].removeprefix(f"{self.project}_"): one for one in found}

    def inside(self, name: str, *command: str) -> str:
        """Return what a command says in a container such as "web_1"."""
        return self.podman.run("podman", "exec", f"{self.project}_{name}", *command)

    def logs(self, name: str) -> str:
        """Return all that a container said."""
        done = self.podman.tried("podman", "logs", f"{self.project}_{name}")
        return done.stdout + done.stderr

    def answers(self, path: str) -> int:
        """Return the status with which the gateway answers, 0 for nothing."""
        try:
            return _get(f"http://127.0.0.1:{self.port}{path}").status_code
        except httpx.HTTPError:
            return 0

    def is_healthy(self, name: str) -> bool:
        """Carry out a container's own health check: there is no service manager here that would, at its times."""
        return self.podman.tried("podman", "healthcheck", "run", f"{self.project}_{name}").returncode == 0


def query(expression: str) -> list[tuple[dict[str, str], float]]:
    """Return the series of a query to Prometheus: labels and value."""
    url = f"http://127.0.0.1:9090/api/v1/query?{urlencode({'query': expression})}"
    found = _get(url).raise_for_status().json()["data"]["result"]
    return [(one["metric"], float(one["value"][1])) for one in found]


def _get(url: str) -> httpx.Response:
    """Ask loopback of the network in which the containers' ports are published, without a proxy."""
    with httpx.Client(trust_env=False, timeout=5.0) as client:
        return client.get(url)


def wait_for(look: Callable[[], T], what: str, seconds: float = 90.0) -> T:
    """Return what a look finds once it finds something; raises TimeoutError that says what was not there."""
    until = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > until:
            raise TimeoutError(f"after {seconds:g} s still not so: {what}")
        time.sleep(0.3)
    return found
