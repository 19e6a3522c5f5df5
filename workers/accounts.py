"""Are the accounts' credentials accepted? Asked at start and every few minutes, told once per change."""

import asyncio
import hashlib
import time
from collections.abc import Callable

import msgspec

from whatshooked import events, logs, metrics
from whatshooked.config import Account, Config
from whatshooked.errors import StreamUnavailable
from whatshooked.events import Event
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.meta.graph import Graph, GraphError, Number
from whatshooked.stream.intake import Addition, Intake
from whatshooked.stream.link import Link

log = logs.get("accounts")

#: Seconds between two checks of an account that is connected, and of one that is not.
EVERY = 300.0
EVERY_FAILED = 60.0
_LOOK = 5.0


class Credentials:
    """Checks every account; of several processes one asks, the others see that it was asked."""

    def __init__(
        self, link: Link, keys: Keys, intake: Intake, config: Callable[[], Config], hooks: Callable[[], Hooks]
    ) -> None:
        self._link = link
        self._keys = keys
        self._intake = intake
        self._config = config
        self._hooks = hooks
        self._graph = Graph()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Check until told to stop."""
        while not self.stopping.is_set():
            for account in self._config().whatsapp:
                if account.business_api is not None and not self.stopping.is_set():
                    await self._check_in_turn(account)
            try:
                async with asyncio.timeout(_LOOK):
                    await self.stopping.wait()
            except TimeoutError:
                continue
        await self._graph.close()

    async def _check_in_turn(self, account: Account) -> None:
        turn = self._keys.account_check(account.id)
        try:
            if not await self._link.call("SET", turn, 1, "NX", "EX", round(EVERY_FAILED)):
                return
            found = await self._graph.number(account)
            if isinstance(found, Number):
                await self._link.call("EXPIRE", turn, round(EVERY))
            await self._tell(account, found)
        except StreamUnavailable as error:
            metrics.REDIS_ERRORS.labels("accounts").inc()
            log.debug("Account could not be checked, trying again", account_id=account.id, error=str(error))

    async def _tell(self, account: Account, found: Number | GraphError) -> None:
        if isinstance(found, Number):
            metrics.GRAPH.labels("0").inc()
            state, event_type = "connected", "whatsapp.connected"
            phone = found.phone or account.phone_number
            data: dict[str, object] = {
                "account_id": account.id,
                "phone_number": phone,
                "verified_name": found.verified_name,
                "quality_rating": found.quality_rating,
            }
        else:
            metrics.GRAPH.labels(str(found.code) if found.reached else "-1").inc()
            state, event_type = f"failed:{found.code}", "whatsapp.disconnected"
            data = {"account_id": account.id, "reason": found.text, "code": found.code, "hint": found.hint}
        key = self._keys.account(account.id)
        before = await self._link.call("HGET", key, "state")
        if before == state.encode():
            return
        self._log(account, found)
        if self._hooks().anyone_wants(event_type, account.id):
            await self._publish(event_type, account.id, data)
        # Last: a crash before this tells the change twice rather than never.
        await self._link.call("HSET", key, "state", state, "since", int(time.time()))

    def _log(self, account: Account, found: Number | GraphError) -> None:
        if isinstance(found, Number):
            log.info("Business API client connected", account_id=account.id, phone=account.phone_number)
            return
        error = f"API returned status {found.status}: {found.text}" if found.reached else found.text
        log.error("Failed to connect client", account_id=account.id, error=error, hint=found.hint or None)

    async def _publish(self, event_type: str, account_id: str, data: dict[str, object]) -> None:
        blob = events.encode(Event(events.ENTRY_VERSION, event_type, account_id, msgspec.json.encode(data)))
        identity = hashlib.blake2b(f"{event_type}\0{account_id}\0{time.time_ns()}".encode(), digest_size=16).digest()
        await self._intake.add([Addition(blob, identity, int(time.time()) // 86_400)])
