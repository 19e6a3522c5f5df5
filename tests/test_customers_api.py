"""Whom it concerns, as Grafana asks for it: answers of Prometheus' form, who may ask, one look for all."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.concerned import ANA, BEN, ask, hasten, key, of, result
from tests.conftest import API_KEY, Gateway, hook
from tests.receiver import Receiver, status
from tests.streams import until
from whatshooked.errors import StreamUnavailable
from whatshooked.stream.customers import Found
from whatshooked.stream.look import look
from whatshooked.web import auth
from whatshooked.web.instant import Question, question

MakeGateway = Callable[..., Gateway]
KEY = "customers-key-of-the-tests"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for what takes its time, or throttles another."""
    hasten(monkeypatch)


async def test_grafana_gets_what_prometheus_would_answer(make_gateway: MakeGateway, receiver: Receiver) -> None:
    """By form and by address: label sets that join, the moment that was asked for, figures without labels."""
    receiver.behave = status(503)
    gateway = make_gateway(hook("crm", receiver.url()))
    await gateway.start()
    await gateway.post(of(ANA, "Ana", count=3))
    await gateway.post(of(BEN, "Ben"))

    async def tried() -> bool:
        found = result(await ask(gateway, "whatshooked_customer_count"))
        return len(found) == 2 and all("error" in one["metric"] for one in found)

    await until(tried)
    counts = await ask(
        gateway, 'whatshooked_customer_count{hook="crm", state="waiting"}', time="%.3f" % (now := time.time())
    )
    assert counts.json()["data"]["resultType"] == "vector"
    known = {"customer": ANA, "account": "business", "hook": "crm", "state": "waiting"}
    assert result(counts)[0] == {"metric": known | {"name": "Ana", "error": "HTTP 503"}, "value": [round(now, 3), "3"]}
    (since, _) = result(await ask(gateway, "whatshooked_customer_since_ms{}"))
    assert since["metric"] == known
    assert 0 <= now * 1000 - int(since["value"][1]) < 60_000
    asked = {"query": 'whatshooked_customers_count{state="waiting"}'}
    url = gateway.base + "/api/customers/api/v1/query"
    by_address = await gateway.client.get(url, params=asked, headers=key(API_KEY))
    assert [(one["metric"], one["value"][1]) for one in result(by_address)] == [({}, "4")]
    assert [one["value"][1] for one in result(await ask(gateway, "whatshooked_customers"))] == ["2"]
    health = await ask(gateway, "1+1", time="4")
    assert health.json() == {"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}}


async def test_grafana_is_told_what_is_wrong_in_its_own_form(make_gateway: MakeGateway) -> None:
    """What cannot be asked, what was yesterday, who may not ask, and a Redis that is away: with the remedy."""
    gateway = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await gateway.start(workers=0)
    for query in (
        "up",
        "sum(whatshooked_customers)",
        'whatshooked_customers{hook=~"a"}',
        'whatshooked_customers{x="a"}',
        "",
    ):
        answer = await ask(gateway, query)
        assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data"), query
        assert 'hook="' in answer.json()["error"]
    yesterday = await ask(gateway, "whatshooked_customers", time=str(time.time() - 86_400))
    assert (yesterday.status_code, yesterday.json()["errorType"]) == (422, "execution")
    assert "only now" in yesterday.json()["error"]
    stranger = await gateway.client.get(gateway.base + "/api/customers/api/v1/query?query=1%2B1")
    assert (stranger.status_code, stranger.json()["status"]) == (401, "error")
    assert "server.customers_key (WHATSHOOKED_CUSTOMERS_KEY)" in stranger.json()["error"]
    large = await ask(gateway, "whatshooked_customers" + " " * 20_000)
    assert (large.status_code, large.json()["status"]) == (413, "error")


def test_only_what_is_meant_is_understood() -> None:
    """Matchers as Grafana writes them, with quotes and commas in a value; nothing is guessed."""
    assert question("whatshooked_customers") == Question("whatshooked_customers")
    assert question(' whatshooked_customers { hook = "a\\"},b", state="dead",} ') == Question(
        "whatshooked_customers", {"hook": 'a"},b', "state": "dead"}
    )
    for wrong in ('whatshooked_customers{hook!="a"}', 'whatshooked_customers{hook="a', "whatshooked_customers{hook}"):
        with pytest.raises(ValueError, match=r"expected|can be asked"):
            question(wrong)


async def test_a_key_opens_this_and_nothing_else(make_gateway: MakeGateway) -> None:
    """Its holder gets at no text, and gets no free guesses at the other key; a wrong one locks nobody out."""
    server = {"host": "127.0.0.1", "port": 0, "auth_key": API_KEY, "customers_key": KEY}
    gateway = make_gateway(server=server)
    await gateway.start(workers=0)

    async def got(path: str, headers: dict[str, str]) -> int:
        return (await gateway.client.get(gateway.base + path, headers=headers)).status_code

    assert await got("/api/customers", key(KEY)) == 200
    assert await got("/api/customers/api/v1/query?query=1%2B1", key(KEY)) == 200
    assert await got("/api/customers", {"authorization": f"Bearer {KEY}"}) == 401
    for path in ("/api/cache", "/api/messages", "/api/events", "/api/customers/../cache"):
        assert await got(path, key(KEY)) == 401, path
    auth.throttle.passed("127.0.0.1")
    for _ in range(auth.FREE_FAILURES):
        assert await got("/api/customers", key("wrong")) in (401, 429)
        assert await got("/api/customers", key(KEY)) in (200, 429)
    assert await got("/api/customers", key(KEY)) == 429
    assert await got("/api/cache", key(API_KEY)) == 200


async def test_without_other_credentials_the_key_is_wanted_from_afar(make_gateway: MakeGateway) -> None:
    """As the demo has it: here nobody is asked, whoever comes by another name shows the key."""
    gateway = make_gateway(server={"host": "127.0.0.1", "port": 0, "customers_key": KEY})
    await gateway.start(workers=0)
    far = {"host": "web:8080"}
    url = gateway.base + "/api/customers"
    assert (await gateway.client.get(url)).status_code == 200
    assert (await gateway.client.get(url, headers=far)).status_code == 401
    assert (await gateway.client.get(url, headers=far | key(KEY))).status_code == 200
    assert (await gateway.client.get(gateway.base + "/api/cache", headers=far | key(KEY))).status_code == 403


async def test_all_panels_share_one_look(make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks at the same time, or soon after, gets the same look; one that failed as well, and then another."""
    looks = 0

    async def counted(*args: Any) -> Found:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise StreamUnavailable("away")
        return await look(*args)

    monkeypatch.setattr("whatshooked.web.customers.look", counted)
    gateway = make_gateway()
    await gateway.start(workers=0)
    monkeypatch.setattr("whatshooked.web.customers._KEPT", 0.1)
    refused = await ask(gateway, "whatshooked_customers")
    assert (refused.status_code, refused.json()["errorType"]) == (503, "unavailable")
    assert "when it is back" in refused.json()["error"]
    assert (await ask(gateway, "whatshooked_customers")).status_code == 503
    assert looks == 1, "nor is Redis asked all the time while it is away"
    await asyncio.sleep(0.2)
    monkeypatch.setattr("whatshooked.web.customers._KEPT", 60.0)
    answers = await asyncio.gather(*(ask(gateway, "whatshooked_customers") for _ in range(8)))
    assert [one.status_code for one in answers] == [200] * 8
    assert looks == 2
