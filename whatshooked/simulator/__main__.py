"""`python -m whatshooked.simulator`: a local Meta to talk to, until told to stop."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from whatshooked import logs
from whatshooked.config.source import is_reference, resolve
from whatshooked.errors import StartError, TheirsError, exit_code
from whatshooked.simulator.app import create_app
from whatshooked.simulator.fields import fields
from whatshooked.simulator.webhooks.delivery import is_loopback
from whatshooked.simulator.world import statefile
from whatshooked.simulator.world.clock import Clock
from whatshooked.simulator.world.model import State, Subscription, Token, demo_state
from whatshooked.simulator.world.world import World

log = logs.get("simulator")

#: What the demo's world has unless told otherwise: secrets of nothing.
_CALLBACK = "http://127.0.0.1:8080/webhooks/whatsapp/demo"
_DEFAULTS = {
    "callback": _CALLBACK,
    "verify_token": "sim-verify-token",
    "app_secret": "sim-secret",
    "token": "sim-token",
}
_LIMITS = """\
A stand-in, not Meta: nothing is priced or billed, templates are not reviewed (they wait until you decide), no policy is
enforced, nothing is fetched from a link, and media is not transcoded or looked into. It knows what Meta documents and
what was seen of it; what passes here is no proof against Meta. It calls no host but this machine and those allowed.

Calls go to http://HOST:PORT/v25.0/... as to graph.facebook.com; GET /_sim/ shows what there is. A secret may be given
as env:NAME or file:PATH."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a simulated Meta and return the exit code."""
    options = build().parse_args(argv)
    try:
        run(options)
    except TheirsError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code(error)
    return 0


def build() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        "python -m whatshooked.simulator",
        description="A local stand-in for the WhatsApp Cloud API, for development and tests.",
        epilog=_LIMITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a parser."""
    parser.add_argument("--port", type=_port, default=8081, help="0 takes a free one (default %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="another opens Graph and control to whoever reaches it")
    parser.add_argument("--address", default="", metavar="URL", help="how callers reach it, when not by host and port")
    parser.add_argument("--state", type=Path, metavar="FILE", help="JSON file of the world, made if there is none")
    parser.add_argument("--seed", type=int, help="the same seed makes the same ids (default: chance)")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="simulated seconds in one of ours")
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help="webhooks may go there too")
    parser.add_argument("--callback", metavar="URL", help=f"where webhooks go (default {_CALLBACK})")
    parser.add_argument("--verify-token", metavar="T", help="shown at verification (default sim-verify-token)")
    parser.add_argument("--app-secret", metavar="S", help="signs the webhooks (default sim-secret)")
    parser.add_argument("--token", metavar="T", help="the access token that is good (default sim-token)")


def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM; raises TheirsError for a state, secret or port that cannot be used."""
    state = _state(options)
    listener = _listen(options.host, options.port)
    logs.setup()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, listener:
        runner.run(_serve(_world(options, state, listener), listener, options.state))


def _state(options: argparse.Namespace) -> State:
    """Return the file's state, else the demo's, with what was said on the command line."""
    said = {name: _secret(getattr(options, name)) for name in _DEFAULTS if getattr(options, name) is not None}
    state = statefile.load(options.state) if options.state else None
    if state is not None:
        return _amended(state, said)
    found = _DEFAULTS | said
    return demo_state(
        callback_url=found["callback"],
        verify_token=found["verify_token"],
        app_secret=found["app_secret"],
        token=found["token"],
        fields=list(fields.FIELDS),
    )


def _amended(state: State, said: dict[str, str]) -> State:
    """Put what was said in the place of what the first app has; raises StateError when there is none."""
    app = next(iter(state.apps.values()), None)
    if app is None:
        raise statefile.StateError("the state holds no app; add one under apps, or remove the file")
    app.secret = said.get("app_secret", app.secret)
    if app.subscription is None:
        app.subscription = Subscription(
            callback_url=_CALLBACK, verify_token=_DEFAULTS["verify_token"], fields=list(fields.FIELDS)
        )
    app.subscription.callback_url = said.get("callback", app.subscription.callback_url)
    app.subscription.verify_token = said.get("verify_token", app.subscription.verify_token)
    if "token" in said:
        state.tokens.setdefault(said["token"], Token(value=said["token"], app_id=app.id))
    return state


def _world(options: argparse.Namespace, state: State, listener: socket.socket) -> World:
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(8))
    clock = Clock(speed=options.speed, start=max(time.time(), state.saved_at))
    world = World(state, clock, seed=seed, hosts=tuple(options.allow_host))
    world.open_control = not is_loopback(options.host)
    world.address = options.address.rstrip("/") or _address(listener)
    return world


async def _serve(world: World, listener: socket.socket, path: Path | None) -> None:
    """Serve, and keep the state file up to date."""
    keeper = statefile.Keeper(world, path) if path else None
    saving = asyncio.create_task(keeper.run()) if keeper else None
    telling = asyncio.create_task(_tell_codes(world))
    world.touch()
    if world.open_control:
        log.warn("Whoever reaches this address can use and control the simulator", address=_address(listener))
    await _Server(world).serve(sockets=[listener])
    telling.cancel()
    if keeper and saving:
        keeper.end()
        await saving


async def _tell_codes(world: World) -> None:
    """Print the codes that numbers are sent: nobody holds the phone that would show them."""
    news = world.watch()
    while (item := await news.get()) is not None:
        if item["kind"] == "code":
            number = world.state.numbers[item["number"]]
            sys.stdout.write(f"{item['method']} to {number.display_phone_number}: the code is {item['code']}\n")
            sys.stdout.flush()


class _Server(uvicorn.Server):
    """Says when it is ready, and lets those who watch the news go when told to stop: it would wait for them."""

    def __init__(self, world: World) -> None:
        config = uvicorn.Config(
            create_app(world),
            http="httptools",
            interface="asgi3",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._world = world
        self._loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            # uvicorn repeats the signal when it has stopped; by default that would end us before the state is saved.
            signal.signal(name, signal.SIG_IGN)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so: from here on calls and signals are answered."""
        await super().startup(sockets)
        sys.stdout.write(f"Simulated Meta is ready at {self._world.address}\n")
        sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._world.stop)
        super().handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # A name that leads nowhere has a number of its own kind, below 0.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise StartError(
            f"cannot listen on {host}:{port} ({reason}): stop what listens there, or choose another --port"
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looks at what was asked for
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def _secret(text: str) -> str:
    return resolve(text, os.environ) if is_reference(text) else text


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)


def _speed(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number from 0, got {text!r}")
    return found


if __name__ == "__main__":
    sys.exit(main())
