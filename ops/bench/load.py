"""The sender, a process of its own: `python -m ops.bench.load` with an Order as JSON, answers with a Report as JSON.

With a rate it sends by the clock whatever the answers do, as Meta does; without one each connection sends again as soon
as it has its answer.
"""

import asyncio
import re
import resource
import sys
import time
from collections import deque
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from ops.bench import bodies
from ops.bench.ledger import Ledger

#: Seconds between two looks at the clock when sending at a rate.
_TICK = 0.002
#: Seconds that answers may take beyond the time of sending.
_PATIENCE = 10.0

_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Order(msgspec.Struct, frozen=True):
    """What to send: `count` requests at most, `rate` a second (0: as fast as answers come), for `seconds`."""

    port: int
    path: str
    ledger: str
    first: int
    count: int
    seconds: float
    rate: float = 0.0
    connections: int = 64
    messages: int = 1
    #: The port where the files lie that the messages bring, 0 for texts.
    files: int = 0
    #: Send the same requests again when they run out: only for a server that does not look at them.
    cycle: bool = False


class Report(msgspec.Struct, frozen=True):
    """What came of it: requests sent, answered with 200 and answered otherwise, wall and CPU seconds of the sending."""

    sent: int
    ok: int
    refused: int
    seconds: float
    cpu: float


class Load:
    """The requests and the connections that carry them."""

    def __init__(self, order: Order, ledger: Ledger) -> None:
        self.order = order
        self._requests = bodies.requests(order.path, order.first, order.count, order.messages, order.files)
        self._ledger = ledger
        self._idle: deque[Connection] = deque()
        self._start = self._end = self.last = 0.0
        self.sent = self.ok = self.refused = 0

    async def run(self) -> Report:
        """Send everything and wait for the answers."""
        loop = asyncio.get_running_loop()
        for _ in range(self.order.connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.order.port)
        before = _cpu()
        self._start = self.last = time.monotonic()
        self._end = self._start + self.order.seconds
        while (now := time.monotonic()) < self._end and (self.order.cycle or self.sent < self.order.count):
            self._fill(now)
            await asyncio.sleep(_TICK)
        while self.ok + self.refused < self.sent and time.monotonic() < self._end + _PATIENCE:
            await asyncio.sleep(_TICK)
        return Report(self.sent, self.ok, self.refused, self.last - self._start, _cpu() - before)

    def free(self, connection: "Connection") -> None:
        """Take back a connection that has its answer, or is new."""
        self._idle.append(connection)
        if self._start:
            self._fill(time.monotonic())

    def answered(self, number: int, ok: bool) -> None:
        """Note an answer."""
        self.last = time.monotonic()
        self.ok, self.refused = self.ok + ok, self.refused + (not ok)
        if ok and self.order.messages == 1:
            self._ledger.answered[number] = self.last

    def _fill(self, now: float) -> None:
        """Give idle connections what is due."""
        if now >= self._end:
            return
        due = int((now - self._start) * self.order.rate) if self.order.rate else sys.maxsize
        due = due if self.order.cycle else min(due, self.order.count)
        while self._idle and self.sent < due:
            place = self.sent % self.order.count
            number = self.order.first + place * self.order.messages
            self.sent += 1
            self._ledger.sent[number] = now
            self._idle.popleft().send(number, self._requests[place])


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._number = 0
        self._received = b""
        self._lengths: dict[bytes, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self._transport = cast(asyncio.Transport, transport)
        self._load.free(self)

    def send(self, number: int, request: bytes) -> None:
        """Send a request; the connection is busy until its answer is whole."""
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < self._body_length(head):
            return
        self._received = b""
        self._load.answered(self._number, head.startswith(b"HTTP/1.1 200"))
        self._load.free(self)

    def _body_length(self, head: bytes) -> int:
        length = self._lengths.get(head)
        if length is None:
            match = _length.search(head)
            length = self._lengths[head] = int(match[1]) if match else 0
        return length


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Carry out the order on standard input."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with Ledger(Path(order.ledger)) as ledger:
        report = uvloop.run(Load(order, ledger).run())
    print(msgspec.json.encode(report).decode())


if __name__ == "__main__":
    main()
