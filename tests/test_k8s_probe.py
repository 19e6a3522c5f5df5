"""The worker's liveness probe of ops/k8s/, run as the platform runs it: against a real worker that is ill, or not."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ops.ports import free_port
from tests.conftest import REPO, account
from tests.manifests import container
from whatshooked.embedded.binary import find_binary

#: The worker; SIGUSR1 hangs its event loop, while its other threads go on.
WORKER = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))
from whatshooked.cli import main
sys.exit(main(["worker"]))
"""
#: Seconds for which a loop may stand still here, more than one call to a Redis that hangs; the probe is more patient.
PATIENCE = 12.0


class Ground:
    """A Valkey on a port of its own, a worker's config, and what was started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.redis_port, self.metrics_port = folder, free_port(), free_port()
        self.started: list[subprocess.Popen[bytes]] = []
        url = f"redis://127.0.0.1:{self.redis_port}"
        self.config = folder / "config.json"
        self.config.write_text(json.dumps({"whatsapp": [account()], "redis": {"url": url}}))
        self.env = os.environ | {
            "PYTHONPATH": str(REPO),
            "WHATSHOOKED_CONFIG": str(self.config),
            "WHATSHOOKED_METRICS_HOST": "127.0.0.1",
            "WHATSHOOKED_METRICS_PORT": str(self.metrics_port),
            "XDG_RUNTIME_DIR": str(folder),
        }

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program; it ends with the test."""
        log = (self.folder / f"log{len(self.started)}").open("wb")
        with log:
            process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def valkey(self) -> "subprocess.Popen[bytes]":
        """Start the server."""
        return self.start(str(find_binary().path), "--port", str(self.redis_port), "--bind", "127.0.0.1")

    def worker(self) -> "subprocess.Popen[bytes]":
        """Start the worker."""
        return self.start(sys.executable, "-c", WORKER)

    def probe(self, *, patience: float = PATIENCE) -> tuple[int, str]:
        """Run the probe's command here: its exit code and what it said."""
        program, *arguments = container("whatshooked-worker")["livenessProbe"]["exec"]["command"]
        assert program == "whatshooked"
        here = [str(self.metrics_port) if one == "9464" else one for one in arguments]
        command = [sys.executable, "-m", "whatshooked", *here, "--patience", str(patience)]
        said = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=30, check=False)
        return said.returncode, said.stderr

    async def probed(self, code: int, said: str = "", *, patience: float = PATIENCE) -> None:
        """Run the probe until it ends so; fails after a while."""
        until = time.monotonic() + 30
        while (found := self.probe(patience=patience)) and not (found[0] == code and re.search(said, found[1])):
            assert time.monotonic() < until, found
            await asyncio.sleep(0.1)

    async def scraped(self, fits: Callable[[str], bool]) -> None:
        """Read the worker's metrics until they fit."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client, asyncio.timeout(30):
            while not fits((await client.get(f"http://127.0.0.1:{self.metrics_port}/metrics")).text):
                await asyncio.sleep(0.1)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Everything of one test; what was started ends with it, stopped or hung."""
    found = Ground(tmp_path)
    yield found
    for process in found.started:
        process.kill()
        process.wait()


def stands_still(text: str) -> bool:
    """Whether Redis is away, and some loop of those that carry events has stood still beyond patience."""
    turns = re.findall(r'turn_timestamp_seconds\{loop="(?:reader|claimer|sending|switches)"\} (\S+)', text)
    return "whatshooked_redis_up 0.0" in text and any(time.time() - float(one) > PATIENCE for one in turns)


async def test_a_worker_lives_while_redis_is_away(ground: Ground) -> None:
    """Hung, gone and back: a restart would not bring Redis back, so none is asked for."""
    valkey = ground.valkey()
    ground.worker()
    await ground.probed(0)
    await ground.scraped(lambda text: 'turn_timestamp_seconds{loop="reader"}' in text)
    valkey.send_signal(signal.SIGSTOP)
    await ground.scraped(stands_still)
    assert ground.probe() == (0, "")
    valkey.kill()
    valkey.wait()
    await ground.scraped(lambda text: "whatshooked_redis_up 0.0" in text)
    assert ground.probe() == (0, "")
    ground.valkey()
    await ground.scraped(lambda text: "whatshooked_redis_up 1.0" in text)
    await ground.probed(0)


async def test_a_worker_that_has_yet_to_find_redis_lives(ground: Ground) -> None:
    """Started while Redis is away it waits, and the probe does not end it before Redis comes."""
    ground.worker()
    await ground.probed(0)
    ground.valkey()
    await ground.scraped(lambda text: 'turn_timestamp_seconds{loop="reader"}' in text)
    assert ground.probe() == (0, "")


async def test_a_worker_that_hangs_is_ended(ground: Ground) -> None:
    """Its loops stand still while its port still answers; then it answers nothing; then it is gone."""
    ground.valkey()
    worker = ground.worker()
    await ground.probed(0)
    await ground.scraped(lambda text: 'turn_timestamp_seconds{loop="reader"}' in text)
    worker.send_signal(signal.SIGUSR1)
    await ground.probed(1, r"the loop \w+ has stood still for \d+ s")
    worker.send_signal(signal.SIGSTOP)
    assert ground.probe() == (1, f"no answer at 127.0.0.1:{ground.metrics_port}: timed out\n")
    worker.kill()
    worker.wait()
    code, said = ground.probe()
    assert (code, "Connection refused" in said) == (1, True)
