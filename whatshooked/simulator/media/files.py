"""The bytes of media, where Meta's own host would have them: `/_files/`, with the token demanded, and every fault.

A bare ASGI function, since a download may misbehave in ways that no framework allows. Downloads are logged as calls of
Graph are; there the body tells which host was asked, and whether a token came along: what a redirect to another host
must not see.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from litestar import Request, Router, asgi

from whatshooked.simulator.graph import access
from whatshooked.simulator.graph.refusals import Refusal
from whatshooked.simulator.media import store as media
from whatshooked.simulator.world.model import Media, MediaFault
from whatshooked.simulator.world.world import Logged, World

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

_FIRST, _ELSEWHERE = "attachments", "elsewhere"
#: Where a redirect leads, by fault; only elsewhere no token is demanded.
_HOPS = {"redirect": "served", "redirect_away": _ELSEWHERE}
#: Bytes of an answer that is too long, or of one piece of an endless one, and the seconds (ours) between those.
_EXCESS, _PAUSE = 64 * 1024, 0.01
_INVERTED = bytes(range(255, -1, -1))

_Headers = list[tuple[bytes, bytes]]


@asgi("/whatsapp_business", is_mount=True, copy_scope=True)
async def download(scope: "Scope", receive: "Receive", send: "Send") -> None:
    """Answer the GET of a file."""
    request: Request[Any, Any, Any] = Request(cast("Any", scope))
    await _while_there(receive, _answer(request, send))


async def _while_there(receive: "Receive", work: Coroutine[Any, Any, None]) -> None:
    """Do the work as long as the caller is there to read it: an endless answer ends with the connection."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    tasks = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(request: Request[Any, Any, Any], send: "Send") -> None:
    world: World = request.app.state.world
    place = request.scope["path"].strip("/")
    logged = _logged(world, request, place)
    world.calls.append(logged)
    try:
        found = _asked_for(world, request, place)
    except Refusal as refusal:
        logged.status, logged.code = refusal.status, refusal.code
        await _refuse(send, refusal, world.trace())
        return
    fault = _fault(found) if place == _FIRST else ""
    if fault in _HOPS:
        logged.status = 302
        await _start(send, 302, [(b"location", _hop(world, found, fault).encode()), (b"content-length", b"0")])
        await _piece(send, b"", more=False)
    else:
        await _give(send, found, fault, world.knobs.drip)


def _asked_for(world: World, request: Request[Any, Any, Any], place: str) -> Media:
    """Return the file of a URL that is still good; raises Refusal: 405, 400 without one User-Agent, 401 or 404."""
    if request.method != "GET":
        raise Refusal(405, 1, "Only GET is known here", headers={"Allow": "GET"})
    agents = request.headers.getall("user-agent", [])
    if len(agents) != 1 or not agents[0].strip():
        raise Refusal(400, 1, "A User-Agent is required to download media")
    found = world.state.media.get(request.query_params.get("mid", ""))
    if place != _ELSEWHERE:
        token = access.token_of(world.state, request.headers.get("authorization", ""), {}, world.clock.now())
        if found is not None:
            access.visible(world.state, token, found.id, "GET")
    secret = request.query_params.get("hash", "")
    if found is None or found.urls.get(f"{place}/{secret}", 0.0) <= world.clock.now():
        raise Refusal(404, 100, "URL signature expired", "GraphMethodException")
    return found


def _fault(found: Media) -> MediaFault:
    """Return what is wrong with this download, and count it."""
    fault = found.fault
    if found.faults_left:
        found.faults_left -= 1
        found.fault = fault if found.faults_left else ""
    return fault


def _hop(world: World, found: Media, fault: str) -> str:
    """Return where a redirect leads: to another path, or to this machine under another name."""
    here = urlsplit(world.address)
    other = "127.0.0.1" if here.hostname == "localhost" else "localhost"
    base = f"{here.scheme}://{other}:{here.port}" if fault == "redirect_away" else ""
    return media.issue(world, found, _HOPS[fault], base=base)


async def _give(send: "Send", found: Media, fault: str, drip: float) -> None:
    """Send a file; one that is cut off is left without an end, and uvicorn then breaks the connection."""
    kind = "text/html; charset=utf-8" if fault == "wrong_type" else found.mime_type
    headers = [(b"content-type", kind.encode())]
    if fault not in ("oversize", "endless"):
        size = len(found.content)
        headers.append((b"content-length", b"%d" % (size // 2 if fault == "short" else size)))
    await _start(send, 200, headers)
    async for piece in _pieces(found.content, fault, drip):
        await _piece(send, piece)
    if fault != "truncated":
        await _piece(send, b"", more=False)


async def _pieces(content: bytes, fault: str, drip: float) -> AsyncIterator[bytes]:
    """Yield what is sent of a file."""
    match fault:
        case "wrong_hash":
            yield content[:-1] + content[-1:].translate(_INVERTED)
        case "truncated" | "short":
            yield content[: len(content) // 2]
        case "slow":
            for place in range(len(content)):
                yield content[place : place + 1]
                await asyncio.sleep(drip)
        case "oversize":
            yield content + bytes(_EXCESS)
        case "endless":
            yield content
            while True:
                yield bytes(_EXCESS)
                await asyncio.sleep(_PAUSE)
        case _:
            yield content


async def _refuse(send: "Send", refusal: Refusal, trace: str) -> None:
    body = json.dumps(refusal.body(trace)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
    await _start(send, refusal.status, headers)
    await _piece(send, body, more=False)


async def _start(send: "Send", status: int, headers: _Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _piece(send: "Send", body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _logged(world: World, request: Request[Any, Any, Any], place: str) -> Logged:
    """Return a download's entry in the log: no hash of a URL stands in it, and no token."""
    seen = {
        "host": request.headers.get("host", ""),
        "authorization": "authorization" in request.headers,
        "user_agent": request.headers.get("user-agent", ""),
    }
    path = f"{media.FOLDER}{place}/?mid={request.query_params.get('mid', '')}"
    return Logged(at=world.clock.now(), method=request.method, path=path, status=200, body=seen)


router = Router("/_files", route_handlers=[download])
