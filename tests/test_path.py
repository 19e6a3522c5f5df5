"""The main path in one breath: a webhook goes in, the hook gets it, and what no hook took can be replayed."""

from collections.abc import Callable

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status


async def test_a_signed_text_reaches_the_hook_as_the_contract_says(gateway: Gateway, receiver: Receiver) -> None:
    """One POST in, one POST out, with the flat payload, the query parameters and our headers."""
    body = meta.webhook(meta.value(message := meta.text("Hello World")))
    assert (await gateway.post(body)).status_code == 200
    (got,) = await receiver.wait(1)
    assert got.query == {"event": "message.received", "account_id": "business"}
    assert got.json["text"] == "Hello World"
    assert got.json["message_id"] == message["id"]
    assert got.headers["webhook-id"] == f"{got.json['event_id']}.h1"
    assert int(got.headers["webhook-timestamp"]) > 0
    await gateway.cached(0)


async def test_a_redelivery_is_not_delivered_twice(gateway: Gateway, receiver: Receiver) -> None:
    """The same body twice is one event."""
    body = meta.webhook(meta.value(meta.text()))
    assert (await gateway.post(body)).status_code == 200
    assert (await gateway.post(body)).status_code == 200
    last = meta.webhook(meta.value(meta.text("last")))
    await gateway.post(last)
    got = await receiver.wait(2)
    assert [one.json["text"] for one in got] == ["hello", "last"]


async def test_what_no_hook_took_is_replayed_by_id(make_gateway: Callable[..., Gateway], receiver: Receiver) -> None:
    """An event that came while the hook was off is cached, and leaves the cache when it is replayed."""
    gateway = make_gateway(hook("h1", receiver.url(), active=False))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("later"))))
    (cached,) = await gateway.cached(1, state="unmatched")
    assert (await gateway.api("PATCH", "/api/hooks/h1", json={"active": True})).json()["active"] is True
    answer = await gateway.api("POST", f"/api/cache/event/replay?id={cached['id']}")
    assert answer.json() == {"replayed": 1}
    (got,) = await receiver.wait(1)
    assert got.json["text"] == "later"
    assert got.headers["webhook-replay"] == "true"
    await gateway.cached(0)


async def test_a_failing_hook_is_tried_again(gateway: Gateway, receiver: Receiver) -> None:
    """A 503 is retried after about three seconds with the same webhook-id."""
    receiver.behave = status(503)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (first,) = await receiver.wait(1)
    receiver.behave = status(200)
    _, second = await receiver.wait(2)
    assert 2.3 < second.at - first.at < 4.5
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    await gateway.cached(0)
