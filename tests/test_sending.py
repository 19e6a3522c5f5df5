"""The sending loop alone, against the simulator: its pace, leases that end before a send begins, and its last try."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.conftest import Gateway, account
from tests.sends import ANA, arrive
from tests.simulated import SPEED, Meta
from tests.streams import LONG, until
from whatshooked.keys import Keys
from whatshooked.media.store import open_store
from whatshooked.meta.graph import Graph
from whatshooked.meta.send import prepare
from whatshooked.simulator.rules import Rule
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Claimed, Message, Outbox
from whatshooked.stream.refused import RefusedReplies
from whatshooked.stream.submit import entry
from whatshooked.stream.uploads import Uploaded
from workers.outbox import Sending
from workers.throughput import Throughput, a_second
from workers.uploads import Uploads

ACCOUNT = "business"
MakeGateway = Callable[..., Gateway]


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """An outbox under this test's prefix."""
    return Outbox(link, keys)


@pytest.fixture
async def sending(
    make_gateway: MakeGateway, sim: Meta, outbox: Outbox, link: Link, keys: Keys
) -> AsyncIterator[Sending]:
    """The loop, for an account that is the simulator's number and whose first customer has just written."""
    gateway = make_gateway(accounts=[account(phone_number_id=sim.number.id, access_token=sim.token, graph_url=sim.url)])
    gateway.write()
    config, graph = gateway.config, Graph()
    uploads = Uploads(open_store(config.media), graph, Uploaded(link, keys))
    found = Sending(outbox, graph, lambda: config, RefusedReplies(link, keys), Throughput(link, keys), uploads)
    arrive(sim, sim.users[0])
    running = asyncio.create_task(found.run())
    yield found
    found.stopping = True
    await running
    await found.drain(1.0)
    await graph.close()


def _messages(count: int, to: str = ANA) -> list[Message]:
    return [entry(f"m1-{i:x}", prepare({"to": to, "text": f"{i}"}, country_code="1")) for i in range(count)]


async def _sent(sim: Meta, count: int) -> list[Any]:
    """What Meta took, once it is as much."""

    async def enough() -> bool:
        return len(_outgoing(sim)) >= count

    await until(enough)
    return _outgoing(sim)


def _outgoing(sim: Meta) -> list[Any]:
    return [one for one in sim.state.messages.values() if one.outgoing]


async def test_a_claim_says_when_the_number_may_pass_the_next(outbox: Outbox) -> None:
    """Whoever comes back just then gets one more; where the rate keeps nothing back there is nothing to wait for."""

    async def claim(most: int = 10) -> Claimed:
        heads = (await outbox.due([ACCOUNT], 10)).get(ACCOUNT, [])
        return await outbox.claim(ACCOUNT, heads, most=most, a_second=11, lease_ms=LONG)

    messages = [
        entry(f"m1-{i}", prepare({"to": f"+4915112345{i:03d}", "text": "hi"}, country_code="1")) for i in range(3)
    ]
    await outbox.add(ACCOUNT, messages)
    assert (await claim(most=0)).wait_ms == 0
    first = await claim()
    assert len(first.leases) == 1
    assert 50 < first.wait_ms <= 100
    await asyncio.sleep(first.wait_ms / 1000)
    assert len((await claim()).leases) == 1
    await asyncio.sleep(0.11)
    assert (await claim()).wait_ms == 0


async def test_a_number_sends_as_fast_as_it_may(
    sending: Sending, sim: Meta, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker alone reaches the number's rate, not one a tick, and does not pass it."""
    monkeypatch.setattr("workers.throughput.STANDARD", 20)
    monkeypatch.setattr("workers.outbox.TICK", 1.0)
    await outbox.add(ACCOUNT, _messages(21))
    sent = await _sent(sim, 21)
    took = (sent[-1].at - sent[0].at) / SPEED
    assert 0.95 < took < 6.0, "20 messages behind the first, 19 a second"


@pytest.mark.parametrize(
    ("level", "most"), [("STANDARD", 80), ("HIGH", 1000), ("NOT_APPLICABLE", 20), ("", 80), ("BRAND_NEW", 80)]
)
def test_what_a_level_lets_pass(level: str, most: int) -> None:
    """As Meta's page on throughput has it; where nothing is known the standard is safe."""
    assert a_second(level) == most


async def test_an_upgrade_counts_without_a_restart(
    make_gateway: MakeGateway, sim: Meta, outbox: Outbox, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next check of the number learns its level, and a worker that did not ask goes by it too."""
    monkeypatch.setattr("workers.throughput.STANDARD", 4)
    monkeypatch.setattr("workers.throughput._LOOK", 0.1)
    monkeypatch.setattr("workers.accounts._LOOK", 0.1)
    gateway = make_gateway(accounts=[account(phone_number_id=sim.number.id, access_token=sim.token, graph_url=sim.url)])
    gateway.write()
    for _ in range(2):
        await gateway.add_worker()
    arrive(sim, sim.users[0])
    await outbox.add(ACCOUNT, _messages(40))

    async def level(expected: bytes) -> bool:
        return bool(await link.call("HGET", keys.account(ACCOUNT), "throughput") == expected)

    await until(lambda: level(b"STANDARD"))
    await _sent(sim, 2)
    assert len(_outgoing(sim)) < 12
    sim.number.throughput = "HIGH"
    await link.call("DEL", keys.account_check(ACCOUNT))  # its next turn
    await until(lambda: level(b"HIGH"))
    async with asyncio.timeout(3):
        await _sent(sim, 40)


async def test_a_number_that_passes_less_than_graph_says(
    sending: Sending, sim: Meta, outbox: Outbox, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meta refuses message after message for the number's throughput: every worker goes a level slower for a while."""
    monkeypatch.setattr("workers.throughput._REFUSALS", 3)
    monkeypatch.setattr("workers.throughput._LOOK", 0.05)
    other = Throughput(link, keys)
    sim.world.rules.append(
        Rule(fault="error", method="POST", path="*/messages", status=400, code=130429, text="Rate limit hit", count=3)
    )
    await outbox.add(ACCOUNT, _messages(2))
    await _sent(sim, 2)

    async def slower() -> bool:
        await other.look([ACCOUNT])
        return other.of(ACCOUNT) == 20

    await until(slower)
    await other.learn(ACCOUNT, "HIGH")

    async def still() -> bool:
        await other.look([ACCOUNT])
        return other.of(ACCOUNT) == 80

    await until(still)
    assert 0 < await link.call("TTL", keys.account_slower(ACCOUNT)) <= 900


async def test_a_send_does_not_begin_when_its_lease_is_about_to_end(
    sending: Sending, sim: Meta, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stood still: the message goes back into its line, and the try does not count."""
    monkeypatch.setattr("workers.outbox.BEGINS_WITHIN", 0.2)
    claim, leased = outbox.claim, list[Claimed]()

    async def slow(*arguments: Any, **named: Any) -> Claimed:
        found = await claim(*arguments, **named)
        leased.extend([found] * len(found.leases))
        if found.leases and len(leased) == 1:
            await asyncio.sleep(0.3)
        return found

    monkeypatch.setattr(outbox, "claim", slow)
    await outbox.add(ACCOUNT, _messages(1))
    await _sent(sim, 1)
    assert len(leased) == 2

    async def settled() -> bool:
        return (await outbox.counts(ACCOUNT))["sent"] == 1

    await until(settled)
    (record,) = await outbox.page(ACCOUNT)
    assert (record.attempts, len(_outgoing(sim))) == (1, 1)
