"""One simulated Meta: its state, its clock and chance, its switches, what it was asked, and its way out to webhooks."""

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import Coroutine
from typing import Any

from msgspec import Struct

from whatshooked import logs
from whatshooked.simulator.graph.limits import Limits
from whatshooked.simulator.rules import Rule
from whatshooked.simulator.webhooks.delivery import Webhooks
from whatshooked.simulator.world.clock import Clock
from whatshooked.simulator.world.knobs import Knobs
from whatshooked.simulator.world.model import State, node

log = logs.get("simulator")

#: Calls that the request log remembers, and news that a watcher may leave unread.
_REMEMBERED, _UNREAD = 10_000, 10_000
Watcher = asyncio.Queue[dict[str, Any] | None]


class Logged(Struct, kw_only=True):
    """One call of Graph: no token stands in it."""

    at: float
    method: str
    path: str
    status: int
    code: int = 0
    #: Keys of the request that Graph accepts and ignores: most likely a mistake.
    unknown: list[str] = []
    body: Any = None


class World:
    """A simulated Meta; `close` ends what is still under way."""

    def __init__(self, state: State, clock: Clock | None = None, *, seed: int = 0, hosts: tuple[str, ...] = ()) -> None:
        self.state = state
        self.clock = clock or Clock()
        # The same seed on the same state brings the same; on a later state it must not bring the same ids again.
        self.random = random.Random(f"{seed}/{state.count}/{len(state.messages)}")
        self.knobs = Knobs()
        self.limits = Limits(self.clock)
        self.rules: list[Rule] = []
        self.calls: deque[Logged] = deque(maxlen=_REMEMBERED)
        #: Where the simulator is reached, for the URLs that it hands out.
        self.address = ""
        #: Whether `/_sim/` answers callers from elsewhere.
        self.open_control = False
        self.webhooks = Webhooks(self, hosts)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watchers: set[Watcher] = set()
        #: Set when the server is about to end.
        self.stopping = asyncio.Event()
        #: Set whenever the state may have changed; whoever saves it clears it.
        self.changed = asyncio.Event()

    def new_id(self, kind: str) -> str:
        """Return an id of digits that was never given before; the same seed gives the same ids."""
        prefix = {"media": "6", "template": "5", "number": "1", "waba": "2"}.get(kind, "9")
        while True:
            self.state.count += 1
            found = f"{prefix}{self.state.count:014d}"
            if node(self.state, found) is None:
                return found

    def token_hex(self, size: int) -> str:
        """Return `size` random bytes in upper-case hex, by the seed."""
        return self.random.randbytes(size).hex().upper()

    def trace(self) -> str:
        """Return an fbtrace_id."""
        return "A" + hashlib.sha256(self.random.randbytes(8)).hexdigest()[:22]

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on beside whoever asked for it; its errors are logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def touch(self) -> None:
        """Note that the state may have changed."""
        self.changed.set()

    def watch(self) -> Watcher:
        """Return a queue of all that is told from now on; None ends it."""
        queue: Watcher = asyncio.Queue(_UNREAD)
        self._watchers.add(queue)
        return queue

    def leave(self, queue: Watcher) -> None:
        """Tell this watcher nothing more; what it has not read yet is let go, and it finds the end."""
        self._watchers.discard(queue)
        while queue.full():
            queue.get_nowait()
        queue.put_nowait(None)

    def tell(self, news: dict[str, Any]) -> None:
        """Tell every watcher; one that does not read is left."""
        for queue in tuple(self._watchers):
            if queue.full():
                self.leave(queue)
            else:
                queue.put_nowait(news)

    def stop(self) -> None:
        """Let go those who watch or hang, so that a server can end."""
        self.stopping.set()
        for queue in tuple(self._watchers):
            self.leave(queue)

    async def close(self) -> None:
        """End what is under way, and the connections."""
        self.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.webhooks.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.bug("The simulator failed beside a call", error)
