"""One POST to one hook: the seam behind which the HTTP client stands.

The client is Rust's reqwest through pyreqwest: the fastest of those that keep a total deadline, stream the answer (so
that a huge one is not read) and leave redirects, proxies of the environment and decompression alone.
"""

import time
from datetime import timedelta
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from whatshooked import __version__
from whatshooked.config import Hook
from whatshooked.hooks import signing

#: Bytes of an answer that are read: a reply of a hook is small, and an endless answer must cost nothing.
ANSWER_LIMIT = 64 * 1024


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
        builder = ClientBuilder().no_proxy().follow_redirects(False).referer(False)
        builder = builder.gzip(False).brotli(False).zstd(False).deflate(False)
        builder = builder.user_agent(f"WhatsHooked/{__version__}").pool_idle_timeout(timedelta(seconds=30))
        self._client = builder.build()
        self._urls: dict[tuple[str, str, str], str] = {}
        self._timeouts: dict[float, timedelta] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def post(
        self, hook: Hook, event_type: str, account_id: str, event_id: str, body: bytes, *, replay: bool = False
    ) -> Result:
        """Return what one attempt came to; never raises for what a receiver or the network does."""
        start = time.perf_counter()
        headers = {"content-type": "application/json", **{k.lower(): v for k, v in hook.headers.items()}}
        headers |= signing.headers(event_id, hook.id, int(time.time()), body, hook.secret, replay=replay)
        try:
            request = self._client.request(hook.method, self._url(hook, event_type, account_id)).headers(headers)
            sending = request.body_bytes(body).timeout(self._timeout(hook.timeout)).build_streamed()
            async with sending as response:
                status: int = response.status
                answer = b""
                if response.get_header("content-length") != "0":
                    answer = bytes(await response.body_reader.read(ANSWER_LIMIT + 1) or b"")
        except PyreqwestError as error:
            return Refused(0, time.perf_counter() - start, explain(error))
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


def explain(error: PyreqwestError) -> str:
    """Return one line on why nothing came of an attempt, without the URL, which may hold a secret."""
    if isinstance(error, RequestTimeoutError):
        return "timeout"
    details = getattr(error, "details", None) or {}
    causes = [str(cause.get("message", "")) for cause in details.get("causes") or []]
    useful = [cause for cause in causes if cause and "://" not in cause]
    return ": ".join(useful[-2:]) or type(error).__name__
