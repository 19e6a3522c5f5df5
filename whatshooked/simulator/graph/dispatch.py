"""A call of Graph from its path to its handler: version, object, token, limits; and the log of what was asked."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException

from whatshooked import logs
from whatshooked.simulator.account import numbers, setup, templates
from whatshooked.simulator.graph import access, refusals
from whatshooked.simulator.graph.call import Call, Handler, Routes, Upload
from whatshooked.simulator.graph.limits import calls_an_hour
from whatshooked.simulator.media import store as media
from whatshooked.simulator.messages import sending
from whatshooked.simulator.world import model
from whatshooked.simulator.world.model import MESSAGING, Token, waba_of
from whatshooked.simulator.world.world import Logged, World

ROUTES: Routes = sending.ROUTES | media.ROUTES | templates.ROUTES | setup.ROUTES | numbers.ROUTES
#: Edges that some object has: on another object, or with another method, they are "not there".
_EDGES = {edge for _, kind, edge in ROUTES if kind is not None}
#: The one call that needs no token: it gives one.
_OPEN = "oauth/access_token"
_version = re.compile(r"v\d+\.\d+")
#: What stands in the log in place of a secret; `code` is one only by itself (a language has a `code` too).
_HIDDEN = "***"
_SECRETS = frozenset({"access_token", "input_token", "pin", "client_secret", "verify_token", "appsecret_proof"})
_SECRETS_ON_TOP = _SECRETS | {"code", "hub.verify_token", "fb_exchange_token"}

log = logs.get("simulator")

#: Status, headers, body.
Answer = tuple[int, dict[str, str], dict[str, Any]]


async def answer(world: World, request: Request[Any, Any, Any], path: str) -> Answer:
    """Return Graph's answer to a request; every one is logged, without its secrets."""
    params = dict(request.query_params.items())
    logged = Logged(at=world.clock.now(), method=request.method, path=_shown(path, params), status=200)
    world.calls.append(logged)
    headers: dict[str, str] = {}
    try:
        return 200, headers, await _answer(world, request, _parts(path), params, logged, headers)
    except refusals.Refusal as found:
        refusal = found
    except Exception:
        logged.status = 500
        raise
    logged.status, logged.code = refusal.status, refusal.code
    return refusal.status, headers | refusal.headers, refusal.body(world.trace())


async def _answer(
    world: World,
    request: Request[Any, Any, Any],
    parts: list[str],
    params: dict[str, str],
    logged: Logged,
    headers: dict[str, str],
) -> dict[str, Any]:
    """Return a handler's answer and note what it ignored; `headers` gets the usage. Raises Refusal."""
    body, upload = await _body(request)
    logged.body = _redacted(body, _SECRETS_ON_TOP)
    token = None
    if "/".join(parts) != _OPEN:
        given = body.get("access_token")
        asked = params | ({"access_token": given} if isinstance(given, str) else {})
        token = access.token_of(world.state, request.headers.get("authorization", ""), asked, world.clock.now())
    call = Call(world, request.method, "", None, params, body, token, upload)
    scope, handler = _route(call, parts)
    headers |= _usage(call, scope)
    try:
        return await handler(call)
    finally:
        logged.unknown = call.unknown
        if call.unknown:
            log.warn("Graph ignores keys of a call: misspelt?", path=logged.path, keys=",".join(call.unknown))


def _route(call: Call, parts: list[str]) -> tuple[str, Handler]:
    """Return the scope and the handler of a call, whose node and edge are set; raises Refusal."""
    state, path = call.world.state, "/".join(parts)
    call.edge = path
    found = ROUTES.get((call.method, None, path))  # `debug_token`, `me/businesses`: no object in the path
    if found is None:
        if not parts or (not parts[0].isdigit() and model.node(state, parts[0]) is None) or call.token is None:
            raise refusals.unknown_path(path)
        call.node = access.visible(state, call.token, parts[0], call.method)
        call.edge = "/".join(parts[1:])
        found = ROUTES.get((call.method, type(call.node), call.edge))
    if found is None and call.edge in _EDGES:
        raise refusals.not_found(parts[0], call.method)
    if found is None:
        raise refusals.unknown_path(call.edge)
    if call.token is not None:
        access.need_scope(call.token, found[0], call.node, state)
    return found


def _usage(call: Call, scope: str) -> dict[str, str]:
    """Return the usage headers; messages have limits of their own and do not count."""
    if call.token is None:
        return {}
    world, waba = call.world, waba_of(call.world.state, call.node) if call.node is not None else None
    most = world.knobs.calls_per_hour or calls_an_hour(world.state, waba)
    if scope == MESSAGING:
        return world.limits.usage(_names(call.token, waba), most)
    return world.limits.count(_names(call.token, waba), most, world.knobs.throttle_status)


def _names(token: Token, waba: model.Waba | None) -> tuple[str, str]:
    return token.app_id, waba.id if waba else ""


async def _body(request: Request[Any, Any, Any]) -> tuple[dict[str, Any], Upload | None]:
    """Return the fields of a body and the file in it; raises Refusal for a body that is broken."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            return await _form(request)
        raw = await request.body()
    except HTTPException as error:
        raise refusals.parameter("The request's body cannot be read", error.detail) from error
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)), None
    if not raw.strip():
        return {}, None
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refusals.parameter("Invalid JSON body", str(error)) from error
    if not isinstance(found, dict):
        raise refusals.parameter("The body must be a JSON object")
    return found, None


async def _form(request: Request[Any, Any, Any]) -> tuple[dict[str, Any], Upload | None]:
    form = await request.form()
    fields = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    file = form.get("file")
    if not isinstance(file, UploadFile):
        return fields, None
    # `content_type` lacks the parameters (`codecs=opus`) and is made up when the part has none.
    found = Upload(file.filename, file.headers.get("Content-Type", ""), await file.read())
    await file.close()
    return fields, found


def _parts(path: str) -> list[str]:
    """Return a path's parts, without the version that may stand in front."""
    parts = [part for part in path.split("/") if part]
    return parts[1:] if parts and _version.fullmatch(parts[0]) else parts


def _shown(path: str, params: Mapping[str, str]) -> str:
    shown = "&".join(f"{name}={_HIDDEN if name in _SECRETS_ON_TOP else value}" for name, value in params.items())
    return f"/{path}?{shown}" if shown else f"/{path}"


def _redacted(value: Any, hidden: frozenset[str] = _SECRETS) -> Any:
    """Return a copy of a body for the log."""
    if isinstance(value, dict):
        return {name: _HIDDEN if name in hidden else _redacted(part) for name, part in value.items()}
    return [_redacted(part) for part in value] if isinstance(value, list) else value
