"""Whom it concerns: each fault names the customers whom it touches, and nobody else; as JSON, to Grafana, in bounds."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from tests import meta
from tests.commands import run
from tests.conftest import API_KEY, Gateway, hook
from tests.files import message, of_meta, post, stored
from tests.receiver import Receiver, status
from tests.simulated import Meta
from tests.streams import ENDED, LONG, Rig, until
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import GROUP, NEWER, Keys
from whatshooked.stream import customers
from whatshooked.stream.link import Link
from whatshooked.stream.settle import NotTaken
from whatshooked.web import auth, instant
from whatshooked.web.instant import Question, question

MakeGateway = Callable[..., Gateway]
KEY = "customers-key-of-the-tests"
ANA, BEN = "4915100000001", "4915100000002"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits concerns somebody from its first moment on, each question is a look, no test throttles another."""
    monkeypatch.setattr("whatshooked.stream.customers.USUAL", 0.0)
    monkeypatch.setattr("whatshooked.web.customers._KEPT", 0.0)
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


async def becomes(gateway: Gateway, wanted: list[tuple[str, str | None, str, int]]) -> None:
    """Wait until exactly these are listed, in this order."""

    async def is_so() -> bool:
        return await listed(gateway) == wanted

    await until(is_so)


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


async def test_before_anything_came_in_nobody_is_concerned(make_gateway: MakeGateway) -> None:
    """Not even the consumer group is needed, and a figure is 0, not empty."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    answer = await gateway.api("GET", "/api/customers")
    assert answer.json() == {"customers": [], "complete": True}
    assert answer.headers["cache-control"] == "no-store"
    assert result(await ask(gateway, "whatshooked_customer_count")) == []
    assert [one["value"][1] for one in result(await ask(gateway, "whatshooked_customers"))] == ["0"]


async def test_a_hook_that_fails_concerns_those_whom_it_did_not_take(
    make_gateway: MakeGateway, receiver: Receiver
) -> None:
    """With name, number of events, since when and why; another hook took them, and concerns nobody."""
    async with Receiver() as well:
        gateway = make_gateway(hook("crm", receiver.url()), hook("log", well.url()))
        await gateway.start()
        await gateway.post(of("4915100000009", "Zoe"))
        await receiver.wait(1)
        receiver.behave = status(503)
        await gateway.post(of(ANA, "Ana \u202eSilva\n", count=2))
        await gateway.post(of(BEN, "Ben"))
        await becomes(gateway, [(ANA, "crm", "waiting", 2), (BEN, "crm", "waiting", 1)])

        async def told() -> bool:
            return all(one["error"] for one in await whole())

        async def whole() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await gateway.api("GET", "/api/customers")).json()["customers"]
            return found

        await until(told)
        first, second = await whole()
        assert (first["name"], first["account_id"], first["error"]) == ("Ana Silva", "business", "HTTP 503")
        assert first["since"] <= second["since"]
        assert await listed(gateway, hook="log") == []
        assert await listed(gateway, state="waiting", account_id="business", hook="crm", limit="1") == [
            (ANA, "crm", "waiting", 2)
        ]
        receiver.behave = status(200)
        await gateway.api("POST", "/api/cache/replay")
        await becomes(gateway, [])


async def test_what_no_worker_has_read_or_routed_is_unread(make_gateway: MakeGateway, link: Link, keys: Keys) -> None:
    """Without a worker, and with one that died after it had read."""
    gateway = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await gateway.start(workers=0)
    await gateway.post(of(ANA))
    await Rig(link, keys, "crm").read()
    await gateway.post(of(BEN))
    assert await listed(gateway) == [(ANA, None, "unread", 1), (BEN, None, "unread", 1)]


async def test_what_is_on_its_way_concerns_nobody(
    make_gateway: MakeGateway, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event, read or not, or a message that came a moment ago; and everybody once the moment is over."""
    gateway = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await gateway.start(workers=0)
    rig = Rig(link, keys, "crm")
    await gateway.post(of(ANA))
    await rig.route(await rig.read(), "crm")
    await gateway.post(of(BEN))
    await gateway.api("POST", "/api/send", json={"to": f"+{BEN}", "text": "hello"})
    assert len(await listed(gateway)) == 3
    monkeypatch.setattr(customers, "USUAL", 30.0)
    assert await listed(gateway) == []


