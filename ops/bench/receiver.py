"""The hook, a process of its own: answers every POST with 200 and notes when each message arrived."""

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from ops.bench.bodies import DIGITS, MARK
from ops.bench.ledger import Ledger

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Hook(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._received = self._received + data if self._received else data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _length.search(self._received, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            self._note(self._received, end)
            self._transport.write(_ANSWER)
            self._received = self._received[whole:]

    def _note(self, request: bytes, end: int) -> None:
        place = request.find(MARK, end)
        if place < 0:
            return
        number = int(request[place + len(MARK) : place + len(MARK) + DIGITS])
        if self._ledger.received[number]:
            self._ledger.repeats[0] += 1
        else:
            self._ledger.received[number] = time.monotonic()


async def _serve(port: int, ledger: Ledger) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Hook(ledger), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Ledger(Path(sys.argv[2]))))
