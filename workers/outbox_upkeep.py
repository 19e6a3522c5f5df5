"""One pass of the outboxes' upkeep: what it does, and what it says of it."""

import time
from collections.abc import Sequence

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.stream.outbox_upkeep import OutboxUpkeep

log = logs.get("outbox")

#: Days that a finished message is remembered.
REMEMBERED_DAYS = 7


class OutboxKeeper:
    """Keeps the outboxes in bounds; any worker may run a pass at any time. Raises StreamUnavailable."""

    def __init__(self, upkeep: OutboxUpkeep) -> None:
        self._upkeep = upkeep

    async def known(self, config: Config) -> list[str]:
        """Return every account that may have an outbox."""
        return await self._upkeep.known(_configured(config))

    async def run_pass(self, config: Config, *, is_steady: bool) -> None:
        """Forget what is over; where this process `is_steady`, end what waits for accounts that nobody has any more."""
        configured = _configured(config)
        await self._upkeep.show(configured)
        known = await self._upkeep.known(configured)
        await self._forget(known)
        if is_steady:
            for account_id in known[len(configured) :]:
                await self._drop(account_id)

    async def _forget(self, account_ids: Sequence[str]) -> None:
        before = round((time.time() - REMEMBERED_DAYS * 86_400) * 1000)
        for account_id in account_ids:
            while aged := await self._upkeep.forget(account_id, before):
                metrics.MESSAGES_FORGOTTEN.labels("too_old").inc(aged)
            while crowded := await self._upkeep.crowd_out(account_id):
                metrics.MESSAGES_FORGOTTEN.labels("too_many").inc(crowded)
                log.seldom("warn", "Finished messages forgotten before their time", account_id=account_id)
        if count := await self._upkeep.make_room(account_ids):
            metrics.MESSAGES_FORGOTTEN.labels("no_memory").inc(count)
            log.seldom("warn", "Finished messages forgotten before their time: Redis is nearly full", messages=count)

    async def _drop(self, account_id: str) -> None:
        dropped = await self._upkeep.drop(account_id)
        if dropped.failed:
            metrics.OUTBOX_DROPPED.labels(account_id).inc(dropped.failed)
            log.warn("Messages of a removed account given up", account_id=account_id, messages=dropped.failed)
        for message_id in dropped.unknown:
            metrics.OUTBOX_UNKNOWN.labels(account_id).inc()
            log.error("Nobody knows whether a message was sent", account_id=account_id, message_id=message_id)


def _configured(config: Config) -> list[str]:
    return [account.id for account in config.whatsapp if account.business_api is not None]