async def test_a_hook_that_is_off_concerns_those_who_wrote_meanwhile(
    make_gateway: MakeGateway, receiver: Receiver
) -> None:
    """Though another hook took what they wrote and it is in no cache; who wrote before is left out.

    One that the file has off is meant to be, and concerns nobody.
    """
    idle = hook("idle", receiver.url(), active=False)
    gateway = make_gateway(hook("crm", receiver.url()), hook("log", receiver.url()), idle)
    await gateway.start()
    await gateway.post(of("4915100000009"))
    await receiver.wait(2)
    switched = await gateway.client.patch(gateway.base + "/api/hooks/crm", json={"active": False}, headers=key(API_KEY))
    assert switched.status_code == 200

    async def is_off() -> bool:
        return [hook.id for hook in gateway.workers[0].hooks.active] == ["log"]

    await until(is_off)
    await gateway.post(of(BEN))
    await receiver.wait(3)
    await becomes(gateway, [(BEN, "crm", "off", 1)])
    await gateway.client.patch(gateway.base + "/api/hooks/crm", json={"active": True}, headers=key(API_KEY))
    await becomes(gateway, [])


async def test_what_was_given_up_and_what_killed_its_worker(make_gateway: MakeGateway, link: Link, keys: Keys) -> None:
    """`dead` and `poison`; what no hook wants concerns nobody."""
    gateway = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await gateway.start(workers=0)
    rig = Rig(link, keys, "crm")
    await rig.consumer.ensure_group()
    await gateway.post(of("4915100000009"))
    await rig.route(await rig.read())
    await gateway.post(of(ANA))
    (entry,) = await rig.read()
    now = (await rig.route([entry], "crm")).now
    assert await rig.settler.record(NotTaken(entry.id, "crm", now + LONG, "dead", status=503, error="HTTP 503"))
    await gateway.post(of(BEN))
    await rig.route(await rig.read(), "crm", lease=ENDED)
    for _ in range(10):
        if (await rig.claim("crm", lease=ENDED)).poisoned:
            break
    assert await listed(gateway) == [(ANA, "crm", "dead", 1), (BEN, "crm", "poison", 1)]


async def test_an_entry_that_nobody_can_read_is_somebody_s(make_gateway: MakeGateway, link: Link, keys: Keys) -> None:
    """It is not passed over in silence, nor when a worker left it to one of a newer version."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    await link.call("XADD", keys.events, "1000-1", "e", b"no entry of ours")
    assert await listed(gateway) == [(customers.UNREADABLE, None, "unread", 1)]
    await link.call("XGROUP", "DESTROY", keys.events, GROUP)  # as before any worker came
    assert await listed(gateway) == [(customers.UNREADABLE, None, "unread", 1)]
    await link.call("XGROUP", "CREATE", keys.events, GROUP, "0")
    await link.call("XREADGROUP", "GROUP", GROUP, f"{NEWER}2", "STREAMS", keys.events, ">")
    assert await listed(gateway) == [(customers.UNREADABLE, None, "unread", 1)]


async def test_a_file_that_could_not_be_had_concerns_who_sent_it(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after all hooks have taken the message without it; a file that came, or long ago, concerns nobody."""
    media = {"data_path": str(tmp_path / "files"), "base_url": "https://files.example", "max_wait": 3}
    gateway = make_gateway(hook("h1", receiver.url()), accounts=[of_meta(sim)], media=media)
    await gateway.start()
    await post(gateway, message(sim, stored(sim)))
    await post(gateway, message(sim, stored(sim, fault="wrong_hash")))
    await receiver.wait(2)

    async def is_named() -> bool:
        return [(hook, state, n) for _, hook, state, n in await listed(gateway)] == [(None, "no_file", 1)]

    await until(is_named)
    monkeypatch.setattr(customers, "RECENT", -1)
    assert await listed(gateway) == []


