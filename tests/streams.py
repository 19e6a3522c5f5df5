"""The stream without a gateway: what intake, a worker and an operator do to it, one step at a time."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests import meta
from whatshooked import events
from whatshooked.config import Hook
from whatshooked.events import Event
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.stream.cache import Cache
from whatshooked.stream.consume import Consumer, Entry, Park, Route, Routed, Want
from whatshooked.stream.fsck import Disagreement, examine
from whatshooked.stream.intake import Addition, Intake
from whatshooked.stream.leases import Claimed, Wish, claim
from whatshooked.stream.link import Link
from whatshooked.stream.replay import Operator
from whatshooked.stream.settle import NotTaken, Settler, Taken

#: Milliseconds of a lease that does not end during a test, and of one that has ended at once.
LONG = 60_000
ENDED = 0


def addition(identity: bytes = b"", type_: str = "message.received", day: int = 20_000, size: int = 0) -> Addition:
    """An event on its way in; without an identity one that was never used."""
    raw = json.dumps(meta.text("x" * size or "hello")).encode()
    blob = events.encode(Event(events.ENTRY_VERSION, type_, "business", raw, to=meta.PHONE))
    return Addition(blob, identity or uuid.uuid4().bytes, day)


def a_hook(id_: str, *, active: bool = True, wants: Sequence[str] = ("message.*",)) -> Hook:
    """A configured hook."""
    return Hook(id=id_, name=id_, url="http://127.0.0.1:9/", method="POST", active=active, events=tuple(wants))


class Rig:
    """One installation under a prefix of its own; nothing runs by itself."""

    def __init__(self, link: Link, keys: Keys, *hook_ids: str) -> None:
        self.link = link
        self.keys = keys
        self.hooks = Hooks(a_hook(id_) for id_ in hook_ids)
        self.intake = Intake(link, keys)
        self.consumer = self.worker("w1")
        self.settler = Settler(link, keys)
        self.operator = Operator(link, keys, lambda: self.hooks)
        self.cache = Cache(link, keys)

    def worker(self, name: str) -> Consumer:
        """One more worker process."""
        return Consumer(self.link, self.link, self.keys, name)

    async def add(self, count: int = 1, **more: Any) -> list[str]:
        """Append events; returns their ids."""
        return [added.id for added in await self.intake.add([addition(**more) for _ in range(count)])]

    async def read(self, consumer: Consumer | None = None) -> list[Entry]:
        """Read what is new."""
        consumer = consumer or self.consumer
        await consumer.beat(self.hooks.by_id)
        return await consumer.read()

    async def route(
        self,
        entries: Sequence[Entry],
        *hook_ids: str,
        leased: bool = True,
        lease: int = LONG,
        consumer: Consumer | None = None,
        park: Park = Park.YES,
    ) -> Routed:
        """Route entries to hooks."""
        routes = [Route(entry.id, park, [Want(hook, leased) for hook in hook_ids]) for entry in entries]
        return await (consumer or self.consumer).route(routes, dict.fromkeys(hook_ids, lease))

    async def routed(self, *hook_ids: str, count: int = 1, **more: Any) -> list[str]:
        """Append, read and route events; returns their ids."""
        ids = await self.add(count)
        await self.route(await self.read(), *hook_ids, **more)
        return ids

    async def dead(self, hook_id: str, *others: str, count: int = 1) -> list[str]:
        """Append events and give them up at a hook; `others` owe an answer still."""
        ids = await self.add(count)
        now = (await self.route(await self.read(), hook_id, *others)).now
        for event_id in ids:
            outcome = NotTaken(event_id, hook_id, now + LONG, "dead", status=503, error="HTTP 503")
            assert await self.settler.record(outcome)
        return ids

    async def poison(self, hook_id: str) -> str:
        """Append an event and let its attempts at a hook end without an outcome until it is poison."""
        (event_id,) = await self.routed(hook_id, lease=ENDED)
        for _ in range(10):
            if (await self.claim(hook_id, lease=ENDED)).poisoned:
                return event_id
        raise AssertionError("it never became poison")

    async def claim(self, hook_id: str, *, most: int = 10, lease: int = LONG, suspects: int = 1) -> Claimed:
        """Claim what is due at a hook."""
        claimed = await claim(self.link, self.keys, [Wish(hook_id, most, lease)], suspects=suspects)
        return claimed.get(hook_id, Claimed([], [], [], False))

    async def take(self, event_id: str, hook_id: str) -> bool:
        """A hook accepts an event."""
        return await self.settler.record(Taken(event_id, hook_id))

    async def states(self, event_id: str) -> dict[str, str]:
        """Each open hook's state, and the event's own as ""."""
        (found,) = await self.cache.look([event_id])
        return {"": found.state} | {hook: one.state for hook, one in found.hooks.items()}

    async def examine(self, *, repair: bool = False) -> list[Disagreement]:
        """Hold the keys against each other."""
        return await examine(self.link, self.keys, self.hooks.by_id, repair=repair)

    async def cached(self) -> list[str]:
        """The ids in the cache."""
        return await self.cache.ids()

    async def packed(self, event_id: str, hook_id: str) -> bytes | None:
        """A hook's state as the scripts hold it."""
        found: bytes | None = await self.link.call("HGET", self.keys.open(event_id), hook_id)
        return found


async def until(check: Callable[[], Awaitable[object]], *, timeout: float = 15.0) -> None:
    """Return once `check` answers something true; raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while not await check():
            await asyncio.sleep(0.02)
