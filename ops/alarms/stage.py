"""All the processes of one installation, with those who watch it. Ends only what it started."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ops.alarms.graph import Graph, number_id, phone, token
from ops.alarms.launch import BUG, HANG
from ops.alarms.peers import SECRET, Hooks, Kubelet, Meta, webhook
from ops.alarms.watch import Watch, watching
from ops.faults.valkey import Valkey, tied
from ops.listen import Listener
from ops.ports import free_port
from ops.postgres import Postgres
from ops.selfcheck import enqueue_self_check
from whatshooked.boot import CONFIG_VARIABLE
from whatshooked.cli.serve import LISTEN_VARIABLE
from whatshooked.keys import Keys
from whatshooked.meta.signature import sign
from whatshooked.simulator.world.model import Media
from whatshooked.stream.link import Link

REPO = Path(__file__).parent.parent.parent
API_KEY = "api-key-of-the-alarms"
JOBS = {"serve": "whatshooked-web", "worker": "whatshooked-worker"}
_START = 30.0
#: The longest pause of a loop, by the same scale as the age at which a loop that stands still is an alarm; and half a
#: minute, which concerns nobody.
_WAITS = {"sweep": 10, "usual": 0.5, "kept": 0.5}


@dataclass(frozen=True)
class Plan:
    """An installation: its accounts, its hooks (they and the traffic are the first account's), more of its config.

    `rate` is messages a second; `waits` are the product's own waits made short (`launch.WAITS`); `disk` is a small one
    of its own for files, `postgres` the server of its log; `narrow` are hooks that take one event at a time.
    """

    accounts: Sequence[str] = ("shop",)
    hooks: Sequence[str] = ("crm",)
    sections: Mapping[str, Any] = field(default_factory=dict)
    waits: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 10.0
    disk: Path | None = None
    postgres: Postgres | None = None
    narrow: Sequence[str] = ()


class Stage:
    """The installation and its surroundings; made by `staged`."""

    def __init__(
        self, folder: Path, plan: Plan, valkey: Valkey, graph: Graph, hooks: Hooks, hooks_at: Listener
    ) -> None:
        self.folder = folder
        self.plan = plan
        self.valkey = valkey
        self.graph = graph
        self.hooks = hooks
        self.keys = Keys("alarms")
        self.link = Link(valkey.url)
        #: What the config says differently now: by account of its business_api.
        self.api: dict[str, dict[str, Any]] = {}
        #: Files at Meta whose downloads fail.
        self.spoiled: list[Media] = []
        self._hooks_at = hooks_at
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {kind: free_port() for kind in JOBS}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.set_inheritable(True)
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.meta = Meta(self.base, plan.accounts[0], number_id(0), plan.rate)
        self.client = httpx.AsyncClient(timeout=10, trust_env=False, headers={"x-api-key": API_KEY})
        self.watch: Watch | None = None

    def configure(self) -> None:
        """Write the config, one file for each kind of process: each serves its metrics as if in a container alone."""
        for kind, port in self.ports.items():
            (self.folder / kind).mkdir(exist_ok=True)
            (self.folder / kind / "config.json").write_text(json.dumps(self._document(port)))

    def _document(self, port: int) -> dict[str, Any]:
        accounts = [self._account(place, name) for place, name in enumerate(self.plan.accounts)]
        known = {"method": "POST", "active": True, "events": ["message.*"], "accounts": [self.plan.accounts[0]]}
        hooks = [
            {"id": name, "name": name, "url": self._hooks_at.url(name), **known}
            | ({"concurrency": 1} if name in self.plan.narrow else {})
            for name in self.plan.hooks
        ]
        return {
            "server": {"host": "127.0.0.1", "port": 0, "auth_key": API_KEY},
            "metrics": {"host": "127.0.0.1", "port": port},
            "whatsapp": accounts,
            "hooks": hooks,
            "redis": {"url": self.valkey.url, "prefix": self.keys.prefix},
            "media": {"data_path": str(self.folder / "media")},
            **self.plan.sections,
        }

    def _account(self, place: int, name: str) -> dict[str, Any]:
        api = {
            "phone_number_id": number_id(place),
            "access_token": token(name),
            "verify_token": "verify-token-of-the-alarms-0123456789",
            "app_secret": SECRET,
            "graph_url": self.graph.world.address,
        }
        known = {"id": name, "type": "business-api", "phone_number": f"+{phone(place)}"}
        return known | {"business_api": api | self.api.get(name, {})}

    def start(self, kind: str) -> None:
        """Start `serve` or `worker`."""
        folder = self.folder / kind
        (folder / "counts").mkdir(exist_ok=True)
        environment = {
            CONFIG_VARIABLE: str(folder / "config.json"),
            LISTEN_VARIABLE: str(self._listener.fileno()),
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "counts"),
            "PYTHONPATH": str(REPO),
            HANG: str(self.folder / "hang"),
            BUG: str(self.folder / "bug"),
        }
        waits = [f"{name}={json.dumps(value)}" for name, value in {**_WAITS, **self.plan.waits}.items()]
        with (self.folder / f"{kind}.log").open("ab") as log:
            self._running[kind] = subprocess.Popen(
                tied([sys.executable, "-m", "ops.alarms.launch", *waits, "--", kind]),
                cwd=REPO,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._listener.fileno(),) if kind == "serve" else (),
            )

    def kill(self, kind: str) -> None:
        """SIGKILL it."""
        process = self._running.pop(kind)
        process.kill()
        process.wait()

    def reload(self) -> None:
        """Write the config anew and have it read."""
        self.configure()
        for process in self._running.values():
            process.send_signal(signal.SIGHUP)

    async def command(self, *words: str) -> int:
        """Run one of our commands, and return its exit code."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "whatshooked", *words, "-c", str(self.folder / "serve" / "config.json")),
            cwd=REPO,
            stdout=subprocess.DEVNULL,
        )
        return await process.wait()

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """Call the API and return what it answers; raises httpx.HTTPError."""
        answer = await self.client.request(method, f"{self.base}/api/{path}", **more)
        return answer.raise_for_status().json()

    async def check_itself(self) -> int:
        """Let a worker hold the keys against each other now, as arq lets one do each hour; return what it found."""
        before = await self._disagreements()
        key = await enqueue_self_check(self.link, self.keys, f"now{time.time_ns()}")
        async with asyncio.timeout(_START):
            while await self.link.call("EXISTS", key):
                await asyncio.sleep(0.05)
        return await self._disagreements() - before

    async def _disagreements(self) -> int:
        told = await self.client.get(f"http://127.0.0.1:{self.ports['worker']}/metrics")
        found = re.search(r"^whatshooked_disagreements_total (\S+)$", told.raise_for_status().text, re.MULTILINE)
        if found is None:
            raise RuntimeError("the worker does not tell of disagreements")
        return int(float(found[1]))

    async def named(self, query: str) -> set[str]:
        """Return the customers whom the dashboard *Customers* shows in answer to a query of its own."""
        answer = await self.ask("POST", "customers/api/v1/query", data={"query": query})
        return {one["metric"]["customer"] for one in answer["data"]["result"]}

    async def post(self, account: str, *messages: dict[str, Any]) -> None:
        """Let Meta send messages to an account, in one webhook."""
        body = webhook(self.number(account), *messages)
        headers = {"content-type": "application/json", "x-hub-signature-256": sign(body, SECRET)}
        url = f"{self.base}/webhooks/whatsapp/{account}"
        (await self.client.post(url, content=body, headers=headers)).raise_for_status()

    def number(self, account: str) -> str:
        """Return Meta's id of an account's number."""
        return number_id(self.plan.accounts.index(account))

    async def up(self) -> None:
        """Start both processes and wait until they serve."""
        self.configure()
        for kind in JOBS:
            self.start(kind)
        async with asyncio.timeout(_START):
            for port in self.ports.values():
                while not await self._answers(port):
                    await asyncio.sleep(0.1)

    async def _answers(self, port: int) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return (await self.client.get(f"http://127.0.0.1:{port}/metrics")).status_code == 200
        return False

    async def down(self) -> None:
        """End what still runs."""
        for process in self._running.values():
            process.kill()
            process.wait()
        self._listener.close()
        await self.link.close()
        await self.client.aclose()

    @property
    def seen(self) -> Watch:
        """Those who watch, once they do."""
        if self.watch is None:
            raise RuntimeError("nobody watches yet")
        return self.watch


