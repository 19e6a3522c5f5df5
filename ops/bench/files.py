"""Meta's file host, a process of its own: every GET is answered with a file that no other has."""

import asyncio
import re
import sys
from typing import cast

import uvloop

#: Bytes of a file: a photo as phones send it.
SIZE = 100_000
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % SIZE
_path = re.compile(rb"GET /([0-9]+) ")


class Host(asyncio.Protocol):
    """One keep-alive connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request."""
        for number in _path.findall(data):
            self._transport.write(_HEAD + number.zfill(SIZE))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Host, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
