"""What /metrics says of outgoing messages: how long they take, how many stand where, and which accounts are paused."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.conftest import Gateway, account
from tests.sends import ANA, arrive
from tests.simulated import Meta
from tests.streams import until
from whatshooked.keys import Keys
from whatshooked.meta.send import prepare
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Message, Outbox, Sent, Told
from whatshooked.stream.submit import entry

MakeGateway = Callable[..., Gateway]


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """An outbox under this test's prefix."""
    return Outbox(link, keys)


def _timed(name: str, what: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"whatshooked_{name}_seconds_{what}", labels) or 0.0


async def _metrics(web: Gateway) -> dict[str, float]:
    """The samples of /metrics."""
    text = (await web.client.get(f"{web.base}/metrics")).text
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


async def test_the_time_to_each_step_is_measured_once(outbox: Outbox) -> None:
    """By Meta's own time, from when it was put in; a status that comes again, or without a time, adds nothing."""
    (_, delivered), (_, read) = before = [
        (status, _timed("status", "count", status=status)) for status in ("delivered", "read")
    ]
    seconds = _timed("status", "sum", status="delivered")
    await outbox.add("a", [Message(id="m1", recipient=ANA, kind="text", body=b"{}")])
    (lease,) = (await outbox.claim("a", (await outbox.due(["a"], 1))["a"], most=1, a_second=9_999)).leases
    await outbox.settle(lease, Sent("wamid.1"))
    at = lease.message.at
    for status, ms in (("delivered", at + 4_000), ("delivered", at + 9_000), ("read", 0), ("sent", at), ("odd", at)):
        await outbox.statuses([Told("a", "m1", status, ms, {})])
    await outbox.statuses([Told("a", "gone", "delivered", at, {})])
    assert [_timed("status", "count", status=status) for status, _ in before] == [delivered + 1, read]
    assert _timed("status", "sum", status="delivered") == seconds + 4.0


async def test_a_message_on_its_way_is_seen_in_the_metrics(
    make_gateway: MakeGateway, sim: Meta, outbox: Outbox
) -> None:
    """Accepted, delivered and read are measured, and where the messages stand is asked of Redis, whoever sent them."""
    known: dict[str, Any] = {"phone_number_id": sim.number.id, "access_token": sim.token, "app_secret": sim.secret}
    gateway = make_gateway(accounts=[account(**known, graph_url=sim.url), account(2, "shop")])
    await gateway.start()
    assert sim.app.subscription is not None
    sim.app.subscription.callback_url = f"{gateway.base}/webhooks/whatsapp/business"
    counts = {name: _timed("status", "count", status=name) for name in ("delivered", "read")}
    accepted = _timed("send", "count")
    arrive(sim, sim.users[0])
    await outbox.add("business", [entry("m1-a", prepare({"to": ANA, "text": "hi"}, country_code="1"))])

    async def is_read() -> bool:
        return all(_timed("status", "count", status=name) == count + 1 for name, count in counts.items())

    await until(is_read)
    assert _timed("send", "count") == accepted + 1
    found = await _metrics(gateway)
    assert found['whatshooked_outbox_messages{account="business",state="sent"}'] == 1
    assert found['whatshooked_outbox_messages{account="shop",state="unknown"}'] == 0


async def test_failures_are_counted_by_code(outbox: Outbox) -> None:
    """Also those that Meta tells later, once each; a code that is none of Meta's makes no metric of its own."""

    def counted(code: str) -> float:
        return REGISTRY.get_sample_value("whatshooked_messages_refused_total", {"code": code}) or 0.0

    before = {code: counted(code) for code in ("131026", "0", "other")}
    for n, code in enumerate(("131026", "", "9" * 30)):
        await outbox.add("a", [Message(id=f"m{n}", recipient=f"{ANA}{n}", kind="text", body=b"{}")])
        for _ in range(2):
            await outbox.statuses([Told("a", f"m{n}", "failed", 1, {"code": code} if code else {})])
    assert {code: counted(code) - count for code, count in before.items()} == dict.fromkeys(before, 1)


async def test_paused_accounts_and_unknown_messages_are_gauges(
    make_gateway: MakeGateway, link: Link, keys: Keys
) -> None:
    """As Redis has it at this moment: both go down again by themselves."""
    gateway = make_gateway(accounts=[account(), account(2, "shop")])
    await gateway.start(workers=0)
    paused, unknown = (
        'whatshooked_account_paused{account="shop"}',
        'whatshooked_outbox_messages{account="shop",state="unknown"}',
    )
    await link.call("SET", keys.outbox("shop").hold, "Meta asked for patience: x")
    await link.call("ZADD", keys.outbox("shop").of_state("unknown"), 1, "m1")
    found = await _metrics(gateway)
    assert (found[paused], found[unknown]) == (1, 1)
    assert found['whatshooked_account_paused{account="business"}'] == 0
    await link.call("DEL", keys.outbox("shop").hold, keys.outbox("shop").of_state("unknown"))
    found = await _metrics(gateway)
    assert (found[paused], found[unknown]) == (0, 0)