@contextlib.asynccontextmanager
async def staged(plan: Plan, folder: Path | None = None) -> AsyncIterator[Stage]:
    """Set up an installation with traffic, watched; it is gone with the block, and so is its folder unless given."""
    place = folder or Path(tempfile.mkdtemp(prefix="alarms-"))
    hooks, graph = Hooks(), Graph(plan.accounts)
    try:
        (place / "valkey").mkdir()
        with Valkey(place / "valkey") as valkey:
            async with Listener(hooks.answer) as hooks_at, graph.serve():
                stage = Stage(place, plan, valkey, graph, hooks, hooks_at)
                async with _running(stage):
                    yield stage
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


@contextlib.asynccontextmanager
async def _kubelet(plan: Plan) -> AsyncIterator[dict[str, int]]:
    """Play the kubelet of a cluster for a stage that has a disk: that is then the volume of its Redis."""
    if plan.disk is None:
        yield {}
        return
    async with Listener(Kubelet(plan.disk).answer) as found:
        yield {"kubelet": found.port}


@contextlib.asynccontextmanager
async def _running(stage: Stage) -> AsyncIterator[None]:
    try:
        await stage.up()
        targets = {job: stage.ports[kind] for kind, job in JOBS.items()}
        async with _kubelet(stage.plan) as others, watching(stage.folder, targets | others) as stage.watch:
            sending = asyncio.create_task(stage.meta.run())
            try:
                yield
            finally:
                sending.cancel()
                await asyncio.wait([sending])
    finally:
        await stage.down()
