"""One attempt and its lease: no POST that could end when the event belongs to another process already."""

import asyncio
import time
from pathlib import Path

from tests.conftest import hook
from tests.receiver import Receiver
from whatshooked.config import Config, Hook
from whatshooked.events import ENTRY_VERSION, Event
from whatshooked.hooks.delivery import Sender
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.media.store import open_store
from whatshooked.stream.intake import Intake
from whatshooked.stream.link import Link
from whatshooked.stream.settle import Settler
from workers.attempt import LEASE_MARGIN, Attempt, Attempts
from workers.bodies import Bodies
from workers.replies import Replies
from workers.slots import Slots


async def _try_with(seconds_left: float, receiver: Receiver, link: Link, keys: Keys) -> int:
    """Make an attempt whose lease lasts that long beyond the hook's timeout; returns the POSTs that arrived."""
    one = Hook(**hook("h1", receiver.url()))
    config = Config(path=Path("config.json"))
    sender, slots, hooks = Sender(), Slots(), Hooks([one])
    replies = Replies(lambda: config, lambda: None)
    bodies = Bodies(link, keys, open_store(config.media), lambda: config)
    attempts = Attempts(sender, Settler(link, keys), Intake(link, keys), slots, lambda: hooks, replies, bodies)
    assert slots.take(one)
    deadline = time.monotonic() + one.timeout + seconds_left
    event = Event(ENTRY_VERSION, "message.received", "business", b"{}")
    over = asyncio.Event()
    attempts.start(Attempt("1-0", event, one, 1, 1, False, deadline, b"{}"), then=over.set)
    async with asyncio.timeout(10):
        await over.wait()
    await sender.close()
    return len(receiver.received)


async def test_an_attempt_leaves_time_to_record_its_outcome(receiver: Receiver, link: Link, keys: Keys) -> None:
    """An answer at the last moment of the timeout must still be recorded before the lease ends."""
    assert await _try_with(0.1, receiver, link, keys) == 0
    assert await _try_with(LEASE_MARGIN - 1, receiver, link, keys) == 1
