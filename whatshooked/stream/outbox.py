"""The outbox: messages to send, per account, each sent once as far as Meta lets us know.

new -> sending -> sent | failed | unknown. A line per recipient keeps their order: only its head is sent. Graph knows no
idempotency key, so a lease that ends without an answer is unknown, until a status webhook names the message.
"""

import secrets
import time
from collections.abc import Sequence

import msgspec
from redis.exceptions import RedisError

from whatshooked import logs, metrics
from whatshooked.errors import OutboxFull, StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.meta.reply import Reply
from whatshooked.stream.activity import NOBODY, Activity
from whatshooked.stream.link import Link, Script, checked
from whatshooked.stream.memory import NO_ROOM, shortage
from whatshooked.stream.message import (
    FINISHED,
    STATES,
    Again,
    Claimed,
    Decision,
    Failed,
    Lease,
    Message,
    Outcome,
    Record,
    Sent,
    State,
    Told,
    Unknown,
    record,
    written,
)
from whatshooked.stream.outbox_view import OutboxView, Place
from whatshooked.stream.registry import REMOVED_AFTER_MS

__all__ = [
    "FINISHED",
    "STATES",
    "Again",
    "Claimed",
    "Decision",
    "Failed",
    "Lease",
    "Message",
    "Outbox",
    "Outcome",
    "Place",
    "Record",
    "Sent",
    "State",
    "Told",
    "Unknown",
]

log = logs.get("outbox")

#: A script, its keys and its arguments.
_Call = tuple[Script, list[str], list[str | bytes | float]]

#: A lease outlasts any call to Graph, or a message would be called unknown while its answer is on the way.
LEASE_MS = 45_000
#: Leases of one message at most, where what is unknown is sent again.
MOST_LEASES = 5
#: Messages to one recipient at once, then one in so many ms: a little below Meta's 45 and 6 s, whose clock is not ours.
PAIR_BURST, PAIR_MS = 43, 6_100
#: Share of a number's messages a second that may go at once.
_AT_ONCE = 0.025
#: How the reason of a hold begins that ends when the account's credentials are accepted.
TOKEN = "the token is not accepted"  # noqa: S105 - words about one
#: Milliseconds of such a hold, unless the credentials check ends it sooner.
TOKEN_HOLD_MS = 3_600_000
#: Milliseconds after its end within which another one is laid to it: that lasts for a pause that doubles each time.
LAID_TO_MS = 30_000
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 5_000, 300_000
#: Seconds that an Idempotency-Key is remembered.
KNOWN_SECONDS = 86_400
#: Statuses whose time is measured.
_TIMED = frozenset(("delivered", "read"))
#: Digits of Meta's codes at most; what is longer comes from elsewhere and would make metrics without end.
_CODE = 7
#: The error of a message that was given up by hand.
DROPPED = "dropped by an operator"
#: Messages of one line, and of one account in all its lines, that may wait.
MOST_IN_LINE, MOST_WAITING = 1_000, 100_000
#: Seconds between two looks at Redis' memory.
_MEMORY_EVERY = 1.0


#: What DONE has kept of a hook's answer: the hook, and the messages it asked for; raises msgspec.MsgspecError.
kept_reply = msgspec.msgpack.Decoder(tuple[str, list[Reply]]).decode


