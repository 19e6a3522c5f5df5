"""What commands that look into Redis share: the config, a connection, and one coroutine to run."""

import asyncio
import getpass
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from whatshooked.boot import Boot
from whatshooked.config import Config
from whatshooked.keys import Keys
from whatshooked.stream.activity import Activity
from whatshooked.stream.link import Link

Result = TypeVar("Result")


def actor() -> str:
    """Return who calls a command, for the event log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        user = str(os.getuid())
    return f"cli:{user}@{socket.gethostname()}"


async def activity(config: Config, keys: Keys, link: Link) -> Activity:
    """Return whether somebody wants to know what a command does; raises StreamUnavailable."""
    found = Activity(lambda: config.event_logger.enabled)
    await found.look(link, keys)
    return found


def with_redis(work: Callable[[Config, Keys, Link], Awaitable[Result]]) -> Result:
    """Return what `work` returns; raises ConfigError, EmbeddedError and StreamUnavailable."""
    return _run(Boot.peek(), work)


def watching(work: Callable[[Config, Keys, Link], Awaitable[Result]]) -> Result:
    """Do the same for a command that stays: it waits for the gateway's server, and never becomes it."""
    return _run(Boot.watch(), work)


def _run(boot: Boot, work: Callable[[Config, Keys, Link], Awaitable[Result]]) -> Result:
    async def main() -> Result:
        async with Link(boot.url) as link:
            return await work(boot.config, Keys(boot.config.redis.prefix), link)

    try:
        return asyncio.run(main())
    finally:
        boot.close()
