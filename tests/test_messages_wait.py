"""The send API over time: idempotency keys, waiting for Meta's answer, and a message's whole way."""

import asyncio
import re
import time
from collections.abc import Callable

import pytest

from tests.asking import ANA, TEXT, ask, fault, send, settled, shown, taken
from tests.commands import set_up, simulated_account
from tests.conftest import API_KEY, Gateway
from tests.sends import arrive
from tests.simulated import Meta
from tests.streams import until
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.simulator.rules import Rule
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Again, Failed, Outbox, Sent, Unknown

MakeGateway = Callable[..., Gateway]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
async def web(make_gateway: MakeGateway) -> Gateway:
    """The web app of one account, without a worker: what is taken stays new."""
    found = make_gateway()
    await found.start(workers=0)
    return found


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """The gateway's own outbox, to play the worker."""
    return Outbox(link, keys)


@pytest.fixture
async def two_way(make_gateway: MakeGateway, sim: Meta) -> Gateway:
    """A gateway with a worker whose account is the simulator's number; its first user has just written."""
    found = make_gateway(accounts=[simulated_account(sim)])
    await set_up(found, sim)
    await found.add_worker()
    arrive(sim, sim.users[0])
    return found


async def test_the_same_key_is_the_same_message(web: Gateway, outbox: Outbox) -> None:
    """Asked twice, or ten times at once, it is put in once; the answer has its id, says so, and its state of now."""
    first = await send(web, key="order 17!")
    assert "idempotency-replayed" not in first.headers
    many = await asyncio.gather(*(send(web, key="order 17!") for _ in range(10)))
    assert {one.status_code for one in many} == {202}
    assert {one.json()["id"] for one in many} == {first.json()["id"]}
    assert {one.headers["idempotency-replayed"] for one in many} == {"true"}
    at_once = await asyncio.gather(*(send(web, key="order 18!") for _ in range(10)))
    assert len({one.json()["id"] for one in at_once}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in at_once) == 1
    assert (await outbox.counts("business"))["new"] == 2
    await settled(outbox, Sent("wamid.1"))
    again = await send(web, key="order 17!")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert (again.json()["state"], again.json()["message_id"]) == ("sent", "wamid.1")


async def test_a_key_of_another_message_is_refused(web: Gateway, outbox: Outbox) -> None:
    """Another text, recipient or callback data is a 409; a form that comes to the same body is the same message."""
    await taken(web, key="k")
    body = {"account_id": "business", "to": f"+{ANA}", "type": "text", "text": {"body": "Hello"}}
    assert (await ask(web, "messages", body, key="k")).headers["idempotency-replayed"] == "true"
    for other in ({"text": "Bye"}, {"to": "+4915112345679"}, {"biz_opaque_callback_data": "x"}):
        assert fault(await send(web, TEXT | other, key="k"), 409)["code"] == "key_reused"
    assert (await outbox.counts("business"))["new"] == 1


async def test_a_key_that_is_none_is_refused(web: Gateway) -> None:
    """Empty, too long, or not of printable characters."""
    for key in ("", "x" * 256, "caf\u00e9", "a\tb"):
        headers = {"x-api-key": API_KEY, "idempotency-key": key.encode()}
        answer = await web.client.post(f"{web.base}/api/send", json=TEXT, headers=headers)  # type: ignore[arg-type] # bytes
        assert fault(answer, 400)["code"] == "bad_key"
    assert (await send(web, key="x" * 255)).status_code == 202


async def test_a_wait_ends_with_the_answer(web: Gateway, outbox: Outbox) -> None:
    """Sent, refused and unknown are a 200 with the whole record, soon after it is known; a retry is waited out."""
    for outcome, state, retry in (
        (Sent("wamid.1"), "sent", None),
        (Failed(131047, "Re-engagement message"), "failed", "never"),
        (Failed(131000, "Something went wrong"), "failed", "few"),
        (Unknown("no answer"), "unknown", None),
    ):
        asking = asyncio.create_task(send(web, query="?wait=10"))
        await until(lambda: _any_due(outbox))
        await settled(outbox, Again(0, "later", 131016))
        await settled(outbox, outcome)
        since = time.monotonic()
        answer = await asking
        assert time.monotonic() - since < 1.0
        found = answer.json()
        assert (answer.status_code, found["state"], found["attempts"], found["to"]) == (200, state, 2, ANA)
        if state == "failed":
            assert (found["code"], found["retry"], bool(found["hint"])) == (outcome.code, retry, True)  # type: ignore[union-attr] # Failed


async def _any_due(outbox: Outbox) -> bool:
    return bool(await outbox.due(["business"], 1))


