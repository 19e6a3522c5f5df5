"""Meta's Graph API: one client, its answers as values.

Errors are told apart by `error.code`, never by the HTTP status alone: Meta documents throttling as a 400.
"""

import asyncio
import re
from dataclasses import dataclass

import httpx
import msgspec

from whatshooked import __version__
from whatshooked.config import Account
from whatshooked.meta import codes, lenient
from whatshooked.meta.scan import REFUSALS

_header_safe = re.compile(r"[!-~]+")
_COPY_AGAIN = "copy the token again: letters, digits and signs without spaces or line ends"
_NUMBER_FIELDS = "id,display_phone_number,verified_name,quality_rating,status"
#: Characters of an answer that are shown to an operator.
_SHOWN = 600
#: Bytes of an answer that are read: Graph's have under 1 KB, and an endless one must cost nothing.
_ANSWER_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Number:
    """A business number as Graph describes it."""

    phone: str
    verified_name: str
    quality_rating: str


@dataclass(frozen=True, slots=True)
class GraphError:
    """Why Graph did not do what was asked; `code` 0 when it did not say, `reached` False when nothing answered."""

    status: int
    code: int
    subcode: int
    text: str
    hint: str
    reached: bool = True


class _Body(msgspec.Struct):
    code: int = 0
    error_subcode: int = 0
    message: str = ""


class _Envelope(msgspec.Struct):
    error: _Body


class Graph:
    """Calls Graph for any account; one per process."""

    def __init__(self, *, timeout: float = 10.0) -> None:
        headers = {"user-agent": f"WhatsHooked/{__version__}", "accept-encoding": "identity"}
        self._timeout = timeout
        # Redirects are not followed: the token goes to the configured host and nowhere else.
        self._client = httpx.AsyncClient(timeout=timeout, headers=headers, follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def number(self, account: Account) -> Number | GraphError:
        """Return the account's own number as Graph shows it: a GET that proves id and token."""
        api = account.business_api
        if api is None:
            return GraphError(0, 0, 0, "not a business-api account", "", reached=False)
        if not _header_safe.fullmatch(api.access_token):  # the client would refuse it, and quote it in its error
            return GraphError(0, 0, 0, "business_api.access_token holds what no token can", _COPY_AGAIN, reached=False)
        url = f"{api.graph_url.rstrip('/')}/{api.api_version}/{api.phone_number_id}"
        headers = {"authorization": f"Bearer {api.access_token}"}
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._get(url, headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            text = f"{type(error).__name__}: {error}"
            return GraphError(0, 0, 0, text, f"no answer from {api.graph_url}: check the network", reached=False)
        if status != 200:
            return _failure(status, body, api.access_token)
        try:
            found = msgspec.json.decode(body, type=dict[str, object])
        except REFUSALS:
            return GraphError(200, 0, 0, "Graph answered no JSON object", f"check graph_url ({api.graph_url})")
        named = (lenient.text(found.get(key)) for key in ("display_phone_number", "verified_name", "quality_rating"))
        return Number(*named)

    async def _get(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body, the body cut when it is larger than any of Graph's."""
        async with self._client.stream("GET", url, params={"fields": _NUMBER_FIELDS}, headers=headers) as response:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _ANSWER_LIMIT:
                    break
            return response.status_code, body


def _failure(status: int, answer: bytes, token: str) -> GraphError:
    # Never by the charset that the answer names: it may be one that Python has and no text can be read by. The token
    # goes before the cut, or a part of it could stand at the end.
    text = answer.decode("utf-8", "replace").replace(token, "***")[:_SHOWN]
    try:
        body = msgspec.json.decode(answer, type=_Envelope, strict=False).error
    except REFUSALS:
        body = _Body()
    return GraphError(status, body.code, body.error_subcode, text, codes.hint(body.code, body.error_subcode))
