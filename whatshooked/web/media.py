"""Serves stored files: to hooks by a signed link, to all others by the API's credentials.

What a stranger sent must stay a file: nothing of it runs in a browser that opens a link, whatever type it claims.
"""

import asyncio
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from litestar import Request, Router, route
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import PathParameter
from litestar.types import ASGIApp, Receive, Scope, Send

from whatshooked import logs, metrics
from whatshooked.errors import StoreUnavailable
from whatshooked.media import links, names
from whatshooked.media.faults import told
from whatshooked.media.store import LocalFile, RemoteFile
from whatshooked.media.threads import beside
from whatshooked.web import auth
from whatshooked.web.faults import Fault
from whatshooked.web.gateway import Gateway
from whatshooked.web.ranges import http_date, wanted

log = logs.get("web")

AccountId = Annotated[str, PathParameter(description="whatsapp[].id")]
Filename = Annotated[str, PathParameter(description="as payloads name it")]
#: Bytes read and sent at once.
CHUNK = 256 * 1024
_ALWAYS = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "sandbox; default-src 'none'"),
    ("cache-control", "private"),
)


async def guard(connection: ASGIConnection, handler: BaseRouteHandler) -> None:  # type: ignore[type-arg] # as auth's
    """Let whoever has a signed link pass, else as the API does; raises Fault, and StreamUnavailable without its key."""
    gateway: Gateway = connection.app.state.gateway
    query = connection.query_params
    if "signature" in query:
        place = connection.path_params
        given = str(query.get("expires", "")), str(query["signature"])
        if gateway.config.media.link_ttl and links.holds(
            await gateway.link_key(), place["account_id"], place["filename"], *given, time.time()
        ):
            return
        if not {"authorization", "x-api-key"} & {name.lower() for name in connection.headers}:
            metrics.MEDIA_SERVED.labels("refused").inc()
            raise Fault(
                403,
                "link_not_valid",
                "the link's time is over, or it was changed",
                "replay the event for a new link, or call with the API's credentials",
            )
    auth.guard(connection, handler)


@route("/{account_id:str}/{filename:str}", http_method=["GET", "HEAD"], include_in_schema=False)
async def serve(request: Request[Any, Any, State], state: State, account_id: AccountId, filename: Filename) -> ASGIApp:
    """Answer with a file, a part of it, or where it can be had."""
    gateway: Gateway = state.gateway
    head = request.method == "HEAD"
    try:
        found = await gateway.store.find(account_id, filename, head=head)
        answer = await _answer(found, request, head=head)
    except StoreUnavailable as error:
        metrics.MEDIA_SERVED.labels("unavailable").inc()
        log.seldom("error", "A stored file could not be served", account_id=account_id, error=str(error))
        raise Fault(503, "store_unavailable", "the store of files does not serve", "try again; see the log") from error
    if answer is None:
        metrics.MEDIA_SERVED.labels("missing").inc()
        raise Fault(404, "not_found", "no such file", "its time is over (media.max_age_days), or it never came")
    return answer


router = Router("/api/media", route_handlers=[serve], guards=[guard])


class Answer:
    """A status, headers, and bytes of an open file, which is closed in any case."""

    def __init__(
        self, status: int, headers: Iterable[tuple[str, str]], descriptor: int = -1, start: int = 0, length: int = 0
    ) -> None:
        self._status = status
        self._headers = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        self._descriptor = descriptor
        self._start, self._end = start, start + length

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_left(receive))
        try:
            await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
            if self._descriptor >= 0:
                await self._send(send, gone)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            if self._descriptor >= 0:
                os.close(self._descriptor)

    async def _send(self, send: Send, gone: "asyncio.Task[None]") -> None:
        place = self._start
        while place < self._end and not gone.done():
            chunk = await beside(os.pread, self._descriptor, min(CHUNK, self._end - place), place)
            if not chunk:  # cut short by somebody; the server breaks the connection, so that no one takes it for whole
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            place += len(chunk)


async def _answer(
    found: LocalFile | RemoteFile | None, request: Request[Any, Any, State], *, head: bool
) -> Answer | None:
    if found is None:
        return None
    if isinstance(found, RemoteFile):
        metrics.MEDIA_SERVED.labels("redirected").inc()
        return Answer(307, (("location", found.url), ("cache-control", "no-store"), ("content-length", "0")))
    about = found.about
    etag = f'"{about.sha256 or f"{int(found.modified * 1e6):x}-{about.size:x}"}"'
    want = wanted(request.headers, size=about.size, etag=etag, modified=found.modified, head=head)
    if want.status == 416:
        metrics.MEDIA_SERVED.labels("bad_range").inc()
        size = {"Content-Range": f"bytes */{about.size}"}
        raise Fault(416, "no_such_range", "the file is shorter", f"it has {about.size} bytes", size)
    headers = (
        *_ALWAYS,
        ("etag", etag),
        ("last-modified", http_date(found.modified)),
        ("accept-ranges", "bytes"),
        *_of_status(want.status, want.start, want.length, found),
    )
    descriptor = -1
    if want.length and not head:
        with told(found.path):
            descriptor = await beside(_open, found.path, about.size)
        if descriptor < 0:
            return None
    metrics.MEDIA_SERVED.labels("not_modified" if want.status == 304 else "sent").inc()
    return Answer(want.status, headers, descriptor, want.start, want.length)


def _of_status(status: int, start: int, length: int, found: LocalFile) -> list[tuple[str, str]]:
    """Return the headers that not every answer has."""
    about = found.about
    if status == 304:
        return []
    headers = [
        ("content-type", names.sendable_type(about.mime_type)),
        ("content-disposition", names.disposition(about.original, about.mime_type)),
        ("content-length", str(length)),
    ]
    if status == 206:
        headers.append(("content-range", f"bytes {start}-{start + length - 1}/{about.size}"))
    return headers


def _open(path: Path, size: int) -> int:
    """Return a descriptor of a file as it was found, -1 when it is another by now; raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size == size:
        return descriptor
    os.close(descriptor)
    return -1


async def _left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
