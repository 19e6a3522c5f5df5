"""Accounts live: what is said before an account stops working, or when it has fallen silent."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.graph import BAD_TOKEN, Graph
from tests.logged import logged
from tests.receiver import Receiver
from tests.simulated import Meta, simulated
from whatshooked import events, scrape
from whatshooked.config import Account, Config
from whatshooked.config import BusinessApi as Api
from whatshooked.events import Event
from whatshooked.keys import Keys
from whatshooked.meta import graph
from whatshooked.metrics import facts
from whatshooked.metrics.facts import Fact
from whatshooked.scrape import of_config
from whatshooked.stream.link import Link
from whatshooked.stream.standing import Standing
from workers import accounts, outlook
from workers.outlook import Outlook
from workers.traffic import BUSY, Traffic, silence

HOUR = 497_000
DAY = 86_400


@pytest.fixture
async def sim() -> AsyncIterator[Meta]:
    async with simulated() as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[graph.Graph]:
    found = graph.Graph()
    yield found
    await found.close()


def simulated_account(sim: Meta, version: str = "v25.0") -> Account:
    api = Api(
        phone_number_id=sim.number.id,
        access_token=sim.token,
        verify_token="v",
        graph_url=sim.url,
        api_version=version,
    )
    return Account(id="shop", type="business-api", phone_number="+1", business_api=api)


async def shown(link: Link, keys: Keys, sim: Meta, fact: Fact, version: str = "v25.0") -> float | None:
    """What a scrape of any process shows of the account; None when nobody knows."""
    config = Config(path=Path("config.json"), whatsapp=(simulated_account(sim, version),))
    found = [*await Standing(link, keys, lambda: config).look(), *of_config(config)]
    return next((one.value for one in found if one.fact == fact and one.labels == ("shop",)), None)


def message(account_id: str = "shop", type_: str = "message.received") -> Event:
    return Event(events.ENTRY_VERSION, type_, account_id, b"{}")


def busy(hour: int, *, weeks: bool = False) -> dict[int, int]:
    """Ten messages in each hour until three hours ago, for a day or for eight."""
    return {hour - ago: 10 for ago in range(4, 8 * 24 if weeks else 30)}


def test_silence_is_suspicious_only_where_it_is_unusual() -> None:
    """The same hours of yesterday were busy, and those of last week too where they are known."""
    assert silence(busy(HOUR), HOUR) == 4
    assert silence(busy(HOUR, weeks=True), HOUR) == 4
    assert silence({}, HOUR) == 0
    assert silence(busy(HOUR) | {HOUR - 2: 1}, HOUR) == 0
    assert silence(busy(HOUR) | {HOUR: 1}, HOUR) == 0
    yesterday = {HOUR - 24 - ago for ago in (1, 2, 3)}
    quiet = {hour: BUSY // 10 if hour in yesterday else count for hour, count in busy(HOUR).items()}
    assert silence(quiet, HOUR) == 0
    sunday = {hour: 0 if HOUR - 7 * 24 - 4 < hour < HOUR - 7 * 24 else 10 for hour in busy(HOUR, weeks=True)}
    assert silence(sunday, HOUR) == 0


async def test_workers_count_together_and_forget(link: Link, keys: Keys) -> None:
    """Messages that come in are counted by all workers; statuses are not; what is older than 8 days goes."""
    one, two = Traffic(link, keys), Traffic(link, keys)
    for traffic in (one, two):
        for event in (message(), message(), message(type_="message.read"), message("other")):
            traffic.saw(event)
        await traffic.flush()
    await one.flush()
    key, hour = keys.account_traffic("shop"), int(time.time()) // 3600
    assert (await link.call("HVALS", key)) == [b"4"]
    assert 0 < await link.call("TTL", key) <= 8 * DAY
    await link.call("HSET", key, str(hour - 200), 5)
    assert await one.silent("shop") == 0
    assert await link.call("HLEN", key) == 1


async def test_counts_outlive_an_outage(link: Link, keys: Keys) -> None:
    """What Redis did not take is counted at the next time."""
    async with Link("redis://127.0.0.1:9") as away:
        traffic = Traffic(away, keys)
        traffic.saw(message())
        with pytest.raises(Exception, match="Redis"):
            await traffic.flush()
    traffic._link = link
    await traffic.flush()
    assert await link.call("HVALS", keys.account_traffic("shop")) == [b"1"]


async def test_silence_is_said_once(link: Link, keys: Keys, sim: Meta, client: graph.Graph) -> None:
    """A busy number without a message for hours: one warning that names doctor, and a metric; said anew after talk."""
    traffic = Traffic(link, keys)
    look = Outlook(link, keys, client, traffic)
    hour = int(time.time()) // 3600
    rows = [part for name, count in busy(hour).items() for part in (str(name), count)]
    await link.call("HSET", keys.account_traffic("shop"), *rows)
    with logged() as log:
        for _ in range(3):
            await look.listen(simulated_account(sim))
        assert await shown(link, keys, sim, facts.SILENT_HOURS) == 4
        traffic.saw(message())
        await traffic.flush()
        await look.listen(simulated_account(sim))
    (said,) = log.of(logging.WARNING)
    assert "No message on a number that is busy at this hour account_id=shop hours=4" in said
    assert "whatshooked doctor" in said
    assert await shown(link, keys, sim, facts.SILENT_HOURS) == 0


async def test_a_token_that_ends_soon_is_said_once(link: Link, keys: Keys, sim: Meta, client: graph.Graph) -> None:
    """Two weeks before, and again as it comes nearer; Meta is asked once an hour by all workers together."""
    sim.state.tokens[sim.token].expires_at = int(time.time() + 10 * DAY)
    workers = [Outlook(link, keys, client, Traffic(link, keys)) for _ in range(2)]
    with logged() as log:
        for worker in (workers[0], workers[0], workers[1]):
            await worker.look(simulated_account(sim))
        assert sum("debug_token" in one.path for one in sim.world.calls) == 1
        assert len(log.of(logging.WARNING)) == 2  # each worker's own log
        sim.state.tokens[sim.token].expires_at = int(time.time() + 2 * DAY)
        await link.call("HDEL", keys.account("shop"), "token_asked")
        await workers[0].look(simulated_account(sim))
    said = log.of(logging.WARNING)
    assert "Access token expires soon account_id=shop days_left=10.0" in said[0]
    assert "days_left=2.0" in said[2]
    assert await shown(link, keys, sim, facts.TOKEN_DAYS) == pytest.approx(2, abs=0.1)
    assert not log.holding(sim.token)


async def test_another_token_is_asked_about_at_once(link: Link, keys: Keys, sim: Meta, client: graph.Graph) -> None:
    """The end of the one that was replaced is not shown for another hour."""
    sim.state.tokens[sim.token].expires_at = int(time.time() + DAY)
    look = Outlook(link, keys, client, Traffic(link, keys))
    await look.look(simulated_account(sim))
    assert await shown(link, keys, sim, facts.TOKEN_DAYS) == pytest.approx(1, abs=0.1)
    old = simulated_account(sim)
    assert old.business_api is not None
    gone = msgspec.structs.replace(old.business_api, access_token="a token that Meta does not know")
    await look.look(msgspec.structs.replace(old, business_api=gone))
    assert await shown(link, keys, sim, facts.TOKEN_DAYS) is None
    await look.look(simulated_account(sim))
    assert await shown(link, keys, sim, facts.TOKEN_DAYS) == pytest.approx(1, abs=0.1)


async def test_a_token_without_end_is_infinite(link: Link, keys: Keys, sim: Meta, client: graph.Graph) -> None:
    """Nothing is said, and the metric says that no alarm is needed."""
    with logged() as log:
        await Outlook(link, keys, client, Traffic(link, keys)).look(simulated_account(sim))
    assert await shown(link, keys, sim, facts.TOKEN_DAYS) == float("inf")
    assert not log.of(logging.WARNING)


async def test_a_version_that_comes_to_its_end(
    link: Link, keys: Keys, sim: Meta, client: graph.Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that runs for months says it when 90 days are left; at start the config's own warning did."""
    left = [200]
    monkeypatch.setattr(outlook, "days_of_version", lambda *_: left[-1])
    look = Outlook(link, keys, client, Traffic(link, keys))
    with logged() as log:
        for days in (200, 90, 89, 0):
            left.append(days)
            await look.look(simulated_account(sim))
        await Outlook(link, keys, client, Traffic(link, keys)).look(simulated_account(sim))
    soon, over = log.of(logging.WARNING)
    assert "Graph API version ends soon" in soon and "days_left=90" in soon
    assert "Graph API version is retired" in over
    monkeypatch.setattr(scrape, "days_of_version", lambda *_: left[-1])
    assert await shown(link, keys, sim, facts.VERSION_DAYS) == 0


