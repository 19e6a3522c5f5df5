"""Meta, played: webhook bodies as it sends them, signed, and a Graph that knows the accounts' numbers."""

import itertools
import json
import time
from typing import Any

from whatshooked.meta.signature import sign

SECRET = "meta-app-secret-of-the-tests"
VERIFY_TOKEN = "verify-token-of-the-tests-0123456789"
PHONE = "4930111000"
CUSTOMER = "4915112345678"
_count = itertools.count(1)


def number_id(account: int = 1) -> str:
    """Meta's id of an account's number."""
    return f"10000000000000{account}"


def wamid() -> str:
    """A message id that was never used."""
    return f"wamid.TEST{next(_count):06d}{time.time_ns():x}"


def text(body: str = "hello", **more: Any) -> dict[str, Any]:
    """A text message."""
    stamp = str(int(time.time()))
    return {"from": CUSTOMER, "id": wamid(), "timestamp": stamp, "type": "text", "text": {"body": body}} | more


def status(name: str = "delivered", **more: Any) -> dict[str, Any]:
    """A status of an outgoing message."""
    return {"id": wamid(), "status": name, "timestamp": str(int(time.time())), "recipient_id": CUSTOMER} | more


def value(*messages: dict[str, Any], account: int = 1, **more: Any) -> dict[str, Any]:
    """The value of a `messages` change."""
    found: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": PHONE, "phone_number_id": number_id(account)},
        "contacts": [{"profile": {"name": "Ana Silva"}, "wa_id": CUSTOMER}],
    }
    if messages:
        found["messages"] = list(messages)
    return found | more


def webhook(*changes: dict[str, Any], field: str = "messages", waba: str = "200000000000001") -> bytes:
    """A body with one entry and a change for each value."""
    rows = [{"field": field, "value": change} for change in changes]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": rows}]}).encode()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers of a body."""
    return {"content-type": "application/json", "x-hub-signature-256": sign(body, secret)}