async def test_messages_that_were_not_sent_concern_their_recipients(
    make_gateway: MakeGateway, receiver: Receiver
) -> None:
    """Without a worker nothing is sent; a receipt that a message was read is no message."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    for body in (
        {"to": f"+{ANA}", "text": "hello"},
        {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1"},
    ):
        assert (await gateway.api("POST", "/api/messages", json=body)).status_code == 202
    assert await listed(gateway) == [(ANA, None, "unsent", 1)]


async def test_the_command_tells_the_same(make_gateway: MakeGateway) -> None:
    """A line each, or JSON for machines; nobody is said as such."""
    gateway = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await gateway.start(workers=0)
    await gateway.post(of(ANA, "Ana Silva", count=2))
    config = ("-c", str(gateway.path))
    told = await run("customers", *config)
    assert re.fullmatch(rf"{ANA}    business     2 unread since \S+Z  Ana Silva\n", told.out), told.out
    for state in get_args(customers.State):
        machines = await run("customers", *config, "--json", "--state", state)
        assert machines.code == 0
        assert [json.loads(line)["customer"] for line in machines.out.splitlines()] == [ANA] * (state == "unread")
    nobody = await run("customers", *config, "--hook", "crm")
    assert (nobody.out, nobody.err) == ("", "nobody\n")
    assert (await gateway.api("GET", "/api/customers?state=lost")).status_code == 400


async def test_one_look_is_bounded_and_says_so(
    make_gateway: MakeGateway, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever bound is met; in Grafana a panel says so beside its data."""
    gateway = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await gateway.start(workers=0)
    rig = Rig(link, keys, "crm")
    for n in range(4):
        await gateway.post(of(f"491510000010{n}"))
    await rig.route(await rig.read(), "crm", leased=False)
    for n in range(4):
        await gateway.post(of(f"491510000020{n}"))
        await gateway.api("POST", "/api/send", json={"to": f"491510000030{n}", "text": "hello"})
    whole = await listed(gateway)
    assert (await gateway.api("GET", "/api/customers")).json()["complete"]
    assert "warnings" not in (await ask(gateway, "whatshooked_customers")).json()
    for bound in ("OWED", "LISTED", "UNREAD", "MESSAGES"):
        with monkeypatch.context() as patched:
            patched.setattr(customers, bound, 3)
            assert not (await gateway.api("GET", "/api/customers")).json()["complete"], bound
            assert "warnings" in (await ask(gateway, "whatshooked_customers")).json()
            fewer = await listed(gateway)
            assert len(fewer) == len(whole) - 1 and set(fewer) < set(whole)
    monkeypatch.setattr(instant, "MOST", 5)
    answer = await ask(gateway, "whatshooked_customer_count")
    assert [one["metric"]["customer"] for one in result(answer)] == [one[0] for one in whole[:5]]
    assert answer.json()["warnings"] == ["5 of 12 shown, who has waited longest first"]


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
        assert "hook=" in answer.json()["error"]
    yesterday = await ask(gateway, "whatshooked_customers", time=str(time.time() - 86_400))
    assert (yesterday.status_code, yesterday.json()["errorType"]) == (422, "execution")
    assert "only now" in yesterday.json()["error"]
    stranger = await gateway.client.get(gateway.base + "/api/customers/api/v1/query?query=1%2B1")
    assert (stranger.status_code, stranger.json()["status"]) == (401, "error")
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
    """Who asks at the same time, or soon after, gets the same look; one that failed is none."""
    monkeypatch.setattr("whatshooked.web.customers._KEPT", 60.0)
    looks = 0
    real = customers.Customers.look

    async def counted(self: customers.Customers, config: Any) -> customers.Found:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise StreamUnavailable("away")
        return await real(self, config)

    monkeypatch.setattr(customers.Customers, "look", counted)
    gateway = make_gateway()
    await gateway.start(workers=0)
    refused = await ask(gateway, "whatshooked_customers")
    assert (refused.status_code, refused.json()["errorType"]) == (503, "unavailable")
    assert "when it is back" in refused.json()["error"]
    answers = await asyncio.gather(*(ask(gateway, "whatshooked_customers") for _ in range(8)))
    assert [one.status_code for one in answers] == [200] * 8
    assert looks == 2
