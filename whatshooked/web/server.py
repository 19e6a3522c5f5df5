"""The server of one web process: it tells the application first when it stops."""

import socket
from collections.abc import Callable

import uvicorn


class Server(uvicorn.Server):
    """`on_stop` is called before requests in flight are waited for: some of them would never end."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, as uvicorn does."""
        self._on_stop()
        await super().shutdown(sockets)
