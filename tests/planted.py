"""A gateway with planted faults under the eyes of a real Prometheus: what dashboards have to show.

Real processes (`serve`, `worker`), a Redis of their own, a simulated Meta, hooks of each kind: `crm` answers and
replies, `shop` is slow, `billing` begins to fail, `archive` gets switched off; and an account whose token Meta refuses.

`python -m tests.planted FOLDER [SECONDS]` lets it run and draws the dashboards' pictures into a folder.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import redis

from grafana.picture import draw_all
from grafana.picture.source import Source
from tests import meta
from tests.commands import simulated_account
from tests.conftest import API_KEY, REPO, hook
from tests.prometheus import Prometheus, prometheus
from tests.receiver import Received, Receiver, status
from tests.simulated import SECRET, Meta, simulated
from whatshooked.embedded import Embedded
from whatshooked.simulator.rules import Rule

#: The account of the simulator's number, and one whose token is refused.
ACCOUNT, REFUSED = "business", "branch"
#: Seconds that a worker stays dead, and that Redis is away.
DEAD, AWAY = 2.0, 6.0
#: Seconds that a process has to stop in.
GRACE = 40.0
#: More than a recipient's line holds (whatshooked/stream/outbox.py, MOST_IN_LINE).
MANY = 1_003
#: Deliveries are seen now.
_DELIVERS = 'sum(rate(whatshooked_attempts_total{result="accepted"}[4s])) > 0'
#: A config was refused.
_REFUSES = 'sum(whatshooked_config_reloads_total{result="refused"}) > 0'
#: Our command, but stored files are counted in seconds after a start, not in half a minute.
_PROGRAM = """
import sys
from workers import files
assert files.SWEEP_EVERY > 60
files.SWEEP_EVERY = 60.0
from whatshooked.cli import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Planted:
    """The whole stage; `seconds` is how long its story takes."""

    folder: Path
    seconds: float
    sim: Meta
    receiver: Receiver
    prometheus: Prometheus
    base: str
    configs: dict[str, Path]
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=60, trust_env=False))
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    #: How many attempts had been made before `billing` began to fail.
    broken: int = 0

    def start(self, name: str) -> None:
        """Start `serve` or a `worker`, with a folder of its own for its counts."""
        counts = self.folder / f"counts-{name}"
        counts.mkdir(exist_ok=True, mode=0o700)
        command = [sys.executable, "-c", _PROGRAM, name, "-c", str(self.configs[name])]
        environment = os.environ | {"PYTHONPATH": str(REPO), "PROMETHEUS_MULTIPROC_DIR": str(counts)}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop the processes, workers first; one that does not end is killed, and the others are stopped all the same.

        Raises TimeoutExpired of the last that had to be killed.
        """
        late: subprocess.TimeoutExpired | None = None
        for process in (self.processes[name] for name in ("worker", "serve") if name in self.processes):
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired as error:
                process.kill()
                process.wait()
                late = error
        if late is not None:
            raise late

    async def post(self, body: bytes, secret: str = SECRET) -> int:
        """Send a webhook as Meta does; return the answer's status."""
        url = f"{self.base}/webhooks/whatsapp/{ACCOUNT}"
        return (await self.client.post(url, content=body, headers=meta.signed(body, secret))).status_code

    async def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call the API."""
        return await self.client.request(method, f"{self.base}{path}", headers={"x-api-key": API_KEY}, **more)

    async def ready(self) -> None:
        """Return once the gateway takes webhooks and a worker lives; raises TimeoutError."""
        async with asyncio.timeout(30):
            while not await self._is_ready():
                await asyncio.sleep(0.1)

    async def _is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return (await self.client.get(f"{self.base}/ready")).status_code == 200
        return False

    async def play(self) -> None:
        """Let the story happen: traffic all the time, and the faults one after the other."""
        await asyncio.to_thread(self.prometheus.wait, "sum(up) == 2")  # what rises before it looks is not seen to rise
        talking = asyncio.create_task(self._talk())
        try:
            for step in (self._strange_bodies, self._sends, self._switch, self._outage, self._reloads, self._crash):
                begun = time.monotonic()
                await step()
                await asyncio.sleep(max(self.seconds / 6 - (time.monotonic() - begun), 0))
            await asyncio.to_thread(self.prometheus.wait, _DELIVERS)  # the worker that was killed is back
        finally:
            talking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await talking

    async def _talk(self) -> None:
        """Customers write, some send pictures, some of which Meta's file host spoils."""
        turn = 0
        while True:
            user = f"4915100{turn % 80:05d}"
            await self.sim.control("POST", "inbound", json={"kind": "text", "text": f"hello {turn}", "from": user})
            if turn % 4 == 0:
                fault = {"fault": "wrong_hash"} if turn % 12 == 0 else {}
                await self.sim.control("POST", "inbound", json={"kind": "image", "from": user} | fault)
            turn += 1
            await asyncio.sleep(0.25)

    async def _strange_bodies(self) -> None:
        """A wrong signature, the same body twice, another's number, things that nobody knows yet."""
        number = {"display_phone_number": self.sim.number.phone, "phone_number_id": self.sim.number.id}
        known = meta.webhook(meta.value(meta.text()) | {"metadata": number})
        strange = meta.text() | {"type": "hologram", "hologram": {"depth": 3}}
        for _ in range(3):
            assert await self.post(known, secret="somebody-else") == 403
            assert await self.post(known) == 200
            assert await self.post(meta.webhook(meta.value(strange) | {"metadata": number})) == 200
            assert await self.post(meta.webhook(meta.value(meta.text(), account=9))) == 200
            assert await self.post(meta.webhook({"anything": 1}, field="not_known_yet")) == 200

    async def _sends(self) -> None:
        """A hook begins to fail; messages pass, are refused, have no answer, and are more than an account takes."""
        self.receiver.behave, self.broken = _broken, len(self.receiver.received)
        to = self.sim.users[0].id
        text = {"to": to, "text": "good morning"}
        self.sim.world.rules.append(Rule(fault="reset_after", path="*/messages", nth=2))
        self.sim.world.rules.append(Rule(fault="error", path="*/messages", nth=4, status=400, code=131026))
        for _ in range(3):
            await self.api("POST", f"/api/messages?account_id={ACCOUNT}", json=text)
        many = (self.api("POST", f"/api/messages?account_id={REFUSED}", json=text) for _ in range(MANY))
        answers = [one.status_code for one in await asyncio.gather(*many)]
        assert 429 in answers, set(answers)

    async def _switch(self) -> None:
        """Somebody turns a hook off."""
        answer = await self.api("PATCH", "/api/hooks/archive", json={"active": False})
        assert answer.status_code == 200, answer.text

    async def _crash(self) -> None:
        """The worker is killed amid its work, and comes back."""
        self.processes["worker"].kill()
        self.processes["worker"].wait()
        await asyncio.sleep(DEAD)
        self.start("worker")

    async def _outage(self) -> None:
        """Redis does not answer for a while; webhooks are refused meanwhile."""
        address = Embedded.address(self.folder / "cache")
        pid = await asyncio.to_thread(_pid, address)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(AWAY)
        finally:
            os.kill(pid, signal.SIGCONT)
        await self.ready()

    async def _reloads(self) -> None:
        """The hook is turned on again; a config is refused, and one is taken."""
        await self.api("PATCH", "/api/hooks/archive", json={"active": True})
        path = self.configs["worker"]
        good = path.read_text()
        path.write_text("{")
        self.processes["worker"].send_signal(signal.SIGHUP)
        await asyncio.to_thread(self.prometheus.wait, _REFUSES)
        path.write_text(good)
        self.processes["worker"].send_signal(signal.SIGHUP)


