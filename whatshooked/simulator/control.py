"""`/_sim/`: what tests, the phone and curious people turn and read. Graph knows nothing of these paths.

Answers are JSON; an error is `{"error": "one line"}`. Only this machine is answered, unless the simulator was told to
listen elsewhere.
"""

import json
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Struct, structs

from whatshooked.simulator import acts
from whatshooked.simulator.rules import Rule
from whatshooked.simulator.webhooks.delivery import Attempt, is_loopback
from whatshooked.simulator.world import statefile
from whatshooked.simulator.world.knobs import Knobs
from whatshooked.simulator.world.statefile import StateError
from whatshooked.simulator.world.world import Watcher, World

Last = Annotated[int, QueryParameter(ge=1, description="so many, the newest")]
#: Rows of a list unless somebody asks for more.
_MANY = 1000
#: Headers by which a request says that somebody passed it on.
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_Ask = Request[Any, Any, Any]


class Turn(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to do with the clock: set it forward (simulated seconds), or let it run faster, slower or not at all."""

    advance: float = 0.0
    speed: float | None = None


@get("/")
async def overview(request: _Ask) -> dict[str, Any]:
    """Say what this world has: the ids that other calls take."""
    world = world_of(request)
    state = world.state
    return {
        "address": world.address,
        "now": world.clock.now(),
        "speed": world.clock.speed,
        "apps": [
            {"id": app.id, "callback_url": app.subscription.callback_url if app.subscription else ""}
            for app in state.apps.values()
        ],
        "wabas": [{"id": waba.id, "subscribed": list(waba.subscribed)} for waba in state.wabas.values()],
        "numbers": [
            {"id": number.id, "phone": number.phone, "waba_id": number.waba_id} for number in state.numbers.values()
        ],
        "users": [msgspec.to_builtins(user) for user in state.users.values()],
        "templates": [
            {"id": one.id, "name": one.name, "language": one.language, "status": one.status}
            for one in state.templates.values()
        ],
    }


@get("/knobs")
async def knobs(request: _Ask) -> Knobs:
    """Return the switches."""
    return world_of(request).knobs


@patch("/knobs")
async def turn_knobs(request: _Ask, data: JSONBody[dict[str, Any]]) -> Knobs:
    """Turn some switches; the others stay."""
    world = world_of(request)
    world.knobs = msgspec.convert(structs.asdict(world.knobs) | data, Knobs)
    return world.knobs


@get("/rules")
async def rules(request: _Ask) -> dict[str, list[Rule]]:
    """Return the faults by rule, with how often each matched."""
    return {"rules": world_of(request).rules}


@post("/rules", status_code=200)
async def add_rule(request: _Ask, data: JSONBody[Rule]) -> dict[str, list[Rule]]:
    """Add a fault by rule, behind those that are there."""
    world_of(request).rules.append(data)
    return {"rules": world_of(request).rules}


@delete("/rules", status_code=200)
async def clear_rules(request: _Ask) -> dict[str, list[Rule]]:
    """Remove all faults by rule."""
    world_of(request).rules.clear()
    return {"rules": []}


@get("/calls")
async def calls(request: _Ask, last: Last = _MANY) -> dict[str, Any]:
    """Return the calls of Graph and the downloads, oldest first; secrets are hidden."""
    return {"calls": _newest(world_of(request).calls, last)}


@get("/webhooks")
async def webhooks(request: _Ask, last: Last = _MANY) -> dict[str, Any]:
    """Return the attempts to deliver webhooks, oldest first, with their bodies as text."""
    found = world_of(request).webhooks
    attempts = [_shown(one) for one in _newest(found.attempts, last)]
    return {"attempts": attempts, "dropped": found.dropped, "doubled": found.doubled}


@get("/messages")
async def messages(request: _Ask, last: Last = _MANY) -> dict[str, Any]:
    """Return the messages that passed, oldest first, each with its statuses so far."""
    return {"messages": _newest(world_of(request).state.messages.values(), last)}


@get("/state")
async def state(request: _Ask) -> Response[bytes]:
    """Return the whole state, as a state file has it."""
    return Response(statefile.encode(world_of(request).state), media_type="application/json")


@put("/state")
async def replace_state(request: _Ask) -> dict[str, bool]:
    """Put another state in its place."""
    world_of(request).state = statefile.decode(await request.body(), "the state")
    return {"success": True}


@get("/clock")
async def clock(request: _Ask) -> dict[str, float]:
    """Return the simulated time (unix seconds) and its speed."""
    found = world_of(request).clock
    return {"now": found.now(), "speed": found.speed}


@post("/clock", status_code=200)
async def turn_clock(request: _Ask, data: JSONBody[Turn]) -> dict[str, float]:
    """Set the clock forward, or change its speed; what was to happen until then happens at once."""
    found = world_of(request).clock
    if data.speed is not None:
        found.run(data.speed)
    if data.advance:
        found.advance(data.advance)
    return {"now": found.now(), "speed": found.speed}


@get("/news")
async def news(request: _Ask) -> Stream:
    """Tell what happens, one JSON object a line, for as long as somebody listens."""
    world = world_of(request)
    return Stream(_lines(world, world.watch()), media_type="application/x-ndjson")


async def _lines(world: World, queue: Watcher) -> AsyncIterator[bytes]:
    try:
        while (found := await queue.get()) is not None:
            yield json.dumps(found, ensure_ascii=False).encode() + b"\n"
    finally:
        world.leave(queue)


def world_of(request: _Ask) -> World:
    """Return the world that a request is about."""
    found: World = request.app.state.world
    return found


def guard(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg] # any state, any user
    """Let a request from this machine itself pass; raises PermissionDeniedException (403)."""
    world: World = connection.app.state.world
    address = connection.client.host if connection.client else ""
    passed_on = any(name in connection.headers for name in _FORWARDING)
    other_page = connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    host = connection.headers.get("host", "").rsplit(":", 1)[0].strip("[]")
    near = is_loopback(address) and is_loopback(host) and not passed_on and not other_page
    if not (near or world.open_control):
        raise PermissionDeniedException(
            "/_sim/ answers only callers on this machine; start the simulator with another --host to open it"
        )


def on_error(_: _Ask, error: Exception) -> Response[dict[str, str]]:
    """Answer a request that cannot be served with one line on what is wrong."""
    if not isinstance(error, HTTPException):
        text, at, place = str(error).partition(" - at `$.")
        return Response({"error": f"{place.rstrip('`')}: {text}" if at else text}, status_code=400)
    extra = error.extra if isinstance(error.extra, list) else []
    places = [f"{one.get('key', '')}: {one.get('message')}".removeprefix("data: ") for one in extra]
    return Response({"error": "; ".join(places) or error.detail}, status_code=error.status_code)


def _newest(rows: Iterable[Any], last: int) -> list[Any]:
    found = list(rows)
    return list(islice(found, max(len(found) - last, 0), None))


def _shown(attempt: Attempt) -> dict[str, Any]:
    return structs.asdict(attempt) | {"body": attempt.body.decode("utf-8", "replace")}


def router() -> Router:
    """Return the control's routes."""
    return Router(
        "/_sim",
        route_handlers=[
            *(overview, knobs, turn_knobs, rules, add_rule, clear_rules, calls, webhooks, messages),
            *(state, replace_state, clock, turn_clock, news, *acts.HANDLERS),
        ],
        guards=[guard],
        exception_handlers={HTTPException: on_error, StateError: on_error, ValueError: on_error},
    )
