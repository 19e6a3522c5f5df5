"""What commands that look into Redis share: the config, a connection, and one coroutine to run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from whatshooked.boot import Boot
from whatshooked.config import Config
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

Result = TypeVar("Result")


def with_redis(work: Callable[[Config, Keys, Link], Awaitable[Result]]) -> Result:
    """Return what `work` returns; raises ConfigError, EmbeddedError and StreamUnavailable."""
    boot = Boot.peek()

    async def main() -> Result:
        async with Link(boot.url) as link:
            return await work(boot.config, Keys(boot.config.redis.prefix), link)

    try:
        return asyncio.run(main())
    finally:
        boot.close()
