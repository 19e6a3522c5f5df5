"""What Prometheus gets: asked for at each scrape, and served on a port of its own where the config names one.

Of several processes of one config on one machine one serves that port, for all of them; when it ends another does. The
answer never waits for a Redis that is away, or for an event loop that hangs: it goes out without what they know.
"""

import asyncio
import concurrent.futures
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.config.rules import days_of_version
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.metrics import facts, folder
from whatshooked.metrics.facts import Known
from whatshooked.metrics.shown import exposition
from whatshooked.stream.link import Link
from whatshooked.stream.standing import Standing

log = logs.get("metrics")

CONTENT_TYPE = "text/plain; version=0.0.4"
#: Seconds that one look at Redis may take, and that the serving thread waits for it.
PATIENCE, _WAIT = 1.0, 1.3
#: Seconds between two tries to serve the port, and after which a client that says nothing is left alone.
_AGAIN, _SILENCE = 0.5, 2.0
#: Clients that are answered at the same time: anybody who reaches the port must not take the process's descriptors.
_CLIENTS = 16


class Scrape:
    """Answers scrapes for one process; those that come at the same moment share an answer."""

    def __init__(self, config: Callable[[], Config], keys: Keys, url: str) -> None:
        self._config = config
        self._link = Link(url, timeout=PATIENCE)
        self._standing = Standing(self._link, keys, config)
        self._asking: asyncio.Task[list[Known]] | None = None
        #: Of a disk that hangs: nobody waits for it, and nobody asks a second time.
        self._disks: asyncio.Future[list[Known]] | None = None

    async def text(self) -> bytes:
        """Return the text for a scrape; the files are read beside the event loop."""
        return await asyncio.to_thread(exposition, await self.known())

    async def known(self) -> list[Known]:
        """Return what Redis, the config and the disks know; of a Redis that does not answer in time only that."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _ask(self) -> list[Known]:
        config = self._config()
        of_redis, of_disks = await asyncio.gather(self._ask_redis(), self._ask_disks(config))
        return [*of_redis, *of_disks, *of_config(config)]

    async def _ask_redis(self) -> list[Known]:
        try:
            async with asyncio.timeout(PATIENCE):
                return [Known(facts.REDIS_UP, (), 1.0), *await self._standing.look()]
        except (StreamUnavailable, TimeoutError) as error:
            metrics.REDIS_ERRORS.labels("metrics").inc()
            log.debug("Redis does not answer a scrape", error=str(error))
            return [Known(facts.REDIS_UP, (), 0.0)]
        except Exception as error:  # what was counted is shown all the same
            log.bug("What Redis answered a scrape cannot be read", error)
            return []

    async def _ask_disks(self, config: Config) -> list[Known]:
        if self._disks is None or self._disks.done():
            self._disks = asyncio.get_running_loop().run_in_executor(None, lambda: list(disks(config)))
        await asyncio.wait([self._disks], timeout=PATIENCE)
        return self._disks.result() if self._disks.done() else []

    def _asked(self, _: "asyncio.Task[list[Known]]") -> None:
        self._asking = None


def of_config(config: Config) -> list[Known]:
    """Return what the config and the clock know, whether Redis is there or not."""
    today, cache = datetime.now(UTC).date(), config.message_cache
    found = [Known(facts.CACHE_LIMIT, (), cache.max_events if cache.enabled else 0)]
    for account in config.whatsapp:
        if account.business_api is not None:
            days = days_of_version(account.business_api.api_version, today)
            found.append(Known(facts.VERSION_DAYS, (account.id,), float("inf") if days is None else days))
    return found


def disks(config: Config) -> Iterator[Known]:
    """Yield room and size of the disks that this machine's folders lie on; of several the one with the least room."""
    for name, folders in _folders(config).items():
        rooms = [(room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize) for room in map(_room, folders) if room]
        if rooms:
            free, size = min(rooms)
            yield Known(facts.DISK_FREE, (name,), free)
            yield Known(facts.DISK_SIZE, (name,), size)


