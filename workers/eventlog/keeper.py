"""In each worker: the one that has the turn keeps the process that writes the event log."""

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

import msgspec

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.stream import turn
from whatshooked.stream.link import Link
from workers.eventlog.process import DRAIN, Task
from workers.rounds import came_round

log = logs.get("eventlog")

#: How the process is started; the faults of ops/ put theirs here.
COMMAND = [sys.executable, "-m", "workers.eventlog.process"]
#: Seconds between two looks at the config, the turn and the process.
TICK = 0.25
#: Seconds of a turn, after which it has to be renewed.
TURN = 10
#: Seconds from the unasked end of the process to the next one.
_PAUSE = 1.0
_ROOT = Path(__file__).parents[2]


class Keeper:
    """Follows config and turn; `name` is this worker's."""

    def __init__(self, link: Link, keys: Keys, name: str, config: Callable[[], Config], url: str) -> None:
        self._link = link
        self._keys = keys
        self._name = name
        self._config = config
        self._url = url
        self._process: Process | None = None
        #: The config that the process was started with.
        self._of: Config | None = None
        self._turn_until = 0.0
        self._not_before = 0.0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep the process while this worker has the turn, until told to stop."""
        while not self.stopping.is_set():
            came_round()
            try:
                await self._step()
            except StreamUnavailable as error:
                metrics.REDIS_ERRORS.labels("eventlog").inc()
                log.debug("The event log's turn could not be taken, trying again", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self.stopping.wait()
        await self._end()
        with contextlib.suppress(StreamUnavailable):
            if time.monotonic() < self._turn_until:
                await self._link.call("DEL", self._keys.log_writer)

    async def _step(self) -> None:
        config = self._config()
        logger = config.event_logger
        if self._process is not None and self._process.returncode is not None:
            log.error("The event log's process ended, starting another", code=self._process.returncode)
            self._process, self._not_before = None, time.monotonic() + _PAUSE
        is_wanted = logger.enabled and bool(logger.targets) and await self._has_turn()
        if self._of is not config or not is_wanted:
            await self._end()
        self._of = config
        if is_wanted and self._process is None and time.monotonic() >= self._not_before:
            try:
                await self._begin(config)
            except OSError as error:  # no memory or no room for one more process, just now
                log.seldom("error", "The event log's process cannot be started, trying again", error=str(error))
                self._not_before = time.monotonic() + _PAUSE

    async def _has_turn(self) -> bool:
        """Take the turn, or renew it. A worker that stood still may believe that it has it: its targets know better."""
        if time.monotonic() < self._turn_until - TURN / 2:
            return True
        asked, key = time.monotonic(), self._keys.log_writer
        found = await turn.take(self._link, self._keys, key, self._name, TURN)
        if found == "other":
            self._turn_until = 0.0
            return False
        if found == "held":
            await self._link.call("EXPIRE", key, TURN)
        self._turn_until = asked + TURN
        return True

    async def _begin(self, config: Config) -> None:
        log.info("Event log is written", targets=",".join(config.event_logger.targets))
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}, start_new_session=True
        )
        if self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(Task.of(config, self._url)) + b"\n")
            with contextlib.suppress(ConnectionError):  # it ended at once: the next step sees it
                await self._process.stdin.drain()

    async def _end(self) -> None:
        """Let the process write what is there, and end."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(2 * DRAIN):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._process = None
