"""The event log's API: pages of what happened, all of it as a file, and what happens now."""

import contextlib
import re
import time
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.types import ASGIApp
from msgspec import structs

from whatshooked import logs
from whatshooked.config import Config
from whatshooked.config.model import Target
from whatshooked.errors import LogUnavailable
from whatshooked.eventlog import export
from whatshooked.eventlog.compose import conversation
from whatshooked.eventlog.row import Place, Wanted, place_of
from whatshooked.eventlog.targets import asked_target
from whatshooked.stream.messages import unix_ms
from whatshooked.web.faults import Fault, on_fault
from whatshooked.web.gateway import Gateway
from whatshooked.web.streamed import Streamed

log = logs.get("web")

_type = re.compile(r"\*|[a-z_]+(?:\.[a-z_]+)*(?:\.\*)?")
_state = re.compile(r"[a-z_]+")

AccountId = Annotated[str, QueryParameter(description="of this account alone")]
Conversation = Annotated[str, QueryParameter(name="conversation", description="of this phone number or user id alone")]
Types = Annotated[
    list[str] | None, QueryParameter(name="type", description="of these types; `message.*` is all that begin so")
]
HookId = Annotated[str, QueryParameter(description="of this hook alone")]
States = Annotated[list[str] | None, QueryParameter(name="state", description="in these states")]
EventId = Annotated[str, QueryParameter(description="about this event alone")]
ErrorPart = Annotated[str, QueryParameter(name="error", description="with this in the error, in any case of letters")]
Since = Annotated[datetime | None, QueryParameter(description="at this time or later")]
Until = Annotated[datetime | None, QueryParameter(description="before this time")]
Order = Annotated[Literal["newest", "oldest"], QueryParameter(description="what comes first")]
Asked = Annotated[str, QueryParameter(name="target", description="file, sqlite or postgres; else the quickest")]
After = Annotated[str, QueryParameter(description="`next` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="rows of one page")]
Format = Annotated[export.Name, QueryParameter(name="format", description="how the rows are written")]
LastId = Annotated[str, HeaderParameter(name="Last-Event-ID", description="go on behind this row")]


class EventRow(msgspec.Struct):
    """One thing that happened; keys of what does not apply are left out."""

    id: str
    at: str
    type: str
    account_id: str | msgspec.UnsetType = msgspec.UNSET
    conversation: str | msgspec.UnsetType = msgspec.UNSET
    event_id: str | msgspec.UnsetType = msgspec.UNSET
    message_id: str | msgspec.UnsetType = msgspec.UNSET
    message_type: str | msgspec.UnsetType = msgspec.UNSET
    hook_id: str | msgspec.UnsetType = msgspec.UNSET
    state: str | msgspec.UnsetType = msgspec.UNSET
    attempt: int | msgspec.UnsetType = msgspec.UNSET
    status: int | msgspec.UnsetType = msgspec.UNSET
    duration_ms: float | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    actor: str | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    data: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class EventPage(msgspec.Struct):
    """A page of the event log; `next` goes into `after`, null on the last page."""

    events: list[EventRow]
    next: str | None


def conditions(
    state: State,
    account_id: AccountId = "",
    person: Conversation = "",
    types: Types = None,
    hook_id: HookId = "",
    states: States = None,
    event_id: EventId = "",
    error_part: ErrorPart = "",
) -> Wanted:
    """Return what a request asks for, but for times; raises Fault 400."""
    gateway: Gateway = state.gateway
    return Wanted(
        account_id=account_id,
        conversation=conversation(person, gateway.config) if person else "",
        types=_each(types, _type, "type", "a type such as hook.failed, or message.* for all that begin so"),
        hook_id=hook_id,
        states=_each(states, _state, "state", "a state such as failed"),
        event_id=event_id,
        text=error_part,
    )


def stored(
    wanted: NamedDependency[Wanted], since: Since = None, until: Until = None, order: Order = "newest"
) -> Wanted:
    """Return what a request asks a target for; raises Fault 400."""
    start, end = (unix_ms(moment) if moment else None for moment in (since, until))
    if start is not None and end is not None and start > end:
        raise Fault(400, "bad_times", "since is later than until", "expected a time that is not after until")
    return structs.replace(wanted, since=start, until=end, newest_first=order == "newest")


def on_log_unavailable(request: Request[Any, Any, Any], error: LogUnavailable) -> Response[Any]:
    """Answer 503 while a target does not serve, with its place and the remedy."""
    log.seldom("error", "The event log could not be asked", error=str(error))
    gateway: Gateway = request.app.state.gateway
    targets = gateway.config.event_logger.targets
    others = f"; or ask another of event_logger.targets: ?target={'|'.join(targets)}" if len(targets) > 1 else ""
    return on_fault(request, Fault(503, "log_unavailable", "the event log does not answer", f"{error}{others}"))


class EventsController(Controller):
    """`/api/events`."""

    path = "/events"
    tags = ("event log",)
    dependencies = {  # noqa: RUF012 - Litestar's
        "wanted": Provide(conditions, sync_to_thread=False),
        "stored": Provide(stored, sync_to_thread=False),
    }
    exception_handlers = {LogUnavailable: on_log_unavailable}  # noqa: RUF012 - Litestar's

    @get(
        summary="List what happened, newest first",
        responses={200: ResponseSpec(EventPage, generate_examples=False, description="a page of rows")},
    )
    async def list_rows(
        self,
        state: State,
        stored: NamedDependency[Wanted],
        asked: Asked = "",
        after: After = "",
        limit: Limit = 100,
    ) -> Response[bytes]:
        """Return a page of the event log."""
        gateway: Gateway = state.gateway
        target = _target(gateway.config, asked)
        wanted = structs.replace(stored, after=_place(after))
        rows = await gateway.readers.page(target, wanted, limit + 1)
        following = rows[limit - 1].id if len(rows) > limit else None
        shown = b",".join([export.shown(row) for row in rows[:limit]])
        body = b'{"events":[%b],"next":%b}' % (shown, msgspec.json.encode(following))
        return Response(body, media_type="application/json")

    @get("/export", summary="Have what happened as a file")
    async def export_rows(
        self,
        state: State,
        stored: NamedDependency[Wanted],
        asked: Asked = "",
        as_format: Format = "jsonl",
    ) -> ASGIApp:
        """Return all rows asked for, however many."""
        gateway: Gateway = state.gateway
        target = _target(gateway.config, asked)
        kind = export.FORMATS[as_format]

        async def pieces() -> AsyncGenerator[bytes, None]:
            async with (
                gateway.readers.alone(target) as reader,
                contextlib.aclosing(reader.pieces(stored, kind.pieces)) as found,
            ):
                async for piece in found:
                    yield piece

        name = f"events-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.{as_format}"
        disposition = f'attachment; filename="{name}"'
        return Streamed(pieces, {"content-type": kind.media_type, "content-disposition": disposition})

    @get("/live", summary="Hear what happens, as it happens")
    async def listen(self, state: State, wanted: NamedDependency[Wanted], last_id: LastId = "") -> ASGIApp:
        """Return Server-Sent Events without end, with the event log on or off."""
        gateway: Gateway = state.gateway
        after = place_of(last_id)
        return Streamed(lambda: gateway.live.listen(wanted, after), {"content-type": "text/event-stream"})


def _target(config: Config, asked: str) -> Target:
    """Return the target to ask; raises Fault 409 and 404."""
    logger = config.event_logger
    if not logger.enabled:
        raise Fault(409, "log_off", "the event log is off", "set event_logger.enabled, then reload")
    target = asked_target(config, asked)
    if target is None:
        there = ", ".join(dict.fromkeys(logger.targets)) or "none"
        raise Fault(404, "unknown_target", "the event log has no such target", f"event_logger.targets has {there}")
    return target


def _place(after: str) -> Place | None:
    place = place_of(after) if after else None
    if after and place is None:
        raise Fault(400, "bad_place", "after is no row's id", "take it from next of the page before")
    return place


def _each(given: list[str] | None, expected: re.Pattern[str], name: str, told: str) -> tuple[str, ...]:
    """Return values that were given one by one or with commas between; raises Fault 400."""
    found = tuple(value for one in given or () for value in re.split(r"\s*,\s*", one.strip()) if value)
    if not all(expected.fullmatch(value) for value in found):
        raise Fault(400, f"bad_{name}", f"{name} has a value that cannot be", f"expected {told}")
    return found
