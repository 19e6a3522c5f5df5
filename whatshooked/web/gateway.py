"""What one web process holds: the config of the moment, the accounts and their signers, and its way to Redis."""

import signal
from asyncio import get_running_loop
from pathlib import Path

from whatshooked import logs
from whatshooked.config import Config, load
from whatshooked.errors import ConfigError, StreamUnavailable
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.meta.accounts import Accounts
from whatshooked.meta.signature import Signer
from whatshooked.stream.cache import Cache
from whatshooked.stream.consume import ensure_group
from whatshooked.stream.intake import Intake
from whatshooked.stream.link import Link
from whatshooked.stream.registry import read_switches
from whatshooked.stream.replay import Operator

log = logs.get("web")


#: As large as an event: right at the edge of full a smaller write would be taken where an event is not.
_EVENT_SIZED = b"." * 4096


class Gateway:
    """One web process; `start` before the first request, `stop` after the last."""

    def __init__(self, config: Config, url: str) -> None:
        self.keys = Keys(config.redis.prefix)
        # The intake has a connection of its own: no listing of the cache stands in the way of a webhook.
        self._add = Link(url)
        self.link = Link(url)
        self.intake = Intake(self._add, self.keys)
        self.cache = Cache(self.link, self.keys)
        self._use(config)

    def _use(self, config: Config) -> None:
        self.config = config
        self.accounts = Accounts(config.whatsapp)
        self.signers = {
            account.id: Signer(account.business_api.app_secret)
            for account in config.whatsapp
            if account.business_api is not None and account.business_api.app_secret
        }

    async def start(self) -> None:
        """Follow SIGHUP, and make the consumer group; Redis may come later, the workers make it then."""
        get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        try:
            await ensure_group(self.link, self.keys)
        except StreamUnavailable as error:
            log.warn("Redis does not answer yet: webhooks are refused until it does", error=str(error))

    async def stop(self) -> None:
        """Close the connections."""
        await self._add.close()
        await self.link.close()

    def reload(self) -> None:
        """Read the config again, all of it or nothing; address and Redis stay until a restart."""
        try:
            loaded = load(Path(self.config.path))
        except ConfigError as error:
            for fault in error.faults:
                log.error("Config not reloaded", fault=fault)
            return
        before, after = self.config, loaded.config
        if (before.redis, before.server.host, before.server.port) != (
            after.redis,
            after.server.host,
            after.server.port,
        ):
            log.warn("The new address or Redis is used after a restart")
        self._use(after)
        log.info("Config reloaded", hooks=len(after.hooks), accounts=len(after.whatsapp))

    async def hooks(self) -> Hooks:
        """Return the hooks of this moment, with the run-time switches; raises StreamUnavailable."""
        return Hooks(self.config.hooks, await read_switches(self.link, self.keys))

    async def operator(self) -> Operator:
        """Return what replays, deletes and clears, by the hooks of this moment; raises StreamUnavailable."""
        hooks = await self.hooks()
        return Operator(self.link, self.keys, lambda: hooks)

    async def prove_ready(self) -> None:
        """Write to Redis on the intake's own connection; raises StreamUnavailable when it does not take it."""
        await self._add.call("SET", self.keys.ready, _EVENT_SIZED, "EX", 60)
