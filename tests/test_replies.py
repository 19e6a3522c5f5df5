"""Replies of hooks, from customer to customer: kept with the delivery, sent once, joined up with their statuses."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Gateway, account, hook
from tests.logged import logged
from tests.receiver import Received, Receiver, status
from tests.simulated import Meta
from tests.streams import until
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.simulator.rules import Rule
from whatshooked.stream import outbox as module
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Lease, Message, Outbox, Outcome, State

MakeGateway = Callable[..., Gateway]
ADD = Outbox.add
ECHO = status(200, b'{"send_message": true, "text": "echo"}')


@pytest.fixture
async def two_way(make_gateway: MakeGateway, receiver: Receiver, sim: Meta) -> Gateway:
    """A gateway whose account is the simulator's number, and whose hook answers "echo" to what customers write."""
    return await _two_way(make_gateway, receiver, sim)


async def _two_way(make_gateway: MakeGateway, receiver: Receiver, sim: Meta, **api: Any) -> Gateway:
    receiver.behave = _only_messages
    known: dict[str, Any] = {"phone_number_id": sim.number.id, "access_token": sim.token, "app_secret": sim.secret}
    found = make_gateway(hook("h1", receiver.url()), accounts=[account(**known, graph_url=sim.url, **api)])
    await found.start()
    assert sim.app.subscription is not None
    sim.app.subscription.callback_url = f"{found.base}/webhooks/whatsapp/business"
    return found


async def _only_messages(request: Received, writer: asyncio.StreamWriter) -> None:
    behave = ECHO if request.event == "message.received" else status(200)
    await behave(request, writer)


async def _writes(sim: Meta, text: str = "hello", **more: Any) -> str:
    """A customer writes."""
    answer = await sim.control("POST", "inbound", json={"kind": "text", "text": text, "from": sim.users[0].id} | more)
    return str(answer["message_id"])


def _sent(sim: Meta) -> list[Any]:
    """What Meta has taken from us."""
    return [one for one in sim.state.messages.values() if one.outgoing]


def _statuses_come_late(sim: Meta) -> None:
    """No status before the clock is set forward."""
    sim.world.knobs.sent_after = 600.0
    sim.world.knobs.delivered_after = sim.world.knobs.read_after = None


async def _until_sent(sim: Meta, count: int) -> list[Any]:
    async def enough() -> bool:
        return len(_sent(sim)) >= count

    await until(enough)
    return _sent(sim)


async def _in_state(outbox: Outbox, state: State, count: int = 1) -> list[module.Record]:
    async def enough() -> bool:
        return len(await outbox.page("business", state)) >= count

    await until(enough)
    return await outbox.page("business", state)


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """The gateway's own outbox."""
    return Outbox(link, keys)


async def test_an_answer_goes_to_the_sender(two_way: Gateway, sim: Meta, receiver: Receiver) -> None:
    """The customer gets the echo, its ticks come back as events that name the reply and what it answers."""
    await _writes(sim)
    (message,) = await _until_sent(sim, 1)
    assert (message.user_id, message.body["text"]) == (sim.users[0].id, {"body": "echo"})
    for event in ("message.sent", "message.delivered", "message.read"):
        (told,) = await receiver.wait(1, event=event)
        data = told.json["data"]
        (asked,) = receiver.of("message.received")
        assert data["cause"] == asked.json["event_id"]
        assert data["outbox_id"].startswith(f"{data['cause']}.h1.")
        assert "callback_data" not in data
        assert data["message_id"] == message.id


async def test_the_record_follows_the_message(two_way: Gateway, sim: Meta, outbox: Outbox) -> None:
    """The outbox knows the message's wamid and how far it came."""
    await _writes(sim)
    (message,) = await _until_sent(sim, 1)

    async def read() -> bool:
        return any(one.status == "read" for one in await outbox.page("business", "sent"))

    await until(read)
    (record,) = await outbox.page("business", "sent")
    assert (record.wamid, record.hook, record.attempts) == (message.id, "h1", 1)
    assert sorted(record.times) == ["delivered", "read", "sent"]


async def test_a_bot_that_always_answers_does_not_talk_to_itself(
    two_way: Gateway, sim: Meta, receiver: Receiver
) -> None:
    """Statuses of a reply ask for replies as well: none of them is sent."""
    receiver.behave = ECHO
    await _writes(sim)
    await receiver.wait(1, event="message.read")
    await asyncio.sleep(0.3)
    assert len(_sent(sim)) == 1


