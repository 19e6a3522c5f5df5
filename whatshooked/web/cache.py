"""The cache's API: list, count, replay, delete and clear cached events by their stream id."""

import re
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.datastructures import State
from litestar.params import QueryParameter

from whatshooked import logs
from whatshooked.config import Config
from whatshooked.stream import cache
from whatshooked.stream.views import EventView, received_at, view
from whatshooked.web.auth import AnyRequest, actor
from whatshooked.web.faults import Fault
from whatshooked.web.gateway import Gateway

log = logs.get("cache")

_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
After = Annotated[str, QueryParameter(description="list events behind this id")]
OfState = Annotated[
    cache.State | None, QueryParameter(name="state", description="in this state alone; with `hook`, to this hook")
]
OfHook = Annotated[str, QueryParameter(description="those alone that this hook has not taken")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="events of one page")]
EventId = Annotated[str, QueryParameter(name="id", description="the event's stream id")]
OnlyHook = Annotated[str, QueryParameter(name="hook", description="replay to this hook alone, even if it took it")]
Confirm = Annotated[bool, QueryParameter(description="really delete them")]
Again = Annotated[bool, QueryParameter(description="replay also to hooks that took the event")]


class Page(msgspec.Struct):
    """A page of the cache; `next` goes into `after`, null on the last page."""

    events: list[EventView]
    next: str | None
    total: int


class StatsView(msgspec.Struct):
    """Counts of the cache; `counted` is below `total` when there were too many events to look at each."""

    total: int
    by_state: dict[str, int]
    by_event: dict[str, int]
    by_hook: dict[str, int]
    oldest: str | None
    limits: dict[str, float]
    counted: int


class Replayed(msgspec.Struct):
    """How many events were replayed."""

    replayed: int


class Deleted(msgspec.Struct):
    """How many events were deleted."""

    deleted: int


class CacheController(Controller):
    """`/api/cache`."""

    path = "/cache"
    tags = ("cache",)

    @get(summary="List cached events, oldest first")
    async def list_events(
        self, state: State, in_state: OfState = None, hook: OfHook = "", after: After = "", limit: Limit = 100
    ) -> Page:
        """Return a page of the cache with each hook's state; of a search it may be short and still have a `next`."""
        gateway: Gateway = state.gateway
        if after:
            checked(after)
        found = await gateway.cache.page(after, limit, state=in_state, hook=hook)
        refused = await gateway.refused.of_events(one.id for one in found.events)
        shown = [view(one, refused.get(one.id)) for one in found.events]
        return Page(shown, found.next, await gateway.cache.total())

    @get("/stats", summary="Count cached events")
    async def stats(self, state: State) -> StatsView:
        """Return counts by state, event and hook, and the age of the oldest."""
        gateway: Gateway = state.gateway
        found = await gateway.cache.stats()
        return StatsView(
            found.total,
            dict(found.by_state),
            dict(found.by_event),
            dict(found.by_hook),
            received_at(found.oldest) if found.oldest else None,
            limits(gateway.config),
            found.counted,
        )

    @post("/replay", status_code=200, summary="Replay all cached events")
    async def replay_all(
        self, request: AnyRequest, state: State, hook: OnlyHook = "", again: Again = False
    ) -> Replayed:
        """Deliver cached events to the hooks that match now."""
        gateway: Gateway = state.gateway
        known_hook(gateway, hook)
        count = await (await gateway.operator(actor(request))).replay_all(hook_id=hook, again=again)
        log.info("Cache replayed", events=count, hook_id=hook or None)
        return Replayed(count)

    @post("/event/replay", status_code=200, summary="Replay one event, cached or of history")
    async def replay_one(
        self, request: AnyRequest, state: State, event_id: EventId, hook: OnlyHook = "", again: Again = False
    ) -> Replayed:
        """Deliver one event to the hooks that match now."""
        gateway: Gateway = state.gateway
        checked(event_id)
        known_hook(gateway, hook)
        counts = await (await gateway.operator(actor(request))).replay([event_id], hook_id=hook, again=again)
        if event_id not in counts:
            raise not_found(event_id)
        log.info("Event replayed", event_id=event_id, hooks=counts[event_id], hook_id=hook or None)
        return Replayed(int(counts[event_id] > 0))

    @delete("/event/delete", status_code=200, summary="Delete one event")
    async def delete_one(self, request: AnyRequest, state: State, event_id: EventId) -> Deleted:
        """Remove one event from cache and stream."""
        gateway: Gateway = state.gateway
        if not await (await gateway.operator(actor(request))).delete(checked(event_id)):
            raise not_found(event_id)
        log.info("Event deleted", event_id=event_id)
        return Deleted(1)

    @delete("/clear", status_code=200, summary="Delete all parked events")
    async def clear(self, request: AnyRequest, state: State, confirm: Confirm = False) -> Deleted:
        """Delete what is parked; what is in flight or due stays."""
        if not confirm:
            raise Fault(400, "confirm_missing", "clearing the cache deletes events for good", "add ?confirm=true")
        gateway: Gateway = state.gateway
        count = await (await gateway.operator(actor(request))).clear()
        log.warn("Cache cleared", events=count)
        return Deleted(count)


def checked(event_id: str) -> str:
    """Return a stream id as it is; raises Fault 400 when it is none."""
    if not _ID.fullmatch(event_id):
        raise Fault(400, "bad_id", "an event's id looks like 1790000000000-0", "take it from GET /api/cache")
    return event_id


def known_hook(gateway: Gateway, hook_id: str) -> None:
    """Raise Fault 404 when a hook is named that is not configured."""
    if hook_id and hook_id not in {hook.id for hook in gateway.config.hooks}:
        raise Fault(404, "unknown_hook", "no hook of this id is configured", "see GET /api/hooks")


def not_found(event_id: str) -> Fault:
    """Return the answer for an id that is not in the stream."""
    return Fault(404, "not_found", f"no event {event_id} in the stream", "it was deleted, or its history is over")


def limits(config: Config) -> dict[str, float]:
    """Return the cache's limits."""
    section = config.message_cache
    days = section.max_age_days
    return {"max_age_days": int(days) if days == int(days) else days, "max_events": section.max_events}
