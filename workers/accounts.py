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
from whatshooked.meta import setup
from whatshooked.meta.codes import Retry
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import Number
from whatshooked.stream.activity import Activity, Note
from whatshooked.stream.intake import Addition, Intake
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Outbox
from whatshooked.stream.turn import take
from workers.outlook import Outlook
from workers.rounds import came_round
from workers.throughput import Throughput
from workers.traffic import Traffic

log = logs.get("accounts")

#: Seconds between two checks of an account that is connected, and of one that is not.
EVERY = 300.0
EVERY_FAILED = 60.0
#: Checks in succession that Graph may leave unanswered, or answer as out of order, until a connected account counts as
#: disconnected: that says nothing of its credentials.
PATIENCE = 2
_LOOK = 5.0
#: What an account has whose number Graph shows and whose messages it refuses.
_REFUSED = GraphFailure(
    401,
    190,
    0,
    "Graph shows the number to this token and refuses its messages",
    "does the token have whatsapp_business_messaging, and this WABA among its targets? (whatshooked account token)",
    reached=False,
)


class Credentials:
    """Checks every account; of several processes one asks (`name` is the process), the others see that it did."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        name: str,
        intake: Intake,
        config: Callable[[], Config],
        hooks: Callable[[], Hooks],
        graph: Graph,
        traffic: Traffic,
        activity: Activity,
    ) -> None:
        self._activity = activity
        self._link = link
        self._keys = keys
        self._name = name
        self._told: set[str] = set()
        self._intake = intake
        self._config = config
        self._hooks = hooks
        self._graph = graph
        self._traffic = traffic
        self._outlook = Outlook(link, keys, graph, traffic)
        #: Passing failures in succession, by account.
        self._passing: dict[str, int] = {}
        self._outbox = Outbox(link, keys)
        self._throughput = Throughput(link, keys)
        #: Accounts whose token Graph refused while a message was sent, and when to look at them (time.monotonic).
        self._doubted: dict[str, float] = {}
        self.stopping = asyncio.Event()

    def doubt(self, account_id: str) -> None:
        """Check an account as soon as may be, whoever's turn it is: its token was refused."""
        self._doubted[account_id] = 0.0

    async def run(self) -> None:
        """Check until told to stop."""
        while not self.stopping.is_set():
            came_round()
            await self._count_traffic()
            for account in self._config().whatsapp:
                if account.business_api is not None and not self.stopping.is_set():
                    await self._check_in_turn(account)
                    came_round()
            try:
                async with asyncio.timeout(_LOOK):
                    await self.stopping.wait()
            except TimeoutError:
                continue

    async def _count_traffic(self) -> None:
        try:
            await self._traffic.flush()
        except StreamUnavailable as error:
            metrics.REDIS_ERRORS.labels("accounts").inc()
            log.debug("Traffic could not be counted, trying again", error=str(error))

    async def _check_in_turn(self, account: Account) -> None:
        try:
            if account.business_api is None or not await self._is_our_turn(account):
                return
            found = await setup.number(self._graph, Access.of(account), account.business_api.phone_number_id)
            if isinstance(found, Number) and not await self._may_send(account):
                found = _REFUSED
            if isinstance(found, Number):
                await self._link.call("EXPIRE", self._keys.account_check(account.id), round(EVERY))
            await self._tell(account, found)
            await self._outlook.listen(account)
            if isinstance(found, Number):
                await self._throughput.learn(account.id, found.throughput)
                await self._outlook.look(account)
        except StreamUnavailable as error:
            metrics.REDIS_ERRORS.labels("accounts").inc()
            log.debug("Account could not be checked, trying again", account_id=account.id, error=str(error))

    async def _may_send(self, account: Account) -> bool:
        """Let an account go on that was held for its token; False while Graph refuses its messages all the same."""
        resumed, wait_ms = await self._outbox.resume(account.id)
        if wait_ms:
            self._doubted[account.id] = time.monotonic() + wait_ms / 1000
        elif resumed:
            log.info("The account sends again", account_id=account.id)
        return not wait_ms

    async def _is_our_turn(self, account: Account) -> bool:
        """Take the turn when nobody has it, or a process that is gone: a new start checks at once."""
        turn, seconds = self._keys.account_check(account.id), round(EVERY_FAILED)
        if self._doubted.get(account.id, float("inf")) <= time.monotonic():
            del self._doubted[account.id]
            await self._link.call("SET", turn, self._name, "EX", seconds)
            return True
        return await take(self._link, self._keys, turn, self._name, seconds) == "taken"

    async def _tell(self, account: Account, found: Number | GraphFailure) -> None:
        event_type, state, data = described(account, found)
        key = self._keys.account(account.id)
        before, since = await self._link.call("HMGET", key, "state", "since")
        if before == b"connected" and self._is_passing(account, found):
            return
        if before == state.encode() and account.id in self._told:
            return
        self._told.add(account.id)
        self._log(account, found)
        if before == state.encode():
            return
        if self._hooks().anyone_wants(event_type, account.id):
            await self._publish(event_type, account.id, data, generation=since or b"")
        # Last: a crash before this publishes again, under the same identity.
        await self._activity.tell(
            self._link, self._keys, _noted(account.id, found), ("HSET", key, "state", state, "since", time.time_ns())
        )

    def _is_passing(self, account: Account, found: Number | GraphFailure) -> bool:
        """Return whether a failure is Graph's own trouble and has not lasted yet."""
        if isinstance(found, Number) or found.retry is Retry.NEVER:
            self._passing.pop(account.id, None)
            return False
        self._passing[account.id] = self._passing.get(account.id, 0) + 1
        return self._passing[account.id] <= PATIENCE

    def _log(self, account: Account, found: Number | GraphFailure) -> None:
        if isinstance(found, Number):
            log.info("Business API client connected", account_id=account.id, phone=account.phone_number)
            return
        error = f"API returned status {found.status}: {found.text}" if found.reached else found.text
        log.error("Failed to connect client", account_id=account.id, error=error, hint=found.hint or None)

    async def _publish(
        self, event_type: str, account_id: str, data: dict[str, str | int], *, generation: bytes
    ) -> None:
        blob = events.encode(Event(events.ENTRY_VERSION, event_type, account_id, msgspec.json.encode(data)))
        name = f"{event_type}\0{account_id}\0".encode() + generation
        await self._intake.add([Addition(blob, hashlib.blake2b(name, digest_size=16).digest(), 0, event_type)])


def _noted(account_id: str, found: Number | GraphFailure) -> Note:
    if isinstance(found, Number):
        return Note("whatsapp.connected", account_id, state="connected")
    return Note("whatsapp.disconnected", account_id, state="disconnected", status=found.code, error=found.text)


def described(account: Account, found: Number | GraphFailure) -> tuple[str, str, dict[str, str | int]]:
    """Return the event's type, the state to remember, and the event's data."""
    if isinstance(found, Number):
        return (
            "whatsapp.connected",
            "connected",
            {
                "account_id": account.id,
                "phone_number": found.phone or account.phone_number,
                "verified_name": found.verified_name,
                "quality_rating": found.quality_rating,
            },
        )
    data: dict[str, str | int] = {
        "account_id": account.id,
        "reason": found.text,
        "code": found.code,
        "hint": found.hint,
    }
    return "whatsapp.disconnected", f"failed:{found.code}", data