async def test_a_worker_counts_what_it_reads(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook's message stands in its account's count within a look of the credentials loop."""
    monkeypatch.setattr(accounts, "_LOOK", 0.05)
    gateway = make_gateway(hook("h1", receiver.url()))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text(), meta.text())))
    await receiver.wait(2)
    async with asyncio.timeout(10):
        while await link.call("HVALS", keys.account_traffic("business")) != [b"2"]:
            await asyncio.sleep(0.02)


async def test_metas_own_trouble_does_not_disconnect(
    make_gateway: Callable[..., Gateway], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 says nothing of the credentials: told only when it lasts; a refused token is told at once."""
    monkeypatch.setattr(accounts, "EVERY", 1.0)
    monkeypatch.setattr(accounts, "EVERY_FAILED", 1.0)
    monkeypatch.setattr(accounts, "_LOOK", 0.1)
    async with Graph() as played:
        gateway = make_gateway(
            hook("h1", receiver.url(), events=["whatsapp.*"]), accounts=[account(1, graph_url=played.url)]
        )
        await gateway.start()
        await receiver.wait(1, event="whatsapp.connected")
        played.answers[meta.number_id(1)] = (503, "down")
        before = played.asked.count(meta.number_id(1))
        await played.receiver.wait(before + 1)
        played.answers.clear()
        await played.receiver.wait(before + 3)
        assert not receiver.of("whatsapp.disconnected")
        played.answers[meta.number_id(1)] = BAD_TOKEN
        await receiver.wait(1, event="whatsapp.disconnected")