@contextlib.asynccontextmanager
async def planted(folder: Path, seconds: float) -> AsyncIterator[Planted]:
    """Set the stage, and clear it at the end; `play` of what it yields is the story."""
    async with simulated(speed=1.0) as sim, Receiver(behave=_behave) as receiver:
        sim.world.clock.advance(time.time() - sim.world.clock.now())
        ports = dict(zip(("http", "serve", "worker"), _free_ports(3), strict=True))
        configs = {name: _config(folder, name, sim, receiver, ports) for name in ("serve", "worker")}
        jobs = {
            "whatshooked-web": [f"127.0.0.1:{ports['serve']}"],
            "whatshooked-worker": [f"127.0.0.1:{ports['worker']}"],
        }
        with prometheus(folder / "prometheus", jobs, rules=[REPO / "ops" / "alerts.yml"]) as found:
            base = f"http://127.0.0.1:{ports['http']}"
            stage = Planted(folder, seconds, sim, receiver, found, base, configs)
            assert sim.app.subscription is not None
            sim.app.subscription.callback_url = f"{base}/webhooks/whatsapp/{ACCOUNT}"
            try:
                stage.start("serve")
                await stage.ready()
                stage.start("worker")
                yield stage
            finally:
                await asyncio.to_thread(stage.stop)
                await stage.client.aclose()


