"""The check of each account's credentials against a Graph played on loopback."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.graph import BAD_TOKEN, UNKNOWN_NUMBER, Graph
from tests.logged import Logged, logged
from tests.receiver import Receiver
from workers import accounts

TOKEN = "planted-access-token"


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with Graph() as found:
        yield found


async def line(log: Logged, text: str, count: int = 1) -> list[str]:
    """Return the lines that hold a text once there are so many; raises TimeoutError."""
    async with asyncio.timeout(10):
        while len(found := log.holding(text)) < count:
            await asyncio.sleep(0.02)
    return found


async def test_two_workers_tell_a_connected_account_once(
    make_gateway: Callable[..., Gateway], receiver: Receiver, graph: Graph
) -> None:
    """One line, one event, one look at the number and one at its token, with the token sent."""
    accounts_ = [account(1, access_token=TOKEN, graph_url=graph.url, api_version="v25.0")]
    gateway = make_gateway(hook("h1", receiver.url(), events=["whatsapp.*"]), accounts=accounts_)
    with logged() as log:
        await gateway.start(workers=2)
        (got,) = await receiver.wait(1)
        (shown,) = await line(log, "Business API client connected")
        await gateway.cached(0)
        await gateway.stop_workers()
    assert shown.endswith(f"INFO  Business API client connected account_id=business phone=+{meta.PHONE}")
    data = {
        "account_id": "business",
        "phone_number": "+49 30 111000",
        "verified_name": "Shop",
        "quality_rating": "GREEN",
    }
    assert got.event == "whatsapp.connected"
    assert got.json["data"] == data
    asked, *about_token = graph.receiver.received
    assert [one.target.partition("?")[0] for one in about_token] == ["/v25.0/debug_token"]
    assert asked.target.startswith(f"/v25.0/{meta.number_id(1)}?fields=")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("answer", "code", "hint"), [(UNKNOWN_NUMBER, 100, "phone_number_id"), (BAD_TOKEN, 190, "token")]
)
async def test_a_refused_account_is_told_with_its_cause(
    make_gateway: Callable[..., Gateway],
    receiver: Receiver,
    graph: Graph,
    answer: tuple[int, object],
    code: int,
    hint: str,
) -> None:
    """One ERROR line and whatsapp.disconnected, both with the hint; another account and the intake go on."""
    graph.answers[meta.number_id(1)] = answer
    both = [account(n, id_, access_token=TOKEN, graph_url=graph.url) for n, id_ in ((1, "bad"), (2, "good"))]
    gateway = make_gateway(hook("h1", receiver.url(), events=["whatsapp.*", "message.*"]), accounts=both)
    with logged(logging.DEBUG) as log:
        await gateway.start()
        (shown,) = await line(log, "Failed to connect client")
        await line(log, "Business API client connected account_id=good")
        assert (await gateway.post(meta.webhook(meta.value(meta.text())), "bad")).status_code == 200
        await receiver.wait(1, event="message.received")
        (got,) = await receiver.wait(1, event="whatsapp.disconnected")
    assert f'account_id=bad error="API returned status {answer[0]}: {{' in shown
    assert hint in shown.partition("hint=")[2]
    assert (got.json["data"]["account_id"], got.json["data"]["code"]) == ("bad", code)
    assert hint in got.json["data"]["hint"]
    assert not log.holding(TOKEN)


async def test_an_account_that_comes_back_is_told(
    make_gateway: Callable[..., Gateway], receiver: Receiver, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, refused, accepted: one disconnected, one connected."""
    monkeypatch.setattr(accounts, "EVERY_FAILED", 1.0)
    monkeypatch.setattr(accounts, "_LOOK", 0.1)
    graph.answers[meta.number_id(1)] = BAD_TOKEN
    gateway = make_gateway(
        hook("h1", receiver.url(), events=["whatsapp.*"]), accounts=[account(1, graph_url=graph.url)]
    )
    await gateway.start()
    await graph.receiver.wait(2)
    graph.answers.clear()
    await receiver.wait(1, event="whatsapp.connected")
    await gateway.cached(0)
    assert [one.event for one in receiver.received] == ["whatsapp.disconnected", "whatsapp.connected"]


@pytest.mark.parametrize("token", ["tök-planted", "planted\u2028x", "planted\nx", " planted", "planted\x00"])
async def test_an_odd_token_harms_nobody(
    make_gateway: Callable[..., Gateway], receiver: Receiver, graph: Graph, token: str
) -> None:
    """A token that fits no header is that account's fault alone: said, and the worker goes on."""
    both = [account(1, "odd", access_token=token, graph_url=graph.url), account(2, "good", graph_url=graph.url)]
    gateway = make_gateway(hook("h1", receiver.url()), accounts=both)
    with logged(logging.DEBUG) as log:
        await gateway.start()
        await line(log, "Business API client connected account_id=good")
        await gateway.post(meta.webhook(meta.value(meta.text())), "odd")
        await receiver.wait(1)
        assert not log.holding("A loop of the worker ended")
        assert not log.holding("planted")


async def test_a_graph_that_answers_nonsense(
    make_gateway: Callable[..., Gateway], receiver: Receiver, graph: Graph
) -> None:
    """Neither a list, nor a 500 without JSON, nor an error of odd types ends the checks."""
    graph.answers = {
        meta.number_id(1): (200, [1]),
        meta.number_id(2): (500, "oops"),
        meta.number_id(3): (400, {"error": {"code": "x", "message": None}}),
        meta.number_id(4): (400, {"error": 5}),
    }
    five = [account(n, f"a{n}", graph_url=graph.url) for n in range(1, 6)]
    gateway = make_gateway(hook("h1", receiver.url()), accounts=five)
    with logged() as log:
        await gateway.start()
        await line(log, "Business API client connected account_id=a5")
        await line(log, "Failed to connect client", 4)
