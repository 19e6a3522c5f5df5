"""Messages sent through a gateway while it is disturbed: which were answered 200, and which arrived at the hook."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx
import msgspec

from whatshooked.simulator.people.offline import Arrival, Offline


@dataclass
class Crossing:
    """Sends messages to `webhook` until told to stop, and is the hook at `port` of every address."""

    webhook: str
    secret: str
    #: Seconds between two messages.
    pause: float = 0.03
    taken: list[str] = field(default_factory=list)
    refused: int = 0
    arrived: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        arrived = self.arrived

        class Hook(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                found: dict[str, Any] = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
                arrived.append(str(found.get("message_id")))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Hook)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}),
            threading.Thread(target=self._send),
        ]
        return self

    def begin(self) -> None:
        """Let messages come and be delivered."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more; the hook goes on."""
        self._stopping.set()
        self._threads[1].join()

    def __exit__(self, *_: object) -> None:
        if self._threads[0].is_alive():
            self.stop()
            self._server.shutdown()
            self._threads[0].join()
        self._server.server_close()

    @property
    def missing(self) -> set[str]:
        """Return the messages that were answered 200 and did not arrive."""
        return set(self.taken) - set(self.arrived)

    def _send(self) -> None:
        maker, number = Offline(self.secret), 0
        with httpx.Client(trust_env=False, timeout=10.0) as client:
            while not self._stopping.wait(self.pause):
                number += 1
                post = maker.arrival(Arrival(text=f"message {number}"))
                try:
                    status = client.post(self.webhook, content=post.body, headers=post.headers).status_code
                except httpx.HTTPError:
                    status = 0
                if status == 200:
                    self.taken.append(post.message_id)
                else:
                    self.refused += 1
