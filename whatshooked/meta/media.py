"""Files at Meta: look-up, download, upload and deletion.

A download goes through the client of the hooks' deliveries and not through Graph's: it streams a hundred megabytes
without holding them, and costs the event loop next to nothing. Redirects are followed by hand, since a token must not
come along to a host that is not Meta's.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Literal
from urllib.parse import quote, urljoin

from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.response import Response

from whatshooked import wire
from whatshooked.meta import attachment, lenient
from whatshooked.meta.codes import Retry
from whatshooked.meta.graph import Access, Graph, GraphFailure

#: Redirects that are followed.
_HOPS = 3
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
#: Bytes that are read at once.
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file's bytes lie for the next five minutes, and what Graph says of it; `size` 0 when it does not."""

    url: str
    mime_type: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A download that came to its end; `strayed` when a redirect led it away from Meta's hosts."""

    content_type: str
    strayed: bool


@dataclass(frozen=True, slots=True)
class DownloadFailure:
    """Why the bytes did not come: `why` is http (any status but 200), too_large, redirect, late or network."""

    why: Literal["http", "too_large", "redirect", "late", "network"]
    text: str
    status: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one request came to: a file, whose bytes were written, or a redirect."""

    content_type: str
    location: str = ""


class Source:
    """Who may see a token: the hosts of Meta, and where an account's Graph is."""

    def __init__(self, hosts: Iterable[str], access: Access) -> None:
        self._hosts = tuple(hosts)
        self._access = access

    def token_for(self, url: str) -> str:
        """Return the token that may go to a URL, "" for none."""
        return self._access.token if attachment.is_trusted(url, self._hosts, self._access.graph_url) else ""

    def may_follow(self, url: str) -> bool:
        """Return whether a redirect is followed, be it without the token: never to less than Graph's own scheme."""
        found, graph = attachment.origin(url), attachment.origin(self._access.graph_url)
        return found is not None and graph is not None and found[0] in ("https", graph[0])


async def look_up(graph: Graph, access: Access, media_id: str, *, seconds: float) -> Place | GraphFailure:
    """Return where a file is; the URL is a new one each time."""
    found = await graph.ask(access, "GET", quote(media_id, safe=""), seconds=seconds)
    if isinstance(found, GraphFailure):
        return found
    url = lenient.text(found.get("url"))
    if not url:
        return GraphFailure(200, 0, 0, "Graph named no URL of the file", "try again")
    size = lenient.text(found.get("file_size"))  # text in Meta's reference, a number in its answers
    return Place(
        url,
        lenient.text(found.get("mime_type")),
        attachment.sha256_hex(lenient.text(found.get("sha256"))),
        int(size) if size.isdecimal() else 0,
    )


async def upload(
    graph: Graph,
    access: Access,
    number_id: str,
    content: bytes | IO[bytes],
    mime_type: str,
    filename: str,
    *,
    seconds: float,
) -> str | GraphFailure:
    """Upload a file for a number's messages; returns its id, good for 30 days at that number alone.

    `content` may be a file opened in binary mode, which is sent as it is read; raises OSError when that fails.
    """
    fields = {"messaging_product": "whatsapp", "type": mime_type}
    files = {"file": (filename, content, mime_type)}
    path = f"{quote(number_id, safe='')}/media"
    found = await graph.ask(access, "POST", path, data=fields, files=files, seconds=seconds)
    if isinstance(found, GraphFailure):
        return found
    media_id = lenient.text(found.get("id"))
    return media_id or GraphFailure(200, 0, 0, "Graph named no id of the file", "try again", retry=Retry.FEW)


async def delete(graph: Graph, access: Access, media_id: str) -> GraphFailure | None:
    """Delete an uploaded file at Meta."""
    found = await graph.ask(access, "DELETE", quote(media_id, safe=""))
    return found if isinstance(found, GraphFailure) else None


class Downloads:
    """Fetches bytes; one per process, it keeps the connections."""

    def __init__(self) -> None:
        self._client = wire.client()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def fetch(
        self, url: str, source: Source, write: Callable[[bytes], Awaitable[None]], *, most: int, seconds: float
    ) -> Downloaded | DownloadFailure:
        """Hand a file's bytes to `write`, piece by piece; raises only what `write` raises.

        `most` are the bytes it may have, `seconds` the time for all of it.
        """
        end, token, strayed = time.monotonic() + seconds, source.token_for(url), False
        for _ in range(_HOPS + 1):
            strayed = strayed or not source.token_for(url)
            try:
                answer = await self._one(url, token, write, most, end - time.monotonic())
                following = urljoin(url, answer.location) if isinstance(answer, _Answer) else ""
            except RequestTimeoutError:
                return DownloadFailure("late", "the file did not come in time")
            except PyreqwestError as error:
                return DownloadFailure("network", wire.explain(error))
            except ValueError as error:
                return DownloadFailure("redirect", f"no request can be made of the file's address: {error}"[:200])
            if isinstance(answer, DownloadFailure):
                return answer
            if not answer.location:
                return Downloaded(answer.content_type, strayed)
            before, url = url, following
            if not source.may_follow(url):
                return DownloadFailure("redirect", "the file's address leads where no file of Meta's can be")
            if attachment.origin(url) != attachment.origin(before):
                token = ""  # not even to another host of Meta's
        return DownloadFailure("redirect", f"more than {_HOPS} redirects")

    async def _one(
        self, url: str, token: str, write: Callable[[bytes], Awaitable[None]], most: int, seconds: float
    ) -> "_Answer | DownloadFailure":
        headers = {"authorization": f"Bearer {token}"} if token else {}
        request = self._client.get(url).headers(headers).timeout(timedelta(seconds=max(seconds, 0.001)))
        async with request.build_streamed() as response:
            if response.status in _REDIRECTS:
                location = _header(response, "location")
                return _Answer("", location) if location else DownloadFailure("redirect", "a redirect to nowhere")
            if response.status != 200:
                return DownloadFailure("http", f"HTTP {response.status} for the file", response.status)
            told = _header(response, "content-length")
            if told.isdecimal() and int(told) > most:
                return _too_large(most)
            size = 0
            async for piece in _pieces(response):
                size += len(piece)
                if size > most:
                    return _too_large(most)
                await write(piece)
            return _Answer(_header(response, "content-type"))


async def _pieces(response: Response) -> AsyncIterator[bytes]:
    while (piece := await response.body_reader.read(_PIECE)) is not None:
        yield bytes(piece)


def _header(response: Response, name: str) -> str:
    """Return a header, "" when it is missing or no text."""
    try:
        return response.get_header(name) or ""
    except ValueError:
        return ""


def _too_large(most: int) -> DownloadFailure:
    return DownloadFailure("too_large", f"the file is larger than media.max_bytes ({most})")
