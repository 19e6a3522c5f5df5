"""What a hook's answer asks to send, made ready to be kept in the step that records the delivery."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.events import Event
from whatshooked.meta import reply
from workers import statuses

log = logs.get("outbox")

_encode = msgspec.msgpack.Encoder().encode


class Asked(NamedTuple):
    """What came of an answer: the reply to keep, or why there is none, as `Taken` takes them; both empty: no matter."""

    reply: bytes = b""
    refusal: str = ""


#: What nearly every answer comes to.
NOTHING = Asked()
_CIRCULAR = "what a reply brought about is not replied to, or a bot that always answers would talk to itself"


class Replies:
    """Reads answers; `wake` says that one was kept and waits to be sent."""

    def __init__(self, config: Callable[[], Config], wake: Callable[[], None]) -> None:
        self._config = config
        self.wake = wake
        self._circular: set[str] = set()

    def kept(self, event: Event, hook_id: str, answer: bytes) -> Asked:
        """Return the reply to keep, or why what was asked cannot be sent; that is counted and logged."""
        if not reply.asks(answer):
            return NOTHING
        config = self._config()
        accounts = frozenset(account.id for account in config.whatsapp if account.business_api is not None)
        found = reply.read(
            answer,
            event=event,
            sender=reply.addressee(event),
            message_id=reply.message(event),
            accounts=accounts,
            country_code=config.server.default_country_code,
        )
        if found is None:
            return NOTHING
        if not self._may_be_answered(event):
            metrics.REPLIES.labels(hook_id, "circular").inc()
            self._say_circular(hook_id)
            return Asked(refusal=f"circular|{_CIRCULAR}")
        if isinstance(found, reply.Unusable):
            metrics.REPLIES.labels(hook_id, "unusable").inc()
            log.seldom("error", "Reply of a hook cannot be sent", hook_id=hook_id, error=found.reason)
            return Asked(refusal=f"unusable|{found.reason}")
        metrics.REPLIES.labels(hook_id, "kept").inc()
        return Asked(_encode((hook_id, found.messages)))

    def _say_circular(self, hook_id: str) -> None:
        """Once for each hook: one that answers everything asks so for every status of every message."""
        if hook_id not in self._circular:
            self._circular.add(hook_id)
            log.warn("A hook replies to what its replies brought about: such replies are not sent", hook_id=hook_id)

    def _may_be_answered(self, event: Event) -> bool:
        """Return False for what a reply brought about, or a bot that always answers talks to itself.

        Such are the statuses of a message that a reply sent, and the news of deliveries, theirs among them.
        """
        if event.type.startswith("hook."):
            return False
        told = statuses.told(event)
        return told is None or not told.cause
