"""Cached events as the API and the command show them (contract, section 2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from whatshooked.events import received_ms
from whatshooked.keys import MEDIA_HOOK
from whatshooked.meta import flatten
from whatshooked.meta.flatten import NOT_FETCHED, Handed
from whatshooked.stream.cache import Cached, HookState
from whatshooked.stream.refused import Kind, Refused


class HookView(msgspec.Struct):
    """What one hook owes a cached event."""

    state: str
    attempts: int
    next_try: str | None
    last_status: int | None
    last_error: str | None


class RefusedView(msgspec.Struct):
    """A reply that a hook's answer asked for and that nobody sends."""

    event_id: str
    hook_id: str
    at: str
    kind: Kind
    reason: str


class EventView(msgspec.Struct):
    """A cached event as listed; `refused` are replies of hooks that took it, where there are any that nobody sends."""

    id: str
    event: str
    account_id: str
    received_at: str
    state: str
    hooks: dict[str, HookView]
    payload: Any
    refused: dict[str, RefusedView] | msgspec.UnsetType = msgspec.UNSET


def view(cached: Cached, refused: Mapping[str, Refused] | None = None) -> EventView:
    """Return a cached event as it is listed."""
    event = cached.event
    shown: Any = msgspec.Raw(flatten.payload(event, cached.id, _file(cached))) if event else None
    return EventView(
        cached.id,
        cached.type,
        event.account_id if event else "",
        received_at(cached.id),
        cached.state,
        {hook: _hook_view(state) for hook, state in cached.hooks.items()},
        shown,
        {hook: refused_view(one) for hook, one in refused.items()} if refused else msgspec.UNSET,
    )


def _file(cached: Cached) -> Handed:
    """Return the message's file as a listing shows it: its name under /api/media, or what keeps it away."""
    found = cached.file
    if MEDIA_HOOK in cached.hooks:  # for the first time, or once more: what was noted before is old
        return Handed(error="being fetched")
    if found is None:
        return NOT_FETCHED
    return Handed(found.filename, found.mime_type, found.size, error=found.error)


def refused_view(refused: Refused) -> RefusedView:
    """Return a refused reply as it is listed."""
    return RefusedView(refused.event_id, refused.hook_id, rfc3339(refused.at), refused.kind, refused.reason)


def received_at(event_id: str) -> str:
    """Return when an event came in, from its id."""
    return rfc3339(received_ms(event_id))


def rfc3339(ms: int) -> str:
    """Return a time (unix ms) as people and programs read it."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hook_view(state: HookState) -> HookView:
    following = rfc3339(state.next_try) if state.next_try else None
    return HookView(state.state, state.attempts, following, state.last_status, state.last_error)
