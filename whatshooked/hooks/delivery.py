"""One POST to one hook: the seam behind which the HTTP client (wire.py) stands."""

import time
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec
from pyreqwest.exceptions import PyreqwestError

from whatshooked import wire
from whatshooked.config import Hook
from whatshooked.hooks import signing

#: Bytes of an answer that are read: a reply of a hook is small, and an endless answer must cost nothing.
ANSWER_LIMIT = 64 * 1024
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Delivered(msgspec.Struct, frozen=True):
    """The hook accepted the event with a 2xx."""

    status: int
    seconds: float
    answer: bytes


class Refused(msgspec.Struct, frozen=True):
    """The hook answered anything but 2xx (`status`), or nothing came of the attempt (`status` 0)."""

    status: int
    seconds: float
    error: str


Result = Delivered | Refused


class Sender:
    """Makes attempts; one per process, it keeps the connections."""

    def __init__(self) -> None:
        self._client = wire.client()
        self._urls: dict[tuple[str, str, str], str] = {}
        self._timeouts: dict[float, timedelta] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def post(
        self,
        hook: Hook,
        event_type: str,
        account_id: str,
        event_id: str,
        body: bytes,
        *,
        replay: bool = False,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Result:
        """Return what one attempt came to; never raises for what a receiver or the network does.

        The hook's own headers win over `headers`, whose names are in lower case.
        """
        start = time.perf_counter()
        own = {"content-type": "application/json", **headers, **{k.lower(): v for k, v in hook.headers.items()}}
        own |= signing.headers(event_id, hook.id, int(time.time()), body, hook.secret, replay=replay)
        try:
            request = self._client.request(hook.method, self._url(hook, event_type, account_id)).headers(own)
            sending = request.body_bytes(body).timeout(self._timeout(hook.timeout)).build_streamed()
            async with sending as response:
                status: int = response.status
                answer = b""
                if response.get_header("content-length") != "0":
                    answer = bytes(await response.body_reader.read(ANSWER_LIMIT + 1) or b"")
        except PyreqwestError as error:
            return Refused(0, time.perf_counter() - start, wire.explain(error))
        except ValueError as error:  # the client's rules for a URL are stricter than those of our config
            return Refused(0, time.perf_counter() - start, f"the hook's config makes no request: {error}"[:200])
        seconds = time.perf_counter() - start
        if 200 <= status < 300:
            return Delivered(status, seconds, answer)
        return Refused(status, seconds, f"HTTP {status}")

    def _url(self, hook: Hook, event_type: str, account_id: str) -> str:
        key = (hook.url, event_type, account_id)
        url = self._urls.get(key)
        if url is None:
            url = with_query(hook.url, event_type, account_id)
            if len(self._urls) < 10_000:
                self._urls[key] = url
        return url

    def _timeout(self, seconds: float) -> timedelta:
        return self._timeouts.setdefault(seconds, timedelta(seconds=seconds))


def with_query(url: str, event_type: str, account_id: str) -> str:
    """Return the URL with `event` and `account_id` appended, what was there kept to the letter."""
    parts = urlsplit(url)
    ours = urlencode({"event": event_type, "account_id": account_id}, quote_via=quote)
    query = f"{parts.query}&{ours}" if parts.query else ours
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def shown(url: str) -> str:
    """Return a URL fit for a log: without the user, password and query it may carry."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