def _folders(config: Config) -> dict[str, list[Path]]:
    """Return the folders that something is kept in, by what it is."""
    logger = config.event_logger
    logged = {"file": Path(logger.file_dir), "sqlite": Path(logger.sqlite_path).parent}
    return {
        "redis": [] if config.redis.url else [Path(config.message_cache.data_path)],
        "media": [] if config.media.storage else [Path(config.media.data_path)],
        "log": [place for target, place in logged.items() if logger.enabled and target in logger.targets],
    }


def _room(place: Path) -> os.statvfs_result | None:
    """Return what the disk of a folder says, or of the one that it will be made in."""
    for candidate in (place.absolute(), *place.absolute().parents):
        try:
            return os.statvfs(candidate)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


class Serving(threading.Thread):
    """Serves /metrics on `metrics.port`, as soon as no other process of this config on this machine does."""

    def __init__(self, config: Config) -> None:
        super().__init__(name="metrics", daemon=True)
        self._address = (config.metrics.host, config.metrics.port or 0)
        #: Asks the process's event loop, once there is one.
        self._ask: Callable[[], concurrent.futures.Future[list[Known]]] | None = None
        self._stopping = threading.Event()
        self._said = ""

    @classmethod
    def begin(cls, config: Config) -> "Serving | None":
        """Serve from now on what is counted; None where the config names no port."""
        if config.metrics.port is None:
            return None
        serving = cls(config)
        serving.start()
        return serving

    def asks(self, scrape: Scrape) -> None:
        """Serve from now on also what only the running loop can find out."""
        loop = asyncio.get_running_loop()
        self._ask = lambda: asyncio.run_coroutine_threadsafe(scrape.known(), loop)

    async def stop(self) -> None:
        """Let the port go."""
        self._stopping.set()
        await asyncio.to_thread(self.join, _WAIT)

    def run(self) -> None:
        """Wait for the turn, serve, until told to stop."""
        there = folder.given()
        while not self._stopping.is_set():
            try:
                with folder.held(there / f"port-{self._address[1]}.lock") if there else nullcontext(True) as is_ours:
                    if is_ours:
                        self._serve()
            except OSError as error:
                self._say_once(
                    f"{error.filename}: {error.strerror or error}; set PROMETHEUS_MULTIPROC_DIR to a folder that stays"
                )
            self._stopping.wait(_AGAIN)

    def text(self) -> bytes:
        """Return the text for a scrape; what an event loop that hangs would know is missing in it."""
        if self._ask is None:
            return exposition([])
        asked = self._ask()
        try:
            return exposition(asked.result(_WAIT))
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            asked.cancel()
            return exposition([])

    def _serve(self) -> None:
        host, port = self._address
        try:
            server = _Server(self._address, self.text)
        except OSError as error:
            why = error.strerror or error
            self._say_once(f"cannot listen on {host}:{port} ({why}): stop what listens there, or set metrics.port")
            return
        self._said = ""
        log.info("Serving metrics", address=f"{host}:{server.server_port}/metrics")
        with server:
            while not self._stopping.is_set():
                server.handle_request()

    def _say_once(self, error: str) -> None:
        if error != self._said:
            self._said = error
            log.error("No metrics are served, trying again", error=error)


class _Server(ThreadingHTTPServer):
    timeout = _AGAIN

    def __init__(self, address: tuple[str, int], text: Callable[[], bytes]) -> None:
        self._room = threading.BoundedSemaphore(_CLIENTS)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.text = text
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking who we are by name: a resolver that is away would hold us up for seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_port = self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a client in a thread of its own; one too many is hung up on."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make room when the client has its answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, *_: Any) -> None:
        """A client that went away is nobody's trouble."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENCE
    server: _Server

    def do_GET(self) -> None:
        """Answer one scrape."""
        status, body = self._answer()
        self.send_response(status)
        self.send_header("content-type", CONTENT_TYPE)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> tuple[int, bytes]:
        if self.path.partition("?")[0] != "/metrics":
            return 404, b"the metrics stand at /metrics\n"
        try:
            return 200, self.server.text()
        except Exception as error:
            log.bug("A scrape ended in an error of ours", error)
            return 500, b"an error of ours, see the log\n"

    def log_message(self, *_: Any) -> None:
        """A scrape is no news."""