class Outbox(OutboxView):
    """Every account's outgoing messages; raises StreamUnavailable when Redis does not answer."""

    def __init__(self, link: Link, keys: Keys, activity: Activity = NOBODY) -> None:
        super().__init__(link, keys)
        self._activity = activity
        #: Where among the replies the next look goes on.
        self._reached = b"0"
        #: Claims whose answer was lost: account, token, and the heads that they may have leased.
        self._lost: list[tuple[str, str, Sequence[tuple[str, str]]]] = []
        #: When this process last showed an account (time.monotonic), and saw Redis' memory: whether it is short.
        self._shown: dict[str, float] = {}
        self._memory = (float("-inf"), False)

    async def add(
        self,
        account_id: str,
        messages: Sequence[Message],
        *,
        known: str = "",
        digest: str = "",
        bounded: bool = True,
    ) -> list[tuple[str, str, bool]]:
        """Put messages into their lines; returns (id, digest, new) of the message that stands for each.

        A message whose id is there already is not put there again. `known` is an Idempotency-Key for one message,
        `digest` what was asked with it. Raises OutboxFull when one of them is not taken, unless they are not `bounded`.
        """
        if bounded and await self._is_short():
            raise OutboxFull("memory")
        await self._show(account_id)
        scripts = self._link.scripts
        calls = [
            (scripts.outbox_add, *self._added(account_id, message, known, digest, bounded=bounded))
            for message in messages
        ]
        found = []
        for name, new in checked(await self._link.run_all(calls)):
            if new < 0:
                raise OutboxFull("line" if name == b"line" else "account")
            message_id, _, asked = name.decode().rpartition("|")
            found.append((message_id, asked, bool(new)))
        return found

    async def due(self, account_ids: Sequence[str], most: int) -> dict[str, list[tuple[str, str]]]:
        """Return (recipient, id) of the heads of due lines, by account; accounts without any are missing."""
        now = await self._link.now()
        boxes = {account_id: self._keys.outbox(account_id) for account_id in account_ids}
        looks = [("ZRANGEBYSCORE", box.due, "-inf", now, "LIMIT", 0, most) for box in boxes.values()]
        recipients = {
            account_id: [name.decode() for name in names]
            for account_id, names in zip(boxes, checked(await self._link.batch(looks)), strict=True)
            if names
        }
        heads = [(a, r) for a, names in recipients.items() for r in names]
        found: dict[str, list[tuple[str, str]]] = {}
        replies = checked(await self._link.batch([("LINDEX", boxes[a].line(r), 0) for a, r in heads])) if heads else []
        for (account_id, recipient), head in zip(heads, replies, strict=True):
            if head is not None:
                found.setdefault(account_id, []).append((recipient, head.decode()))
        return found

    async def claim(
        self,
        account_id: str,
        heads: Sequence[tuple[str, str]],
        *,
        most: int,
        a_second: int,
        came_in: int = 0,
        resend: bool = False,
        lease_ms: int = LEASE_MS,
    ) -> Claimed:
        """Lease heads of lines, at most `most`, within the number's `a_second` and each recipient's rate.

        Raises StreamUnavailable: then they may be leased, and `give_back` puts them back.
        """
        box = self._keys.outbox(account_id)
        keys = [box.due, box.rate, box.hold, *map(box.of_state, STATES), box.activity]
        for recipient, message_id in heads:
            keys += [box.line(recipient), box.pair(recipient), box.message(message_id)]
        at_once = max(a_second * _AT_ONCE, 1.0)
        numbers: list[str | bytes | float] = [
            lease_ms,
            most,
            a_second - at_once,
            at_once,
            PAIR_BURST,
            PAIR_MS,
            came_in,
            int(resend),
            MOST_LEASES,
        ]
        token = secrets.token_hex(8)
        args = (*numbers, msgspec.msgpack.encode(list(heads)), token, self._told(account_id))
        try:
            found = await self._link.run(self._link.scripts.outbox_claim, keys, *args)
        except StreamUnavailable:
            self._lost.append((account_id, token, heads))
            raise
        leased, unknown, settled, wait_ms = found
        leases = [Lease(account_id, token, record(row[0].decode(), row[1])) for row in leased]
        return Claimed(leases, [i.decode() for i in unknown], [i.decode() for i in settled], wait_ms)

    async def give_back(self) -> None:
        """Put back what was leased by claims whose answer was lost: nobody sends it, and it would become unknown."""
        while self._lost:
            account_id, token, heads = self._lost[0]
            unsent = Again(0, tried=False)
            calls = [self._settling(account_id, *head, token, unsent) for head in heads]
            checked(await self._link.run_all(calls))
            del self._lost[0]

    async def settle(self, lease: Lease, outcome: Outcome) -> State | None:
        """Record what came of a send; returns the state the message has now, None when the lease was lost."""
        message = lease.message
        script, keys, args = self._settling(lease.account_id, message.to, message.id, lease.token, outcome)
        state = (await self._link.run(script, keys, *args)).decode()
        return msgspec.convert(state, State) if state else None

    def _settling(self, account_id: str, recipient: str, message_id: str, token: str, outcome: Outcome) -> _Call:
        box = self._keys.outbox(account_id)
        keys = [box.due, box.hold, box.line(recipient), box.message(message_id), *map(box.of_state, STATES)]
        keys.append(box.activity)
        kind, delay, hold, fields = written(outcome)
        reason = ""
        if isinstance(outcome, Again) and hold:
            reason = f"{TOKEN if outcome.bad_token else 'Meta asked for patience'}: {outcome.error}"
        flat = [part for pair in fields.items() for part in pair]
        args: list[str | bytes | float] = [recipient, message_id, token, kind, delay, hold, reason]
        args += [self._told(account_id), *flat]
        return self._link.scripts.outbox_settle, keys, args

    async def statuses(self, told: Sequence[Told]) -> None:
        """Note status webhooks of messages of ours; those of messages that nobody remembers are left alone.

        A key of another type is said and passed over: the reader of all events waits for this.
        """
        script = self._link.scripts.outbox_status
        calls: list[_Call] = []
        for one in told:
            box = self._keys.outbox(one.account_id)
            keys = [
                box.message(one.message_id),
                *(box.of_state(s) for s in ("sent", "failed", "unknown")),
                box.activity,
            ]
            flat = [part for pair in one.fields.items() for part in pair]
            about: list[str | bytes | float] = [
                one.message_id,
                one.status,
                one.at_ms,
                self._told(one.account_id),
                "status",
                one.status,
            ]
            calls.append((script, keys, [*about, *flat]))
        replies = await self._link.run_all(calls)
        strange = [isinstance(reply, RedisError) and "WRONGTYPE" in str(reply) for reply in replies]
        for one, is_strange in zip(told, strange, strict=True):
            if is_strange:
                log.seldom("error", "A status cannot be noted: a key holds no message", message_id=one.message_id)
        checked([reply for reply, is_strange in zip(replies, strange, strict=True) if not is_strange])
        for one, reply in zip(told, replies, strict=True):
            if not isinstance(reply, RedisError) and reply:
                _count(one, reply)

    async def decide(
        self, account_id: str, message: Record, decision: Decision, *, actor: str = ""
    ) -> tuple[bool, State | None]:
        """Send an unknown or failed message once more, or drop an unknown one, as an operator says.

        Returns whether that was done, and the state that the message has now; None when it is forgotten.
        """
        box = self._keys.outbox(account_id)
        keys = [
            box.due,
            box.line(message.to),
            box.message(message.id),
            *map(box.of_state, ("new", "failed", "unknown")),
            box.activity,
        ]
        args = (message.to, message.id, decision, DROPPED, self._told(account_id), actor)
        done, state = await self._link.run(self._link.scripts.outbox_decide, keys, *args)
        return bool(done), msgspec.convert(state.decode(), State) if state else None

    async def resume(self, account_id: str) -> tuple[bool, int]:
        """Let an account send again that was held for its token, now that its credentials are accepted.

        Returns whether it does by this call, and the ms until more is known: above 0 while its sends are refused all
        the same, or tried.
        """
        box = self._keys.outbox(account_id)
        times = (TOKEN_HOLD_MS, LAID_TO_MS, FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        done, wait_ms = await self._link.run(self._link.scripts.outbox_resume, [box.hold, box.resumed], TOKEN, *times)
        return bool(done), wait_ms

    async def replies(self, most: int) -> list[tuple[str, bytes]]:
        """Return some replies that DONE has stored and nobody has moved yet; the next call goes on behind them."""
        if not await self._link.call("HLEN", self._keys.replies):
            return []
        # Always from the beginning, the part that was emptied first would hide all that lies behind it.
        while True:
            self._reached, rows = await self._link.call("HSCAN", self._keys.replies, self._reached, "COUNT", most)
            if rows or self._reached == b"0":
                break
        return [(rows[i].decode(), rows[i + 1]) for i in range(0, len(rows), 2)]

    async def moved(self, names: Sequence[str]) -> None:
        """Forget replies that are in an outbox now."""
        await self._link.call("HDEL", self._keys.replies, *names)

    async def _show(self, account_id: str) -> None:
        """List an account, and say that a living process has it: who puts a message there does, if no worker yet."""
        if time.monotonic() - self._shown.get(account_id, float("-inf")) < REMOVED_AFTER_MS / 3_000:
            return
        box = self._keys.outbox(account_id)
        await self._link.run(self._link.scripts.outbox_show, [box.shown], REMOVED_AFTER_MS)
        await self._link.call("SADD", self._keys.accounts, account_id)
        self._shown[account_id] = time.monotonic()

    async def _is_short(self) -> bool:
        """Return whether Redis has no room for more messages, as it was within the last second."""
        seen, is_short = self._memory
        if time.monotonic() - seen > _MEMORY_EVERY:
            is_short = shortage(await self._link.call("INFO", "memory"), NO_ROOM) > 0
            self._memory = (time.monotonic(), is_short)
        return is_short

    def _added(
        self, account_id: str, message: Message, known: str, digest: str, *, bounded: bool
    ) -> tuple[list[str], list[str | bytes | float]]:
        box = self._keys.outbox(account_id)
        own = box.message(message.id)
        lists = [box.due, box.line(message.recipient), box.of_state("new")]
        keys = [*lists, own, box.known(known) if known else own, box.of_state("sending")]
        keys.append(box.activity)
        fields: dict[str, str | bytes] = {"kind": message.kind, "body": message.body, "callback": message.callback}
        fields |= {"cause": message.cause, "hook": message.hook_id}
        flat = [part for name, value in fields.items() if value for part in (name, value)]
        bounds = (MOST_IN_LINE, MOST_WAITING) if bounded else (0, 0)
        lives = KNOWN_SECONDS if known else 0
        return keys, [message.id, message.recipient, digest, lives, *bounds, self._told(account_id), *flat]

    def _told(self, account_id: str) -> str:
        """Return the account that scripts name in what they note, "" when nobody wants to know."""
        return account_id if self._activity.on else ""


def _count(told: Told, put_at: int) -> None:
    """Count a status of a message that was put into its line at `put_at` (unix ms): how long it took, why it failed."""
    if told.status in _TIMED and told.at_ms:
        metrics.STATUS_SECONDS.labels(told.status).observe(max(told.at_ms - put_at, 0) / 1000)
    elif told.status == "failed":
        code = told.fields.get("code", "0")
        metrics.FAILED.labels(code if code.isdecimal() and len(code) <= _CODE else "other").inc()
