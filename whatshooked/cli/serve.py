"""`serve` and `worker`: one kind of process alone."""

import argparse
import os
import signal
import socket

from whatshooked import logs
from whatshooked.boot import Boot, calm_collector
from whatshooked.cli.supervisor import Child, Supervisor, ours
from whatshooked.config import Config
from whatshooked.errors import StartError

log = logs.get("web")

#: Carries the listening socket to a web process whose parent has opened it.
LISTEN_VARIABLE = "WHATSHOOKED_LISTEN_FD"
#: Seconds that requests in flight may take when a web process stops.
GRACE = 10


def serve(options: argparse.Namespace) -> int:
    """Run one web process, or several on one socket."""
    inherited = os.environ.pop(LISTEN_VARIABLE, None)
    boot = Boot.open()
    try:
        if inherited is not None:
            return _serve(boot, socket.socket(fileno=int(inherited)))
        listener = listen(boot.config)
        if options.processes == 1:
            return _serve(boot, listener)
        return Supervisor(web_processes(listener, options.processes)).run()
    finally:
        boot.close()


def worker(_: argparse.Namespace) -> int:
    """Run one worker process, as arq does."""
    from typing import cast

    from arq.typing import WorkerSettingsType
    from arq.worker import run_worker

    from workers.settings import WorkerSettings

    run_worker(cast(WorkerSettingsType, WorkerSettings))
    return 0


def web_processes(listener: socket.socket, count: int) -> list[Child]:
    """Return web processes that share a listening socket."""
    os.environ[LISTEN_VARIABLE] = str(listener.fileno())
    return [Child(f"web-{i + 1}", ours("serve"), (listener.fileno(),)) for i in range(count)]


def listen(config: Config, remedy: str = "set server.port to another") -> socket.socket:
    """Return the listening socket; raises StartError with the remedy when the address is taken."""
    server = config.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((server.host, server.port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"cannot listen on {server.host}:{server.port} ({error.strerror}): stop what listens there, or {remedy}"
        ) from error
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def _serve(boot: Boot, listener: socket.socket) -> int:
    import uvicorn

    from whatshooked.web.app import create_app
    from whatshooked.web.server import Server

    app = create_app(boot.config, boot.url)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        # Forwarding headers are not believed: the API's loopback rule looks at the real peer.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    host, port = listener.getsockname()[:2]
    log.info("Listening", address=f"{host}:{port}")
    web = Server(config, app.leave)
    for name in (signal.SIGINT, signal.SIGTERM):
        # uvicorn repeats the signal when it has stopped; by default that would end us before Redis is let go.
        signal.signal(name, lambda *_: setattr(web, "should_exit", True))
    calm_collector()
    web.run(sockets=[listener])
    return 0
