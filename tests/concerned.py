"""Asking a gateway whom it concerns, and customers who write to it."""

import time
from typing import Any

import httpx
import pytest

from tests import meta
from tests.conftest import API_KEY, Gateway
from tests.streams import until
from whatshooked.web import auth

ANA, BEN = "4915100000001", "4915100000002"


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits concerns somebody from its first moment on, each question is a look, no test throttles another."""
    monkeypatch.setattr("whatshooked.stream.look.USUAL", 0.0)
    monkeypatch.setattr("whatshooked.web.customers._KEPT", 0.0)
    monkeypatch.setattr("whatshooked.web.customers._TIMES", 0)
    monkeypatch.setattr(auth, "throttle", auth.Throttle())
    monkeypatch.setattr(auth, "customers_throttle", auth.Throttle())


def of(customer: str, name: str = "Ana", count: int = 1, **more: Any) -> bytes:
    """A webhook with texts of a customer."""
    contact = {"profile": {"name": name}, "wa_id": customer}
    texts = [meta.text(**{"from": customer} | more) for _ in range(count)]
    return meta.webhook(meta.value(*texts, contacts=[contact]))


async def listed(gateway: Gateway, **query: str) -> list[tuple[str, str | None, str, int]]:
    """Customer, hook, state and count of those that are listed."""
    answer = (await gateway.client.get(gateway.base + "/api/customers", params=query, headers=key(API_KEY))).json()
    return [(one["customer"], one["hook_id"], one["state"], one["count"]) for one in answer["customers"]]


def key(text: str) -> dict[str, str]:
    return {"x-api-key": text}


async def ask(gateway: Gateway, query: str, **more: Any) -> httpx.Response:
    """Ask as Grafana does."""
    form = {"query": query, "time": f"{time.time():.3f}"} | more
    url = gateway.base + "/api/customers/api/v1/query"
    return await gateway.client.post(url, data=form, headers=key(API_KEY))


def result(answer: httpx.Response) -> Any:
    """The samples of an answer."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "success"
    return answer.json()["data"]["result"]


async def becomes(gateway: Gateway, wanted: list[tuple[str, str | None, str, int]]) -> None:
    """Wait until exactly these are listed, in this order."""

    async def is_so() -> bool:
        return await listed(gateway) == wanted

    await until(is_so)
