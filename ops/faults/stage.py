"""All the processes of one run: a Valkey, one web process, workers that come and go. Ends only what it started."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ops.faults import journal, peers
from ops.faults.journal import Line
from ops.faults.ledger import Kept
from ops.faults.steps import Fault
from ops.faults.valkey import Valkey, tied
from whatshooked.boot import CONFIG_VARIABLE
from whatshooked.cli.serve import LISTEN_VARIABLE
from whatshooked.keys import Keys
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Link

HOOKS = ("h1", "h2")
API_KEY = "api-key-of-the-harness"
ACCOUNT, TOKEN = "business", "token-of-the-harness"
#: The hooks' timeout in seconds; with launch.LEASE_MARGIN it makes the lease.
TIMEOUT = 2.0
REPO = Path(__file__).parent.parent.parent


@dataclass
class Launched:
    """One process: what it is, the fault in it, and its journal."""

    kind: str
    fault: Fault | None
    process: "subprocess.Popen[bytes]"
    journal: Path
    killed_by_us: bool = False
    told_to_stop: bool = False

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def killed(self) -> bool:
        """Whether it ended by SIGKILL."""
        return self.process.poll() == -signal.SIGKILL

    def lines(self) -> list[Line]:
        """Return its journal so far."""
        return journal.read(self.journal)

    def begun(self) -> bool:
        """Whether its fault came about."""
        return any(line.what == "fault" for line in self.lines())

    def struck(self) -> bool:
        """Whether its fault came about and is over: it thawed, or the process is gone."""
        if self.fault is None or self.fault.ends:
            return self.begun() and not self.running
        return any(line.what == "thawed" for line in self.lines())

    def kill(self) -> None:
        """SIGKILL it, as a machine does that is switched off."""
        self.killed_by_us = True
        self.process.kill()
        self.process.wait()


class Stage:
    """The processes on one Valkey and one listening socket, which outlives the web process."""

    def __init__(self, folder: Path, valkey: Valkey, mutants: Sequence[str] = ()) -> None:
        self._folder = folder
        self._mutants = mutants
        self.valkey = valkey
        self.keys = Keys("faults")
        self.launched: list[Launched] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._listener.set_inheritable(True)
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        (folder / "metrics").mkdir()

    def configure(
        self,
        hooks: Sequence[dict[str, Any]],
        *,
        accounts: Sequence[dict[str, Any]] = (),
        media: dict[str, Any] | None = None,
        **api: Any,
    ) -> None:
        """Write the config with these hooks (`hook` makes one).

        `api` says more of the account's business_api, when there are no `accounts` (`account` makes one).
        """
        known = {"host": "127.0.0.1", "port": 0, "auth_key": API_KEY}
        redis = {"url": self.valkey.url, "prefix": self.keys.prefix}
        document = {"server": known, "whatsapp": list(accounts) or [account(**api)], "redis": redis}
        document |= {"hooks": list(hooks), "media": media or {}}
        (self._folder / "config.json").write_text(json.dumps(document))

    @property
    def workers(self) -> list[Launched]:
        """The workers that run."""
        return [one for one in self.launched if one.kind == "worker" and one.running]

    @property
    def web(self) -> list[Launched]:
        """The web processes that run: one, or none for a moment."""
        return [one for one in self.launched if one.kind == "serve" and one.running]

    def start(self, kind: str, fault: Fault | None = None) -> Launched:
        """Start a `worker` or `serve`."""
        name = f"{kind}-{len(self.launched)}"
        options = [f"--mutant={mutant}" for mutant in self._mutants]
        options += [f"--fault={fault}"] if fault is not None else []
        path = self._folder / f"{name}.journal"
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                tied([sys.executable, "-m", "ops.faults.launch", *options, "--", kind]),
                cwd=REPO,
                env=os.environ | self._environment(path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._listener.fileno(),) if kind == "serve" else (),
            )
        self.launched.append(Launched(kind, fault, process, path))
        return self.launched[-1]

    def _environment(self, path: Path) -> dict[str, str]:
        return {
            CONFIG_VARIABLE: str(self._folder / "config.json"),
            LISTEN_VARIABLE: str(self._listener.fileno()),
            journal.VARIABLE: str(path),
            "PROMETHEUS_MULTIPROC_DIR": str(self._folder / "metrics"),
            "PYTHONPATH": str(REPO),
        }

    async def ready(self, patience: float = 20.0) -> None:
        """Wait until the web process takes webhooks; raises TimeoutError."""
        async with asyncio.timeout(patience), self._client() as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get("/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    async def listing(self) -> list[Kept]:
        """Return the whole cache, as the API lists it."""
        found: list[Kept] = []
        after: str | None = ""
        async with self._client() as client:
            while after is not None:
                answer = await client.get("/api/cache", params={"limit": 500, "after": after})
                page = answer.raise_for_status().json()
                found += [_kept(event) for event in page["events"]]
                after = page["next"]
        return found

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.base, headers={"x-api-key": API_KEY}, timeout=10, trust_env=False)

    async def stop(self, processes: Sequence[Launched], patience: float = 30.0) -> list[str]:
        """Ask processes to stop and wait; returns what went wrong."""
        for one in processes:
            one.told_to_stop = one.running
            one.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + patience
        for one in processes:
            while one.running and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
        return [f"{one.journal.stem} does not stop" for one in processes if one.running]

    def unexplained_ends(self) -> list[str]:
        """Return the processes that ended, and neither we nor a fault ended them."""
        found = []
        for one in self.launched:
            code = one.process.poll()
            asked = one.killed_by_us or (one.fault is not None and one.struck())
            # Told to stop while it was still importing, a process ends by the signal itself.
            stopped = one.told_to_stop and code == -signal.SIGTERM
            if code not in (None, 0) and not stopped and not (one.killed and asked):
                found.append(f"{one.journal.stem} ended by itself with {code}")
        return found

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(one.killed for one in self.launched)

    def fired(self) -> Counter[str]:
        """Return how often each step came about."""
        return Counter(line.step for one in self.launched for line in one.lines() if line.what == "fault")

    async def disagreements(self) -> list[str]:
        """Return what of the events' bookkeeping in Redis contradicts itself."""
        async with Link(self.valkey.url) as link:
            found = await examine(link, self.keys, list(HOOKS), repair=False)
        return [f"{one.what} of {one.id} {one.hook}".rstrip() for one in found]

    def close(self) -> None:
        """End what still runs."""
        for one in self.launched:
            if one.running:
                one.kill()
        self._listener.close()


def _kept(event: dict[str, Any]) -> Kept:
    payload = event["payload"]
    message_id = (payload if "message_id" in payload else payload["data"])["message_id"]  # a status has it deeper
    return Kept(event["id"], message_id, event["state"], frozenset(event["hooks"]))


def account(account_id: str = ACCOUNT, phone: str = peers.PHONE, **api: Any) -> dict[str, Any]:
    """Return an account as it stands in the config; `api` says more of its business_api."""
    known = {
        "phone_number_id": peers.NUMBER_ID,
        "access_token": TOKEN,
        "verify_token": "verify-token-of-the-harness-0123456789",
        "app_secret": peers.SECRET,
        "graph_url": "http://127.0.0.1:9",
    }
    number = {"type": "business-api", "phone_number": f"+{phone}"}
    return {"id": account_id, **number, "business_api": known | api}


def hook(hook_id: str, url: str) -> dict[str, Any]:
    """Return a hook as it stands in the config."""
    known = {"id": hook_id, "name": hook_id, "url": url, "method": "POST", "active": True}
    return known | {"events": ["message.*"], "timeout": TIMEOUT, "concurrency": 16}
