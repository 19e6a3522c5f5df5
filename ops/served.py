"""An application of ours, such as the simulated Meta, served on loopback within this event loop."""

import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn


@contextlib.asynccontextmanager
async def served(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an ASGI application on a socket until the block ends."""
    config = uvicorn.Config(app, interface="asgi3", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # answers that are cut off are meant so
    server = uvicorn.Server(config)  # started by hand: signals are not its business
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        await server.shutdown(sockets=[listener])
