"""Whom it concerns: each fault names the customers whom it touches, and nobody else, within bounds."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.commands import run
from tests.concerned import ANA, BEN, ask, becomes, hasten, key, listed, of, result
from tests.conftest import API_KEY, Gateway, hook
from tests.files import message, of_meta, post, stored
from tests.receiver import Receiver, status
from tests.simulated import Meta
from tests.streams import ENDED, LONG, Rig, until
from whatshooked.keys import GROUP, NEWER, Keys
from whatshooked.meta.reply import Reply
from whatshooked.meta.send import READ, Outgoing
from whatshooked.stream import customers
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Failed, Outbox
from whatshooked.stream.settle import NotTaken, Taken

MakeGateway = Callable[..., Gateway]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for what takes its time, or throttles another."""
    hasten(monkeypatch)


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
    monkeypatch.setattr("whatshooked.stream.look.USUAL", 30.0)
    assert await listed(gateway) == []


async def test_a_hook_that_is_off_concerns_those_who_wrote_meanwhile(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another hook took what they wrote and it is in no cache; who wrote before is left out.

    One that the file has off is meant to be, and concerns nobody.
    """
    idle = hook("idle", receiver.url(), active=False)
    gateway = make_gateway(hook("crm", receiver.url()), hook("log", receiver.url()), idle)
    await gateway.start()
    for place in range(2):
        await gateway.post(of(f"491510000008{place}"))
        await receiver.wait(2 * place + 2)
    switched = await gateway.client.patch(gateway.base + "/api/hooks/crm", json={"active": False}, headers=key(API_KEY))
    assert switched.status_code == 200

    async def is_off() -> bool:
        return [hook.id for hook in gateway.workers[0].hooks.active] == ["log"]

    await until(is_off)
    await gateway.post(of(BEN))
    await receiver.wait(5)
    await becomes(gateway, [(BEN, "crm", "off", 1)])
    # Nobody who wrote before the hook was there; and what is said twice changes nothing.
    await link.call("DEL", keys.taken((await link.call("XRANGE", keys.events, "-", "+", "COUNT", 1))[0][0].decode()))
    await gateway.client.patch(gateway.base + "/api/hooks/crm", json={"active": False}, headers=key(API_KEY))
    await becomes(gateway, [(BEN, "crm", "off", 1)])
    await gateway.client.patch(gateway.base + "/api/hooks/crm", json={"active": True}, headers=key(API_KEY))
    await becomes(gateway, [(BEN, "crm", "off", 1)])  # it will not get that, unless somebody replays it
    event_id = (await link.call("XREVRANGE", keys.events, "+", "-", "COUNT", 1))[0][0].decode()
    replayed = await gateway.api("POST", f"/api/cache/event/replay?id={event_id}&hook=crm")
    assert replayed.is_success, replayed.text
    await becomes(gateway, [])
    with monkeypatch.context() as patched:
        await link.call("SREM", keys.taken(event_id), "crm")
        await becomes(gateway, [(BEN, "crm", "off", 1)])
        patched.setattr("whatshooked.stream.look.RECENT", -1)
        assert await listed(gateway) == [], "of another day"


async def test_what_was_not_read_yet_when_its_hook_was_switched_off_is_told(
    make_gateway: MakeGateway, link: Link, keys: Keys
) -> None:
    """Its workers lag: who wrote before misses it as well. On, off and on again within a day, all of it is told."""
    gateway = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await gateway.start(workers=0)
    rig = Rig(link, keys, "crm")

    async def switch(active: bool) -> None:
        await gateway.api("PATCH", "/api/hooks/crm", json={"active": active})

    await gateway.post(of("4915100000009"))
    await rig.route(await rig.read(), "crm")
    await gateway.post(of(ANA))
    await switch(False)
    await rig.route(await rig.read())
    expected = (ANA, "crm", "off", 1)
    assert expected in await listed(gateway)
    for active in (True, False, True):
        await switch(active)
        await asyncio.sleep(0.01)
        assert [one for one in await listed(gateway) if one[2] == "off"] == [expected], active


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
    monkeypatch.setattr("whatshooked.stream.look.RECENT", -1)
    assert await listed(gateway) == []


async def test_a_file_is_told_of_however_much_came_since(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path, link: Link, keys: Keys
) -> None:
    """What could not be had is written down where it is found out; a file that a replay brings takes it out again."""
    media = {"data_path": str(tmp_path / "files"), "base_url": "https://files.example", "max_wait": 3}
    gateway = make_gateway(hook("h1", receiver.url()), accounts=[of_meta(sim)], media=media)
    await gateway.start()
    damaged = stored(sim, fault="wrong_hash")
    await post(gateway, message(sim, damaged))
    await receiver.wait(1)

    async def is_named() -> bool:
        return [(state, n) for _, _, state, n in await listed(gateway)] == [("no_file", 1)]

    await until(is_named)
    (event_id,) = [row.decode() for row in await link.call("ZRANGE", keys.fileless, 0, -1)]
    await link.call("ZADD", keys.fileless, 1, "1-1")  # of another day: the next finding takes it out
    damaged.fault = ""
    assert (await gateway.api("POST", f"/api/cache/event/replay?id={event_id}&again=true")).is_success
    await becomes(gateway, [])
    assert (await link.call("ZRANGE", keys.fileless, 0, -1)) == [b"1-1"]
    await post(gateway, message(sim, stored(sim, fault="wrong_hash")))
    await until(is_named)
    assert b"1-1" not in await link.call("ZRANGE", keys.fileless, 0, -1)


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


async def test_what_failed_now_is_told_however_long_it_waited_and_whosever_account_it_was(
    make_gateway: MakeGateway, link: Link, keys: Keys
) -> None:
    """A message of two days ago that Meta refuses now; what failed two days ago is over; an account may be gone."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    outbox = Outbox(link, keys)
    for to in (ANA, BEN):
        await gateway.api("POST", "/api/send", json={"to": f"+{to}", "text": "hello"})
    heads = (await outbox.due(["business"], 10))["business"]
    for lease in (await outbox.claim("business", heads, most=10, a_second=80)).leases:
        assert await outbox.settle(lease, Failed(131047, "too late")) == "failed"
    long_ago, failed = int((time.time() - 2 * 86_400) * 1000), keys.outbox("business").of_state("failed")
    for _, message_id in heads:
        await link.call("ZADD", failed, long_ago, message_id)
    assert sorted(await listed(gateway)) == [(to, None, "failed", 1) for to in (ANA, BEN)]
    await link.call("HSET", keys.outbox("business").message(heads[0][1]), "ended", long_ago)
    (left,) = await listed(gateway)
    assert left == (heads[1][0], None, "failed", 1)
    await link.call("SADD", keys.accounts, "gone")
    await link.call("ZADD", keys.outbox("gone").of_state("unknown"), long_ago, "m1-0")
    await link.call("HSET", keys.outbox("gone").message("m1-0"), "to", "4915100000077", "kind", "text")
    assert await listed(gateway, account_id="gone") == [("4915100000077", None, "unknown", 1)]


async def test_what_a_dead_worker_was_sending_and_what_a_hook_asked_to_send_is_unsent(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """A message in its hands, and a hook's answer that nobody has put into an outbox: of now both concern nobody."""
    gateway = make_gateway(hook("crm", receiver.url()))
    await gateway.start(workers=0)
    assert (await gateway.api("POST", "/api/send", json={"to": f"+{ANA}", "text": "hello"})).status_code == 202
    outbox = Outbox(link, keys)
    heads = (await outbox.due(["business"], 10))["business"]
    assert (await outbox.claim("business", heads, most=10, a_second=80)).leases
    rig = Rig(link, keys, "crm")
    await rig.consumer.ensure_group()
    await gateway.post(of(BEN))
    (entry,) = await rig.read()
    await rig.route([entry], "crm")
    asked = (Reply("business", Outgoing(BEN, "text", b"{}", "")), Reply("business", Outgoing("", READ, b"{}", "")))
    assert await rig.settler.record(Taken(entry.id, "crm", msgspec.msgpack.encode(("crm", asked))))
    assert await link.call("HLEN", keys.replies) == 1
    assert await listed(gateway) == [(ANA, None, "unsent", 1), (BEN, "crm", "unsent", 1)]
    await link.call("HSET", keys.replies, "1-1.crm.5", b"of another version")
    assert (customers.UNREADABLE, None, "unsent", 1) in await listed(gateway)


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
