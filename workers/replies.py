"""What a hook's answer asks to send, made ready to be kept in the step that records the delivery."""

from collections.abc import Callable

import msgspec

from whatshooked import logs, metrics
from whatshooked.config import Config
from whatshooked.events import Event
from whatshooked.meta import reply
from workers import statuses

log = logs.get("outbox")

_encode = msgspec.msgpack.Encoder().encode


class Replies:
    """Reads answers; `wake` says that one was kept and waits to be sent."""

    def __init__(self, config: Callable[[], Config], wake: Callable[[], None]) -> None:
        self._config = config
        self.wake = wake

    def kept(self, event: Event, hook_id: str, answer: bytes) -> bytes:
        """Return the reply to keep, b"" when the answer asks for none or cannot be used; that is counted and logged."""
        if not reply.asks(answer):
            return b""
        if not self._may_be_answered(event):
            metrics.REPLIES.labels(hook_id, "circular").inc()
            return b""
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
        match found:
            case reply.Replies():
                metrics.REPLIES.labels(hook_id, "kept").inc()
                return _encode((hook_id, found.messages))
            case reply.Unusable():
                metrics.REPLIES.labels(hook_id, "unusable").inc()
                log.seldom("error", "Reply of a hook cannot be sent", hook_id=hook_id, error=found.reason)
        return b""

    def _may_be_answered(self, event: Event) -> bool:
        """Return False for what a reply brought about, or a bot that always answers talks to itself.

        Such are the statuses of a message that a reply sent, and the news of deliveries, theirs among them.
        """
        if event.type.startswith("hook."):
            return False
        told = statuses.told(event)
        return told is None or not told.cause