async def _behave(request: Received, writer: asyncio.StreamWriter) -> None:
    """Answer as the hook whose path was asked for."""
    name = request.target.split("?")[0]
    answer = status(200)
    if name == "/shop":
        await asyncio.sleep(0.6)
    elif name == "/crm" and request.event == "message.received":
        answer = status(200, b'{"send_message": true, "text": "thank you"}')
    elif name == "/archive" and request.event == "message.received":
        answer = status(200, b'{"send_message": true, "to": "nobody at all"}')
    await answer(request, writer)


async def _broken(request: Received, writer: asyncio.StreamWriter) -> None:
    """The same, but `billing` fails."""
    is_billing = request.target.startswith("/billing")
    await (status(503, b"the database is away") if is_billing else _behave)(request, writer)


def _config(folder: Path, name: str, sim: Meta, receiver: Receiver, ports: dict[str, int]) -> Path:
    """Write the config of one kind of process; both differ in the port of their metrics alone."""
    known = simulated_account(sim)
    api: Any = known["business_api"]
    refused = known | {
        "id": REFUSED,
        "business_api": api | {"access_token": "EAAnobody", "phone_number_id": "100000000000777"},
    }
    hooks = [
        hook("crm", receiver.url("/crm"), events=["message.received", "message.delivered", "message.failed"]),
        hook("shop", receiver.url("/shop"), concurrency=2, events=["message.received", "message.sent"]),
        hook("billing", receiver.url("/billing"), events=["message.received"]),
        hook("archive", receiver.url("/archive"), events=["message.received", "hook.success"]),
    ]
    document = {
        "server": {"host": "127.0.0.1", "port": ports["http"], "auth_key": API_KEY},
        "whatsapp": [known, refused],
        "hooks": hooks,
        "media": {"data_path": str(folder / "media"), "max_wait": 5},
        "message_cache": {"data_path": str(folder / "cache")},
        "event_logger": {"enabled": True, "targets": ["file", "sqlite"], "file_dir": str(folder / "log")}
        | {"sqlite_path": str(folder / "log" / "events.sqlite")},
        "metrics": {"host": "127.0.0.1", "port": ports[name]},
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


def _free_ports(count: int) -> Iterator[int]:
    with contextlib.ExitStack() as held:
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            yield one.getsockname()[1]


def _pid(address: str) -> int:
    """Return the process of a Redis."""
    with contextlib.closing(redis.Redis.from_url(address)) as client:
        return int(cast("dict[str, Any]", client.info("server"))["process_id"])


async def _draw(to: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with planted(Path(folder), seconds) as stage:
            await stage.play()
            with Source(stage.prometheus.url, time.time(), seconds + 5, 1.0, (stage.base, API_KEY)) as source:
                draw_all(source, REPO / "grafana" / "dashboards", to, {"hook": "billing", "account": REFUSED})


if __name__ == "__main__":
    asyncio.run(_draw(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 180.0))
