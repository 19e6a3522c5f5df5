"""The headers by which a receiver knows an event and its sender (Standard Webhooks 1.0); pure."""

import base64
import hashlib
import hmac
from urllib.parse import quote

#: Says that an operator replayed the event.
REPLAY_HEADER = "webhook-replay"


def webhook_id(event_id: str, hook_id: str) -> str:
    """Return the id that is the same on every attempt of one event at one hook, safe as a header's value."""
    return f"{event_id}.{quote(hook_id, safe='')}"


def headers(event_id: str, hook_id: str, now: int, body: bytes, secret: str | None, *, replay: bool) -> dict[str, str]:
    """Return our headers for one attempt at `now` (unix seconds)."""
    name = webhook_id(event_id, hook_id)
    found = {"webhook-id": name, "webhook-timestamp": str(now)}
    if secret:
        found["webhook-signature"] = sign(secret, name, now, body)
    if replay:
        found[REPLAY_HEADER] = "true"
    return found


def sign(secret: str, name: str, now: int, body: bytes) -> str:
    """Return `v1,<base64 of HMAC-SHA256>` over id, timestamp and body; a `whsec_` secret is base64 of the key."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, f"{name}.{now}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
