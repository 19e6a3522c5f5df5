"""A request to send -> a message in the outbox, and Meta's answer to it; the API and the command do it alike."""

import asyncio
import hashlib
import secrets
import time
from typing import Any

import msgspec

from whatshooked.meta.send import Outgoing, prepare
from whatshooked.stream.outbox import FINISHED, Message, Outbox, Record

#: Seconds to the first look for Meta's answer; each pause is longer than the one before, up to the longest.
FIRST_LOOK, LONGEST_PAUSE = 0.05, 0.5
_LONGER = 1.5


class Submitted(msgspec.Struct, frozen=True):
    """The message that stands for a request."""

    id: str
    #: False when an earlier request with this idempotency key had put it there.
    new: bool
    #: Whether that one asked for the same as this one.
    same: bool


def entry(message_id: str, outgoing: Outgoing, *, cause: str = "", hook_id: str = "") -> Message:
    """Return a message as the outbox takes it; a mark as read has no recipient, and waits for nothing else."""
    return Message(
        id=message_id,
        recipient=outgoing.to or f"read:{message_id}",
        kind=outgoing.kind,
        body=outgoing.body,
        callback=outgoing.callback,
        cause=cause,
        hook_id=hook_id,
    )


def digest(account_id: str, outgoing: Outgoing) -> str:
    """Return what tells whether two requests ask for the same message."""
    return hashlib.sha256(msgspec.msgpack.encode((account_id, outgoing))).hexdigest()


async def submit(outbox: Outbox, account_id: str, request: Any, *, country_code: str, known: str = "") -> Submitted:
    """Put the message that a request asks for into the outbox; `known` is its idempotency key.

    Raises SendFault with every fault of the request, and StreamUnavailable: then it may have been put there.
    """
    return await put(outbox, account_id, prepare(request, country_code=country_code), known=known)


async def put(outbox: Outbox, account_id: str, outgoing: Outgoing, *, known: str = "") -> Submitted:
    """Put a message into the outbox; `known` is its idempotency key.

    Raises StreamUnavailable: then it may have been put there.
    """
    asked = digest(account_id, outgoing)
    ((message_id, before, new),) = await outbox.add(account_id, [entry(_new_id(), outgoing)], known=known, digest=asked)
    return Submitted(message_id, new, before == asked)


async def answered(outbox: Outbox, account_id: str, message_id: str, seconds: float) -> Record | None:
    """Return a message once Meta's answer is known, else as it is after so many seconds; None when there is none."""
    end, pause = time.monotonic() + seconds, FIRST_LOOK
    while True:
        record = await outbox.get(account_id, message_id)
        left = end - time.monotonic()
        if record is None or record.state in FINISHED or left <= 0:
            return record
        await asyncio.sleep(min(pause, left))
        pause = min(pause * _LONGER, LONGEST_PAUSE)


def _new_id() -> str:
    """Return an id of a message that no hook's answer asked for; `meta/callback.py` knows it again."""
    return f"m{time.time_ns() // 1_000_000}-{secrets.token_hex(6)}"
