"""The process that writes the event log: `python -m workers.eventlog.process`, started by a worker, never by hand.

Its task comes as one line of JSON on standard input, so that no secret stands in its arguments. When that input ends,
its worker has stopped or died: it writes what is there, for some seconds, and ends as well.
"""

import asyncio
import os
import signal
import sys

import msgspec
import uvloop

from whatshooked import logs
from whatshooked.config import Config, Database, EventLogger

#: Seconds in which what was noted until the end may still be written.
DRAIN = 5.0
#: How much later than its worker this process gets the processor, as `nice` counts it.
_NICE = 5


class Task(msgspec.Struct, frozen=True):
    """What to write, and where it comes from."""

    url: str
    prefix: str
    event_logger: EventLogger
    database: Database | None
    account_ids: tuple[str, ...]
    log_level: str
    log_format: str

    @classmethod
    def of(cls, config: Config, url: str) -> "Task":
        """Return the task that a config sets."""
        accounts = tuple(account.id for account in config.whatsapp if account.business_api is not None)
        about = (config.event_logger, config.database, accounts, config.log_level, config.log_format)
        return cls(url, config.redis.prefix, *about)


def main() -> int:
    """Read the task, and write until standard input ends."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # its worker's to follow
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    logs.setup(task.log_level, "json" if task.log_format == "json" else "text")
    uvloop.run(_write(task))
    return 0


async def _write(task: Task) -> None:
    from whatshooked.boot import calm_collector
    from workers.eventlog.writer import Writer

    writers = [Writer(task, target) for target in dict.fromkeys(task.event_logger.targets)]
    calm_collector()
    running = {asyncio.create_task(writer.run()) for writer in writers}
    ended = asyncio.create_task(_input_ends())
    done, _ = await asyncio.wait({*running, ended}, return_when=asyncio.FIRST_COMPLETED)
    for writer in writers:
        writer.stopping.set()
    _, hanging = await asyncio.wait(running, timeout=DRAIN)
    for failed in (done | running) - hanging - {ended}:
        failed.result()  # an error of ours: the worker starts this process once more
    if hanging:
        os._exit(0)  # a target's call hangs in a thread: what it has not written stays with its group
    for writer in writers:
        await writer.close()


async def _input_ends() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    raise SystemExit(main())
