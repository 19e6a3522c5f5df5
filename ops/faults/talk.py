"""Those who talk: a simulated Meta in a process of its own, customers who write, and a hook that answers them.

What a customer writes is the answer that they want the hook to give, so the hook keeps nothing in mind: every attempt
of an event is answered alike. Each reply holds a text of its own, by which Meta's record knows it again.
"""

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from ops.faults import peers
from ops.faults.reply_ledger import Asked, Passed
from ops.faults.stage import REPO
from ops.faults.valkey import tied

#: Replies that one customer may ask for, below the burst that Meta takes at once.
_EACH = 40
#: Customers among whom chance chooses: that many lines wait at the same time.
_AT_ONCE = 40
#: One message in so many asks for several replies, which must come in their order.
_SEVERAL_EVERY, _SEVERAL = 8, 3
#: Calls of Graph that are looked at in one go; there are far fewer between two looks.
_CALLS = 1_000
#: Seconds that Meta waits between tries, after the first few.
_PAUSE = 60.0
_READY = re.compile(rb"ready at (\S+)")


class SimulatedMeta:
    """The simulator, which no fault of ours befalls: its record of messages is the witness."""

    def __init__(self, folder: Path, callback: str, token: str) -> None:
        self._log = folder / "simulator.log"
        secrets = ["--token", token, "--app-secret", peers.SECRET]
        self._command = ["-m", "whatshooked.simulator", "--port", "0", "--callback", callback, *secrets]
        self._client = httpx.AsyncClient(timeout=30, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0.0
        self.url = ""
        #: HTTP status and error code of every send since the start.
        self.answers: list[tuple[int, int]] = []

    async def __aenter__(self) -> Self:
        self._start()
        async with asyncio.timeout(20):
            while (found := _READY.search(self._log.read_bytes())) is None:
                await asyncio.sleep(0.05)
        self.url = found[1].decode()
        return self

    def _start(self) -> None:
        with self._log.open("wb") as log:
            command = tied([sys.executable, *self._command])
            self._process = subprocess.Popen(command, cwd=REPO, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._client.aclose()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def control(self, method: str, path: str, **more: Any) -> Any:
        """Call `/_sim/` and return what it answers."""
        return (await self._client.request(method, f"{self.url}/_sim/{path}", **more)).raise_for_status().json()

    async def trouble(self, faults: tuple[str, ...], *, every: int, times: int) -> None:
        """Let one send in `every` go wrong, so many times, by each fault in turn."""
        for number in range(times if faults else 0):
            rule = {"fault": faults[number % len(faults)], "nth": every * (number + 1), "seconds": 10.0}
            await self.control("POST", "rules", json=rule | {"method": "POST", "path": "*/messages"})

    async def hurry(self) -> None:
        """Let it try again at once what a Redis that was away kept us from taking: its pauses grow to minutes."""
        await self.control("POST", "clock", json={"advance": _PAUSE})

    async def look(self) -> None:
        """Take down the answers to sends since the last look."""
        calls = (await self.control("GET", "calls", params={"last": _CALLS}))["calls"]
        news = [call for call in calls if call["at"] > self._seen]
        self._seen = max((call["at"] for call in news), default=self._seen)
        self.answers += [(call["status"], call["code"]) for call in news if call["path"].endswith("/messages")]

    async def record(self) -> tuple[list[Passed], list[float]]:
        """Return what it took from us, in order, and the times (unix seconds) of all messages, in and out."""
        rows = (await self.control("GET", "messages", params={"last": 100_000}))["messages"]
        taken = [row for row in rows if row["outgoing"]]
        return [Passed(row["body"]["text"]["body"], tuple(row["statuses"])) for row in taken], [r["at"] for r in rows]


class Mirror(peers.Receivers):
    """Answers a customer's message with its own text, and a status with nothing."""

    def _take(self, hook_id: str, payload: Any, attempt: str) -> tuple[bool, float, bytes]:
        if "message_id" not in payload:  # of a status; its own keys lie deeper
            return True, 0.0, b""
        accepted, wait, _ = super()._take(hook_id, payload, attempt)
        return accepted, wait, payload["text"].encode() if accepted else b""


class Customers:
    """Write to the number; `asked` are the replies that they want, those of one message in their order."""

    def __init__(self, meta: SimulatedMeta, *, rate: float, asks: int, one_user: bool, seed: int) -> None:
        self._meta = meta
        self._pause = 1 / rate
        self._asks = asks
        self._one_user = one_user
        self._chance = random.Random(seed)
        self._left: dict[str, int] = {}
        self._known = 0
        self._written = 0
        self.asked: list[Asked] = []

    async def write(self, wanted: Callable[[], bool]) -> None:
        """Write at the steady rate for as long as `wanted` says so."""
        due = time.monotonic()
        while wanted():
            self._written += 1
            several = self._asks == 1 and self._written % _SEVERAL_EVERY == 0
            await self.ask(_SEVERAL if several else self._asks)
            due = max(due + self._pause, time.monotonic() - self._pause)
            await asyncio.sleep(max(due - time.monotonic(), 0.0))

    async def ask(self, count: int, *, phone: str = "") -> None:
        """Let a customer, by default one whom chance chooses, ask for so many replies in one message."""
        labels = [f"r{len(self.asked) + place}" for place in range(count)]
        answer = [{"send_message": True, "text": label} for label in labels]
        told = {"kind": "text", "from": phone or self._choose(count), "text": json.dumps(answer)}
        message_id = (await self._meta.control("POST", "inbound", json=told))["message_id"]
        self.asked += [Asked(label, message_id) for label in labels]

    def _choose(self, count: int) -> str:
        if self._one_user:
            return _phone(0)
        for phone in [phone for phone, left in self._left.items() if left < count]:
            del self._left[phone]
        while len(self._left) < _AT_ONCE:
            self._known += 1
            self._left[_phone(self._known)] = _EACH
        phone = self._chance.choice(list(self._left))
        self._left[phone] -= count
        return phone


def _phone(number: int) -> str:
    return f"49151{number:08d}"
