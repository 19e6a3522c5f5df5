"""The intake: Meta's verification and its webhooks, one path per account.

A bare ASGI function: nothing of a framework stands between a body and the stream. The 200 is sent only when Redis holds
every event of the body.
"""

import asyncio
import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from whatshooked import events, logs, metrics
from whatshooked.config import Account
from whatshooked.errors import NotAWebhook, StreamUnavailable
from whatshooked.events import Event
from whatshooked.meta import decode, payload
from whatshooked.meta.accounts import Accounts
from whatshooked.meta.signature import Verdict
from whatshooked.stream.intake import Added, Addition
from whatshooked.web.gateway import Gateway

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

log = logs.get("intake")

#: An account's id follows.
PATH = "/webhooks/whatsapp/"
#: Bytes of a body at most: Meta sends up to 3 MB.
BODY_LIMIT = 4 * 1024 * 1024
#: Bytes of a body that is too large that are read before we answer.
DRAINED = 4 * BODY_LIMIT
#: Bytes above which a body is taken apart beside the event loop: the oddest JSON costs some 10 ms a KB.
LARGE = 16 * 1024
#: Seconds a body may take to arrive: until its end it is memory that anybody can take.
BODY_PATIENCE = 30.0
_UNKNOWN = b"no account of this name is configured"


class Webhook:
    """Answers one account's verification and takes its events in."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        try:
            status, body = await self._answer(scope, receive)
        except Exception as error:
            log.bug("A webhook ended in an error of ours", error)
            status, body = _rejected("bug", 500, b"an error of ours, send again")
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        if status == 405:
            headers.append((b"allow", b"GET, POST"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _answer(self, scope: Any, receive: "Receive") -> tuple[int, bytes]:
        name = scope["path"].removeprefix(PATH).strip("/")
        account = self._gateway.accounts.by_id.get(name)
        if scope["method"] == "GET":
            return self._verify(account, scope["query_string"])
        if account is None:
            return _rejected("unknown_account", 404, _UNKNOWN)
        if scope["method"] != "POST":
            return _rejected("method", 405, b"GET to verify, POST to deliver")
        return await self._deliver(name, scope, receive)

    async def _deliver(self, name: str, scope: Any, receive: "Receive") -> tuple[int, bytes]:
        headers = dict(scope["headers"])
        try:
            body = await _read(headers, receive)
        except TimeoutError:
            return _rejected("slow", 408, b"the body took too long")
        except ConnectionError:
            return _rejected("broken_off", 400, b"the body was broken off")
        if body is None:
            return _rejected("too_large", 413, b"more than 4 MB")
        # Only now: while the body came a reload may have taken the account away, and its signer with it.
        account = self._gateway.accounts.by_id.get(name)
        if account is None:
            return _rejected("unknown_account", 404, _UNKNOWN)
        signer = self._gateway.signers.get(account.id)
        if signer is not None:
            verdict = signer.check(body, headers.get(b"x-hub-signature-256", b"").decode("latin-1"))
            if verdict is Verdict.MISSING:
                return _rejected("no_signature", 401, b"X-Hub-Signature-256 is missing")
            if verdict is Verdict.WRONG:
                return _rejected("bad_signature", 403, b"X-Hub-Signature-256 does not match: check app_secret")
        return await self._take(account, body)

    def _verify(self, account: Account | None, query: bytes) -> tuple[int, bytes]:
        if account is None:
            return _rejected("unknown_account", 403, _UNKNOWN)
        found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        mode, token, challenge = (found.get(f"hub.{name}", [""])[0] for name in ("mode", "verify_token", "challenge"))
        expected = account.business_api.verify_token if account.business_api else ""
        if mode == "subscribe" and expected and hmac.compare_digest(token.encode(), expected.encode()):
            log.info("Webhook verified", account_id=account.id)
            return 200, challenge.encode()
        log.seldom("warn", "Webhook verification refused: the verify token differs", account_id=account.id)
        return _rejected("verify_token", 403, b"verify_token does not match")

    async def _take(self, account: Account, body: bytes) -> tuple[int, bytes]:
        try:
            if len(body) <= LARGE:
                additions, found = _additions(self._gateway.accounts, account, body)
            else:
                additions, found = await asyncio.to_thread(_additions, self._gateway.accounts, account, body)
        except NotAWebhook as error:
            return _rejected("not_json", 400, str(error).encode())
        try:
            added = await self._gateway.intake.add(additions) if additions else []
        except StreamUnavailable as error:
            metrics.REDIS_ERRORS.labels("intake").inc()
            log.seldom("error", "Webhook not taken, Meta will resend it", account_id=account.id, error=str(error))
            return _rejected("unavailable", 503, b"not stored, send again")
        if log.debugs:
            for event, one in zip(found, added, strict=True):
                _show(event, one)
        return 200, b"OK"


def _additions(accounts: Accounts, path: Account, body: bytes) -> tuple[list[Addition], list[Event]]:
    """Return a body's events, ready for the stream; raises NotAWebhook."""
    additions, found = [], []
    for item in payload.walk(body):
        owner = accounts.owner(path, number_id=item.phone_number_id, waba_id=item.waba_id, meta=item.kind == "meta")
        if owner.foreign and path.business_api is not None and not path.business_api.accept_foreign_numbers:
            metrics.FOREIGN_DROPPED.labels(path.id).inc()
            log.seldom(
                "warn", "Event of a foreign number dropped", account_id=path.id, phone_number_id=item.phone_number_id
            )
            continue
        incoming = decode.event(item, owner.account_id, owner.foreign)
        additions.append(Addition(events.encode(incoming.event), incoming.identity, incoming.day, incoming.event.type))
        found.append(incoming.event)
    return additions, found


async def _read(headers: dict[bytes, bytes], receive: "Receive") -> bytes | None:
    """Return the body, or None when it is too large; raises TimeoutError, and ConnectionError when the sender left.

    What is too large is still read for a while and thrown away: a sender that is cut off never sees the 413.
    """
    declared = headers.get(b"content-length", b"0")
    size = int(declared) if declared.isdigit() else 0
    if size > DRAINED:
        return None
    message: Any = await receive()
    if not message.get("more_body") and message["type"] == "http.request":  # nearly all: no timer for these
        return message["body"] if len(message["body"]) <= BODY_LIMIT else None
    chunks: list[bytes] = []
    received = 0
    async with asyncio.timeout(BODY_PATIENCE):
        while True:
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            received += len(message["body"])
            size = max(size, received)
            if size <= BODY_LIMIT:
                chunks.append(message["body"])
            if not message.get("more_body") or received > DRAINED:
                break
            message = await receive()
    return b"".join(chunks) if size <= BODY_LIMIT else None


def _show(event: Event, added: Added) -> None:
    """Write the debug line of one event; nothing of its text."""
    item = decode.decode_item(event.raw)
    log.debug(
        f"Publishing {event.type.replace('.', ' ')} event" if added.new else "Event was published before",
        account_id=event.account_id,
        message_id=str(item.get("id") or ""),
        from_=str(item.get("from") or item.get("from_user_id") or item.get("recipient_id") or ""),
        type=str(item.get("type") or item.get("status") or event.field),
        event_id=added.id,
    )


def _rejected(cause: str, status: int, text: bytes) -> tuple[int, bytes]:
    metrics.REJECTED.labels(cause).inc()
    return status, text
