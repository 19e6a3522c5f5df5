"""Meta's Graph API: one client for all accounts, its answers as values.

Errors are told apart by `error.code`, never by the HTTP status alone: Meta documents throttling as a 400. A token goes
to the host of its account's `graph_url` and nowhere else: redirects are not followed, and of a page's `next` only the
cursor is taken. No token, PIN or secret stands in any text that comes back.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import quote

import httpx
import msgspec

from whatshooked import __version__, metrics
from whatshooked.config import Account
from whatshooked.meta import codes, failure, usage
from whatshooked.meta.codes import Retry
from whatshooked.meta.failure import GraphFailure
from whatshooked.meta.scan import REFUSALS

__all__ = ["Access", "Graph", "GraphFailure"]

_header_safe = re.compile(r"[!-~]+")
_COPY_AGAIN = "copy the token again: letters, digits and signs without spaces or line ends"
#: Parameters whose values must not come back in a text.
_SECRET = frozenset({"access_token", "input_token", "client_secret", "verify_token", "pin", "code"})
#: Bytes of an answer that are read: a page of a hundred templates has some 300 KB, and an endless one must end.
_ANSWER_LIMIT = 2 * 1024 * 1024
#: Seconds that a call waits for its turn when calls are slowed; above it is refused, with the time to come again.
PATIENCE = 5.0
#: Seconds to get a connection, far below a call's own: what failed before anything was sent is certain.
_CONNECTING = 5.0
#: Failures by which nothing has left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol)
#: Pages that are followed at most, of 100 objects each.
_PAGES = 50

#: Form field -> name, content or a file opened in binary mode, which is sent as it is read, and type.
Files = Mapping[str, tuple[str, bytes | IO[bytes], str]]


@dataclass(frozen=True, slots=True)
class Access:
    """Where Graph is asked, and as whom; `account` names whose limits the calls count against."""

    graph_url: str
    version: str
    token: str = field(repr=False)
    account: str = ""

    @classmethod
    def of(cls, account: Account) -> "Access":
        """Return an account's own access; that of one without `business_api` reaches nothing."""
        api = account.business_api
        return cls(api.graph_url, api.api_version, api.access_token, account.id) if api else cls("", "", "", account.id)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class Graph:
    """Calls Graph for any account; one per process."""

    def __init__(self, *, timeout: float = 10.0) -> None:
        headers = {"user-agent": f"WhatsHooked/{__version__}", "accept-encoding": "identity"}
        self._timeout = timeout
        # Redirects are not followed: the token goes to the configured host and nowhere else.
        self._client = httpx.AsyncClient(timeout=timeout, headers=headers, follow_redirects=False, trust_env=False)
        self._budgets = usage.Budgets()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(
        self,
        access: Access,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        data: Mapping[str, str] | None = None,
        files: Files | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any] | GraphFailure:
        """Return Graph's answer to one call, or why there is none; never raises for what Meta or the network does.

        `path` stands behind the version ("123/messages"); `data` and `files` are form fields, `seconds` is the time
        for the whole call (the client's own unless given).
        """
        hidden = [access.token, *_secrets(params), *_secrets(json), *_secrets(data)]
        request = {"params": params, "json": json, "data": data, "files": files, "timeout": seconds or self._timeout}
        refused = _unusable(access) or await self._take_turn(access, path)
        found = refused or await self._call(access, method, path, request, hidden)
        metrics.GRAPH.labels(_label(found)).inc()
        return found

    async def pages(
        self, access: Access, path: str, params: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]] | GraphFailure:
        """Return the objects of an edge's `data`, of all its pages.

        A page's `next` is never called: only its cursor is taken, or an answer could send the token to another host.
        """
        rows: list[dict[str, Any]] = []
        asked, after = {"limit": "100", **(params or {})}, ""
        for _ in range(_PAGES):
            found = await self.ask(access, "GET", path, params=asked | ({"after": after} if after else {}))
            if isinstance(found, GraphFailure):
                return found
            data, paging = found.get("data"), found.get("paging")
            rows += [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
            cursor = _cursor(paging)
            if not cursor or cursor == after:
                break
            after = cursor
        return rows

    async def _take_turn(self, access: Access, path: str) -> GraphFailure | None:
        """Wait as the call limits ask for; return a failure when that would take too long."""
        names, now = _budget_names(access, path), time.monotonic()
        pause = self._budgets.pause(names, now)
        if pause > PATIENCE:
            text = f"Meta's call limit is used up: not called, calls go on in {_span(pause)}"
            hint = "wait, and make fewer calls"
            return GraphFailure(0, 0, 0, text, hint, reached=False, retry=Retry.LATER, wait=pause)
        self._budgets.book(names, now + pause)
        if pause > 0:
            await asyncio.sleep(pause)
        return None

    async def _call(
        self, access: Access, method: str, path: str, request: dict[str, Any], hidden: Iterable[str]
    ) -> dict[str, Any] | GraphFailure:
        url = f"{access.graph_url.rstrip('/')}/{access.version}/{quote(path)}"
        headers = {"authorization": f"Bearer {access.token}"}
        try:
            async with asyncio.timeout(request["timeout"]):
                answer = await self._send(method, url, headers, request)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
            text = f"{type(error).__name__}: {error}".rstrip(": ")
            uncertain = not isinstance(error, _UNSENT)
            hint = f"no answer from {access.graph_url}: check the network"
            text = failure.shown(text, hidden)
            return GraphFailure(0, 0, 0, text, hint, reached=False, retry=Retry.LATER, uncertain=uncertain)
        except ValueError as error:  # half of a surrogate pair, or NaN: no JSON can hold it
            text = failure.shown(f"the request cannot be written: {error}", hidden)
            return GraphFailure(0, 0, 0, text, "correct its text", reached=False)
        found = _judged(answer, access, hidden)
        self._note(access, path, answer, found)
        return found

    async def _send(self, method: str, url: str, headers: dict[str, str], request: dict[str, Any]) -> _Answer:
        """Return the answer, its body cut when it is larger than any of Graph's."""
        # A TCP handshake and a TLS one, each with this time, and a place in the pool before them: less than the whole.
        connecting = min(_CONNECTING, request["timeout"] / 4)
        timeout = httpx.Timeout(request["timeout"], connect=connecting, pool=connecting)
        async with self._client.stream(method, url, headers=headers, **request | {"timeout": timeout}) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _ANSWER_LIMIT:
                    break
            return _Answer(response.status_code, response.headers, bytes(body))

    def _note(self, access: Access, path: str, answer: _Answer, found: dict[str, Any] | GraphFailure) -> None:
        """Remember what the answer says of the call limits."""
        now, (app, account) = time.monotonic(), _budget_names(access, path)
        of_app, of_account, regain = usage.read(answer.headers)
        if of_app:
            self._budgets.note(app, of_app, 0.0, now)
        if of_account or regain:
            self._budgets.note(account, of_account, regain, now)
        if isinstance(found, GraphFailure) and found.wait and (not found.code or codes.throttles_all(found.code)):
            self._budgets.hold(account, found.wait, now)


def _unusable(access: Access) -> GraphFailure | None:
    if not access.graph_url:
        return GraphFailure(0, 0, 0, "not a business-api account", "", reached=False)
    if not _header_safe.fullmatch(access.token):  # the client would refuse it, and quote it in its error
        text = "business_api.access_token holds what no token can"
        return GraphFailure(0, 0, 0, text, _COPY_AGAIN, reached=False)
    return None


def _budget_names(access: Access, path: str) -> tuple[str, str]:
    """Return the names of the app's and the account's limit: messages are counted apart from all other calls."""
    account = access.account or access.token
    return f"app {access.token}", f"{'messages' if path.endswith('/messages') else 'calls'} {account}"


def _judged(answer: _Answer, access: Access, hidden: Iterable[str]) -> dict[str, Any] | GraphFailure:
    if answer.status != 200:
        retry_after = answer.headers.get("retry-after", "")
        return failure.read(
            answer.status, retry_after, answer.body, hidden=hidden, host=access.graph_url, now=time.time()
        )
    if len(answer.body) > _ANSWER_LIMIT:
        return GraphFailure(200, 0, 0, "Graph's answer is too large", f"check graph_url ({access.graph_url})")
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except REFUSALS:
        return GraphFailure(200, 0, 0, "Graph answered no JSON object", f"check graph_url ({access.graph_url})")


def _secrets(fields: Mapping[str, Any] | None) -> list[str]:
    """Return the values that must not come back in a text; deeper down `code` is a template's language."""
    inner = [value for value in (fields or {}).values() if isinstance(value, Mapping)]
    found = [str(value) for name, value in (fields or {}).items() if name in _SECRET and not isinstance(value, Mapping)]
    deeper = [str(value) for part in inner for name, value in part.items() if name in _SECRET - {"code"}]
    return found + deeper


def _cursor(paging: Any) -> str:
    """Return the cursor of the next page, "" when this was the last."""
    if not isinstance(paging, dict) or not paging.get("next") or not isinstance(paging.get("cursors"), dict):
        return ""
    after = paging["cursors"].get("after")
    return after if isinstance(after, str) else ""


def _label(found: dict[str, Any] | GraphFailure) -> str:
    if not isinstance(found, GraphFailure):
        return "0"
    if not found.reached:
        return "-1"
    return str(found.code) if found.code else f"http {found.status}"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