async def test_a_wait_without_an_answer_is_a_202(web: Gateway) -> None:
    """After the seconds asked for, and no sooner; more than thirty, fewer than none and no number are refused."""
    since = time.monotonic()
    answer = await send(web, query="?wait=0.3")
    assert 0.3 <= time.monotonic() - since < 3
    assert (answer.status_code, answer.json()["state"]) == (202, "new")
    for wrong in ("31", "-1", "soon", "nan"):
        fault(await send(web, query=f"?wait={wrong}"), 400)


async def test_a_redis_that_is_away_says_whether_to_ask_again(make_gateway: MakeGateway) -> None:
    """503, and with a key the advice is to ask again, without one to look first."""
    web = make_gateway()
    web.url = "redis://127.0.0.1:1/0"
    await web.start(workers=0)
    for key, advice in (("k", "ask again with the same Idempotency-Key"), (None, "may have been taken")):
        error = fault(await send(web, key=key), 503)
        assert (error["code"], advice in error["hint"]) == ("unavailable", True)
    fault(await web.api("GET", "/api/messages"), 503)
    assert fault(await send(web, {"to": ANA}), 422)["faults"]


async def test_a_redis_that_goes_while_waited_for_leaves_a_202(web: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is in the outbox: a 503 would make its sender ask again. Whoever repeats a key gets the 503."""

    async def away(*_: object) -> None:
        raise StreamUnavailable("gone")

    monkeypatch.setattr(Outbox, "get", away)
    answer = await send(web, query="?wait=5", key="k")
    assert (answer.status_code, answer.json()["state"]) == (202, "new")
    fault(await send(web, key="k"), 503)


async def test_a_message_s_whole_way(two_way: Gateway, sim: Meta) -> None:
    """Asked for by the API, sent by the worker, taken by Meta, read by the customer: the record shows each step."""
    request = {"to": sim.users[0].phone, "text": "Hello", "biz_opaque_callback_data": "order-17"}
    answer = await ask(two_way, "messages", request, "?wait=10", key="k")
    found = answer.json()
    assert (answer.status_code, found["state"], found["attempts"]) == (200, "sent", 1)
    ((message,)) = [one for one in sim.state.messages.values() if one.outgoing]
    assert (message.id, message.body["text"]) == (found["message_id"], {"body": "Hello"})
    assert message.body["biz_opaque_callback_data"] == f"wh:{found['id']}|order-17"

    async def read() -> bool:
        return bool((await shown(two_way, found["id"]))["status"] == "read")

    await until(read)
    found = await shown(two_way, found["id"])
    assert (found["state"], list(found["times"]), found["callback_data"]) == (
        "sent",
        ["sent", "delivered", "read"],
        "order-17",
    )
    assert all(TIME.fullmatch(at) for at in found["times"].values())
    again = await ask(two_way, "messages", request, key="k")
    assert (again.status_code, again.json()) == (200, found)


async def test_what_meta_refuses_is_told_to_who_waits(two_way: Gateway, sim: Meta) -> None:
    """A closed window comes back with Meta's code, its reason, that a retry is in vain, and what to do."""
    answer = await send(two_way, {"to": sim.users[1].phone, "text": "Hello"}, "?wait=10")
    found = answer.json()
    assert (answer.status_code, found["state"], found["code"], found["retry"]) == (200, "failed", 131047, "never")
    assert "template" in found["hint"]


async def test_a_mark_as_read_and_what_nobody_knows(
    two_way: Gateway, sim: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark as read is sent like any other; a send that hangs is unknown, and once more on demand it is sent."""
    monkeypatch.setattr("workers.outbox.TIMEOUT", 0.3)
    sim.world.knobs.sent_after = sim.world.knobs.delivered_after = sim.world.knobs.read_after = None
    inbound = arrive(sim, sim.users[0])
    answer = await ask(two_way, "messages", {"status": "read", "message_id": inbound}, "?wait=10")
    assert (answer.status_code, answer.json()["state"], answer.json()["to"]) == (200, "sent", None)
    sim.world.rules.append(Rule(fault="hang_after", method="POST", path="*/messages", seconds=1.0, count=1))
    answer = await send(two_way, {"to": sim.users[0].phone, "text": "Hello"}, "?wait=10")
    message_id = answer.json()["id"]
    assert (answer.status_code, answer.json()["state"]) == (200, "unknown")
    page = (await two_way.api("GET", "/api/messages?state=unknown")).json()
    assert [one["id"] for one in page["messages"]] == [message_id]
    await two_way.api("POST", f"/api/messages/{message_id}/resend")

    async def sent() -> bool:
        return bool((await shown(two_way, message_id))["state"] == "sent")

    await until(sent)
    assert len([one for one in sim.state.messages.values() if one.outgoing]) == 2