@pytest.mark.parametrize("fault", ["hang_after", "reset_after"])
async def test_what_nobody_knows_is_settled_by_its_status(
    two_way: Gateway, sim: Meta, outbox: Outbox, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meta took the message and its answer never came: it is not sent again, and its first status settles it."""
    monkeypatch.setattr("workers.outbox.TIMEOUT", 0.5)
    _statuses_come_late(sim)
    sim.world.rules.append(Rule(fault=fault, method="POST", path="*/messages", seconds=2.0))
    await _writes(sim)
    (record,) = await _in_state(outbox, "unknown")
    assert await outbox.counts("business") == {"new": 0, "sending": 0, "sent": 0, "failed": 0, "unknown": 1}
    sim.world.clock.advance(600)
    (settled,) = await _in_state(outbox, "sent")
    assert settled.id == record.id
    assert len(_sent(sim)) == 1


async def test_resend_sends_what_nobody_knows_again(
    make_gateway: MakeGateway, receiver: Receiver, sim: Meta, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `on_unknown: resend` none is missing, at the price of one twice."""
    monkeypatch.setattr("workers.outbox.TIMEOUT", 0.5)
    await _two_way(make_gateway, receiver, sim, on_unknown="resend")
    _statuses_come_late(sim)
    sim.world.rules.append(Rule(fault="hang_after", method="POST", path="*/messages", seconds=2.0))
    await _writes(sim)
    assert len(await _until_sent(sim, 2)) == 2
    (record,) = await _in_state(outbox, "sent")
    assert record.attempts == 2


async def test_meta_out_of_order_is_waited_out(two_way: Gateway, sim: Meta, outbox: Outbox) -> None:
    """Errors that Meta says will pass, and a connection refused before anything was sent, cost nothing but time."""
    sim.world.rules.append(Rule(fault="error_131016", method="POST", path="*/messages", count=1))
    await _writes(sim)
    (message,) = await _until_sent(sim, 1)
    (record,) = await _in_state(outbox, "sent")
    assert (record.attempts, record.wamid) == (2, message.id)


async def test_a_closed_window_is_a_clear_failure(two_way: Gateway, sim: Meta, outbox: Outbox) -> None:
    """What Meta refuses for good is failed at once, with its code."""
    rule = Rule(fault="error", method="POST", path="*/messages", status=400, code=131047, text="Re-engagement message")
    sim.world.rules.append(rule)
    await _writes(sim)
    (record,) = await _in_state(outbox, "failed")
    assert (record.code, record.attempts) == (131047, 1)
    assert "Re-engagement message" in record.error


async def test_a_bad_token_pauses_the_account(
    two_way: Gateway, sim: Meta, outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost while the token is bad: the account waits, is called disconnected, and goes on by itself."""
    monkeypatch.setattr("workers.accounts._LOOK", 0.1)
    monkeypatch.setattr("workers.accounts.EVERY_FAILED", 1.0)
    two_way.document["hooks"][0]["events"] = ["message.*", "whatsapp.*"]
    two_way.write()
    for worker in two_way.workers:
        worker.reload()
    await until(lambda: _told(receiver, "whatsapp.connected"))
    sim.state.tokens[sim.token].invalidated = 460
    await _writes(sim)

    async def held() -> bool:
        return bool(await outbox.held("business"))

    await until(held)
    await _writes(sim)
    await until(lambda: _told(receiver, "whatsapp.disconnected"))
    assert not _sent(sim)
    sim.state.tokens[sim.token].invalidated = 0
    assert len(await _until_sent(sim, 2)) == 2


async def test_a_token_that_is_refused_for_messages_alone(
    two_way: Gateway, sim: Meta, outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check passes and each send is refused: tries come ever later, with one line and one event per change."""
    monkeypatch.setattr("workers.accounts._LOOK", 0.05)
    for name, ms in (("FIRST_PAUSE_MS", 150), ("LONGEST_PAUSE_MS", 600), ("LAID_TO_MS", 1_500)):
        monkeypatch.setattr(module, name, ms)
    two_way.document["hooks"][0]["events"] = ["message.*", "whatsapp.*"]
    two_way.write()
    for worker in two_way.workers:
        worker.reload()
    await until(lambda: _told(receiver, "whatsapp.connected"))
    refusal = Rule(fault="error", method="POST", path="*/messages", status=401, code=190, text="token", count=0)
    sim.world.rules.append(refusal)
    with logged() as log:
        await _writes(sim)
        await until(lambda: _told(receiver, "whatsapp.disconnected"))
        await asyncio.sleep(3.0)
        assert 3 <= refusal.seen <= 12, "at once, and after about 1, 1.15, 1.3, 1.6 s and so on"
        assert len(log.holding("Failed to connect client")) == 1
        assert len(log.holding("The account sends again")) == 1
        sim.world.rules.clear()
        await _until_sent(sim, 1)

        async def connected() -> bool:
            return len(receiver.of("whatsapp.connected")) == 2

        await until(connected)
        assert len(log.holding("Business API client connected")) == 1
    assert [one.event for one in receiver.received if one.event.startswith("whatsapp.")] == [
        "whatsapp.connected",
        "whatsapp.disconnected",
        "whatsapp.connected",
    ]


async def _told(receiver: Receiver, event: str) -> bool:
    return bool(receiver.of(event))


async def test_an_unusable_reply_loses_nothing(two_way: Gateway, sim: Meta, receiver: Receiver) -> None:
    """The event counts as taken, nothing is sent, and the next reply goes its way."""
    receiver.behave = status(200, b'{"send_message": true, "text": "a", "account_id": "nobody"}')
    await _writes(sim)
    await receiver.wait(1, event="message.received")
    await two_way.cached(0)
    receiver.behave = ECHO
    await _writes(sim)
    assert len(await _until_sent(sim, 1)) == 1


async def test_an_answer_may_ask_for_several(two_way: Gateway, sim: Meta, receiver: Receiver) -> None:
    """A list is sent in its order, and may quote."""
    wanted = [{"send_message": True, "text": f"{i}", "reply": i == 0} for i in range(4)]
    answers = iter([status(200, json.dumps(wanted).encode())])

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await next(answers, status(200))(request, writer)

    receiver.behave = behave
    message_id = await _writes(sim)
    sent = await _until_sent(sim, 4)
    assert [one.body["text"]["body"] for one in sent] == ["0", "1", "2", "3"]
    assert sent[0].body["context"]["message_id"] == message_id


async def test_replies_wait_while_nobody_sends(
    two_way: Gateway, sim: Meta, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ends between the delivery's record and the send: another one sends the reply."""

    async def none(*_: object) -> list[tuple[str, bytes]]:
        return []

    monkeypatch.setattr(Outbox, "replies", none)
    await _writes(sim)

    async def kept() -> bool:
        return bool(await link.call("HLEN", keys.replies))

    await until(kept)
    await two_way.stop_workers()
    assert not _sent(sim)
    monkeypatch.undo()
    await two_way.add_worker()
    assert len(await _until_sent(sim, 1)) == 1
    assert not await link.call("HLEN", keys.replies)


async def test_every_reply_is_found(link: Link, keys: Keys, outbox: Outbox) -> None:
    """Where thousands wait, those at the front go first and must not hide the rest."""
    names = {f"{number}-0.h1.1" for number in range(8_000)}
    await link.call("HSET", keys.replies, *(part for name in names for part in (name, b"x" * 100)))
    found: set[str] = set()
    while rows := await outbox.replies(100):
        await outbox.moved([name for name, _ in rows])
        found |= {name for name, _ in rows}
    assert found == names


async def test_a_reply_that_cannot_be_read_stops_nobody(
    two_way: Gateway, sim: Meta, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """A version that we do not know wrote it: it is said and left, and everything else goes on."""
    with logged() as log:
        await link.call("HSET", keys.replies, "1-1.h1.1", b"\xc1")
        for count in (1, 2):
            await _writes(sim)
            await _until_sent(sim, count)
    assert await link.call("HKEYS", keys.replies) == [b"1-1.h1.1"]
    assert len(log.holding("A reply cannot be read")) == 1


async def test_a_full_redis_is_emptied(
    two_way: Gateway, sim: Meta, outbox: Outbox, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no reply into the outbox then: what is there already must leave it all the same."""
    await _writes(sim)
    await _until_sent(sim, 1)
    user = sim.users[0].phone
    body = b'{"messaging_product":"whatsapp","to":"+%b","type":"text","text":{"body":"x"}}' % user.encode()

    async def full(*_: object, **__: object) -> None:
        raise StreamUnavailable("OOM command not allowed")

    with monkeypatch.context() as patched:
        patched.setattr("whatshooked.stream.outbox.Outbox.add", full)
        await _writes(sim)

        async def kept() -> bool:
            return bool(await link.call("HLEN", keys.replies))

        await until(kept)
        await ADD(outbox, "business", [Message(id="m1-0", recipient=user, kind="text", body=body)])
        await _until_sent(sim, 2)
    await _until_sent(sim, 3)


async def test_an_outcome_is_recorded_to_the_last(
    two_way: Gateway, sim: Meta, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is told to stop while Redis is away: what Meta answered is written down once it is back."""
    settle, away = Outbox.settle, True

    async def settled(self: Outbox, lease: Lease, result: Outcome) -> State | None:
        if away:
            raise StreamUnavailable("away")
        return await settle(self, lease, result)

    monkeypatch.setattr(Outbox, "settle", settled)
    await _writes(sim)
    await _until_sent(sim, 1)
    stopped = asyncio.create_task(two_way.stop_workers())
    await asyncio.sleep(0.6)
    assert not stopped.done()
    away = False
    await stopped
    assert [one.state for one in await outbox.page("business")] == ["sent"]


async def test_the_log_names_no_customer(two_way: Gateway, sim: Meta, outbox: Outbox) -> None:
    """Meta's refusal may quote the number that a message is for."""
    phone = sim.users[0].phone
    rule = Rule(fault="error", method="POST", path="*/messages", status=400, code=131009, text=f"(to) +{phone} is odd")
    sim.world.rules.append(rule)
    with logged() as log:
        await _writes(sim)
        await _in_state(outbox, "failed")
        await until(lambda: _said(log.lines, "Message refused"))
    assert not log.holding(phone)
    assert log.holding(" is odd")


async def _said(lines: list[str], text: str) -> bool:
    return any(text in line for line in lines)
