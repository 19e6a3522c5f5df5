# mypy: disable-error-code="import-not-found, misc, no-any-return"
# FastAPI and pydantic are installed in .venv-bench alone.
"""Meta's webhook as pydantic models, and the check of its signature."""

import hashlib
import hmac
import os

from fastapi import HTTPException, Request
from pydantic import BaseModel, Field

SECRET = os.environ["BENCH_SECRET"].encode()
SOCKET = os.environ["BENCH_SOCKET"]


class Profile(BaseModel):
    """Whom the sender says to be."""

    name: str = ""


class Contact(BaseModel):
    """The sender."""

    profile: Profile = Profile()
    wa_id: str = ""


class Metadata(BaseModel):
    """The business number."""

    display_phone_number: str
    phone_number_id: str


class Text(BaseModel):
    """What a text message says."""

    body: str


class Message(BaseModel):
    """One message."""

    id: str
    sender: str = Field(alias="from")
    timestamp: str
    type: str
    text: Text | None = None


class Status(BaseModel):
    """One status."""

    id: str
    status: str
    timestamp: str
    recipient_id: str = ""


class Value(BaseModel):
    """What changed."""

    messaging_product: str
    metadata: Metadata
    contacts: list[Contact] = []
    messages: list[Message] = []
    statuses: list[Status] = []


class Change(BaseModel):
    """One change."""

    field: str
    value: Value


class Entry(BaseModel):
    """One account's changes."""

    id: str
    changes: list[Change]


class Webhook(BaseModel):
    """A whole body."""

    object: str
    entry: list[Entry]


async def taken(request: Request) -> Webhook:
    """Return the body of a request whose signature is right; raises HTTPException."""
    body = await request.body()
    expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("x-hub-signature-256", "")):
        raise HTTPException(403, "wrong signature")
    return Webhook.model_validate_json(body)


def payloads(webhook: Webhook) -> list[dict[str, str]]:
    """Return what a hook receives of each message."""
    return [
        {
            "account_id": "bench",
            "message_id": message.id,
            "from": message.sender,
            "to": change.value.metadata.display_phone_number,
            "text": message.text.body if message.text else "",
            "timestamp": message.timestamp,
            "sender_name": change.value.contacts[0].profile.name if change.value.contacts else "",
            "message_type": message.type,
        }
        for entry in webhook.entry
        for change in entry.changes
        for message in change.value.messages
    ]
