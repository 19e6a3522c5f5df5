"""Meta's Graph API, played on loopback: it knows every number until told otherwise."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from tests.receiver import Received, Receiver

#: What Graph answers to a wrong id or a token without permissions, and to a token that is over.
UNKNOWN_NUMBER = (400, {"error": {"message": "Unsupported get request.", "code": 100, "error_subcode": 33}})
BAD_TOKEN = (401, {"error": {"message": "Error validating access token", "code": 190, "error_subcode": 463}})
Answer = tuple[int, Any]


@dataclass
class Graph:
    """The server; `answers` by phone number id replace the friendly one, and may change at any time."""

    answers: dict[str, Answer] = field(default_factory=dict)
    receiver: Receiver = field(default_factory=Receiver)

    async def __aenter__(self) -> Self:
        self.receiver.behave = self._behave
        await self.receiver.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.receiver.__aexit__()

    @property
    def url(self) -> str:
        """The `graph_url` to configure."""
        return f"http://127.0.0.1:{self.receiver.port}"

    @property
    def asked(self) -> list[str]:
        """The phone number ids that were asked for, in order."""
        return [number_of(one) for one in self.receiver.received]

    async def _behave(self, request: Received, writer: asyncio.StreamWriter) -> None:
        number = number_of(request)
        friendly = {
            "display_phone_number": "+49 30 111000",
            "verified_name": "Shop",
            "quality_rating": "GREEN",
            "id": number,
        }
        code, document = self.answers.get(number, (200, friendly))
        body = json.dumps(document).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (code, len(body), body))


def number_of(request: Received) -> str:
    """Return the phone number id that a request asks for."""
    return urlsplit(request.target).path.rpartition("/")[2]
