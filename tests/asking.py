"""Requests to the send API, and a worker played by hand."""

from typing import Any

import httpx

from tests.conftest import API_KEY, Gateway
from whatshooked.stream.outbox import Outbox, Outcome

ANA = "4915112345678"
#: A text in the contract's form.
TEXT = {"account_id": "business", "to": ANA, "text": "Hello"}


async def send(web: Gateway, request: Any = TEXT, query: str = "", *, key: str | None = None) -> httpx.Response:
    """Ask for a message by the contract's call."""
    return await ask(web, "send", request, query, key=key)


async def ask(web: Gateway, call: str, request: Any, query: str = "", *, key: str | None = None) -> httpx.Response:
    """POST to a call of the API, with an Idempotency-Key."""
    headers = {"x-api-key": API_KEY} | ({} if key is None else {"idempotency-key": key})
    return await web.client.post(f"{web.base}/api/{call}{query}", json=request, headers=headers)


async def taken(web: Gateway, request: Any = TEXT, **more: Any) -> str:
    """Ask for a message that is taken; returns its id."""
    answer = await send(web, request, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def settled(outbox: Outbox, outcome: Outcome, account_id: str = "business") -> None:
    """Play the worker: lease what is due and let its send come to this."""
    heads = (await outbox.due([account_id], 10))[account_id]
    for lease in (await outbox.claim(account_id, heads, most=10, a_second=100_000)).leases:
        await outbox.settle(lease, outcome)


async def shown(web: Gateway, message_id: str) -> dict[str, Any]:
    """A message as the API shows it."""
    answer = await web.api("GET", f"/api/messages/{message_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def fault(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error object of an answer that refuses."""
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() - {"faults"} == {"code", "message", "hint"}
    assert error["message"] and error["hint"]
    return error
