"""The intake: Meta's verification and its webhooks, one path per account.

A bare ASGI function: nothing of a framework stands between a body and the stream. The 200 is sent only when Redis holds
every event of the body.
"""

import asyncio
import hmac
from collections.abc import Iterable
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
_UNKNOWN = "no account of this name is configured"
#: The answer that nearly every webhook gets. Nobody reads its body, and without one it is one write less.
_TAKEN: tuple[Any, ...] = (
    {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]},
    {"type": "http.response.body", "body": b""},
)

_Headers = Iterable[tuple[bytes, bytes]]


class _Refused(Exception):  # noqa: N818 - an answer, raised
    """A request that is not taken: its cause, as the metric names it, and the status and text of the answer."""

    def __init__(self, cause: str, status: int, text: str) -> None:
        super().__init__(text)
        self.cause, self.status, self.body = cause, status, text.encode()


class Webhook:
    """Answers one account's verification and takes its events in."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        try:
            status, body = 200, await self._answer(scope, receive)
        except Exception as error:
            refused = _refusal(error)
            status, body = refused.status, refused.body
        if status == 200 and not body:
            for message in _TAKEN:
                await send(message)
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        if status == 405:
            headers.append((b"allow", b"GET, POST"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _answer(self, scope: Any, receive: "Receive") -> bytes:
        """Return the body of the 200, empty when a webhook is taken; raises _Refused."""
        name = scope["path"][len(PATH) :].strip("/")
        if scope["method"] == "GET":
            return self._verify(self._gateway.accounts.by_id.get(name), scope["query_string"])
        self._account(name)  # who is at a wrong path hears it before a body is read
        if scope["method"] != "POST":
            raise _Refused("method", 405, "GET to verify, POST to deliver")
        body = await _read(scope["headers"], receive)
        # Asked anew: while the body came a reload may have taken the account away, and its signer with it.
        account = self._account(name)
        self._prove(account, scope["headers"], body)
        await self._take(account, body)
        return b""

    def _account(self, name: str) -> Account:
        account = self._gateway.accounts.by_id.get(name)
        if account is None:
            raise _Refused("unknown_account", 404, _UNKNOWN)
        return account

    def _prove(self, account: Account, headers: _Headers, body: bytes) -> None:
        """Raise _Refused when the body is not Meta's; without a secret of the account nobody can tell."""
        signer = self._gateway.signers.get(account.id)
        if signer is None:
            return
        verdict = signer.check(body, _header(headers, b"x-hub-signature-256").decode("latin-1"))
        if verdict is Verdict.MISSING:
            raise _Refused("no_signature", 401, "X-Hub-Signature-256 is missing")
        if verdict is Verdict.WRONG:
            raise _Refused("bad_signature", 403, "X-Hub-Signature-256 does not match: check app_secret")

    def _verify(self, account: Account | None, query: bytes) -> bytes:
        if account is None:
            raise _Refused("unknown_account", 403, _UNKNOWN)
        found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        mode, token, challenge = (found.get(f"hub.{name}", [""])[0] for name in ("mode", "verify_token", "challenge"))
        expected = account.business_api.verify_token if account.business_api else ""
        if mode == "subscribe" and expected and hmac.compare_digest(token.encode(), expected.encode()):
            log.info("Webhook verified", account_id=account.id)
            return challenge.encode()
        log.seldom("warn", "Webhook verification refused: the verify token differs", account_id=account.id)
        raise _Refused("verify_token", 403, "verify_token does not match")

    async def _take(self, account: Account, body: bytes) -> None:
        trace = self._gateway.traces.context()
        try:
            if len(body) <= LARGE:
                additions, found = _additions(self._gateway.accounts, account, body, trace)
            else:
                additions, found = await asyncio.to_thread(_additions, self._gateway.accounts, account, body, trace)
        except NotAWebhook as error:
            raise _Refused("not_json", 400, str(error)) from error
        try:
            added = await self._gateway.take(additions) if additions else []
        except StreamUnavailable as error:
            metrics.REDIS_ERRORS.labels("intake").inc()
            log.seldom("error", "Webhook not taken, Meta will resend it", account_id=account.id, error=str(error))
            raise _Refused("unavailable", 503, "not stored, send again") from error
        self._gateway.traces.took(account.id, added)
        if log.debugs:
            for event, one in zip(found, added, strict=True):
                _show(event, one)


def _additions(
    accounts: Accounts, path: Account, body: bytes, trace: bytes | None
) -> tuple[list[Addition], list[Event]]:
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
        incoming = decode.event(item, owner.account_id, owner.foreign, trace)
        event, kind, when = incoming.event, incoming.kind, incoming.when
        left = incoming.leftover or ("no_owner" if owner.foreign else "")
        blob, digest, day = events.encode(event), incoming.identity, incoming.day
        additions.append(Addition(blob, digest, day, event.type, event.account_id, kind, when, left))
        found.append(event)
    return additions, found


async def _read(headers: _Headers, receive: "Receive") -> bytes:
    """Return the body; raises _Refused when it is too large, too slow or broken off."""
    declared = _header(headers, b"content-length")
    size = int(declared) if declared.isdigit() else 0
    if size > DRAINED:
        raise _too_large()
    message: Any = await receive()
    if not message.get("more_body") and message["type"] == "http.request":  # nearly all: no timer for these
        body: bytes = message["body"]
        size = len(body)
    else:
        try:
            async with asyncio.timeout(BODY_PATIENCE):
                size, body = await _rest(message, size, receive)
        except TimeoutError as error:
            raise _Refused("slow", 408, "the body took too long") from error
    if size > BODY_LIMIT:
        raise _too_large()
    return body


async def _rest(message: Any, size: int, receive: "Receive") -> tuple[int, bytes]:
    """Return the size and the content of a body that begins with `message`; raises _Refused when it is broken off.

    What is too large is still read for a while and thrown away: a sender that is cut off never sees the 413.
    """
    chunks: list[bytes] = []
    received = 0
    while True:
        if message["type"] == "http.disconnect":
            raise _Refused("broken_off", 400, "the body was broken off")
        received += len(message["body"])
        size = max(size, received)
        if size <= BODY_LIMIT:
            chunks.append(message["body"])
        if not message.get("more_body") or received > DRAINED:
            return size, b"".join(chunks)
        message = await receive()


def _header(headers: _Headers, name: bytes) -> bytes:
    for key, value in headers:
        if key == name:
            return value
    return b""


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


def _too_large() -> _Refused:
    return _Refused("too_large", 413, "more than 4 MB")


def _refusal(error: Exception) -> _Refused:
    """Return what a request is refused with, counted; an error that is no refusal is one of ours."""
    if not isinstance(error, _Refused):
        log.bug("A webhook ended in an error of ours", error)
        error = _Refused("bug", 500, "an error of ours, send again")
    metrics.REJECTED.labels(error.cause).inc()
    return error
