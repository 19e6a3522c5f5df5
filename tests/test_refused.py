"""Replies that nobody sends: counted, logged, and shown with the event and the hook whose answer asked for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import meta
from tests.commands import run
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status
from tests.streams import Rig, until
from whatshooked import metrics
from whatshooked.keys import Keys
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Outbox
from whatshooked.stream.refused import MOST, RefusedReplies
from whatshooked.stream.settle import Taken

NOBODY = b'{"send_message": true, "text": "a", "account_id": "nobody"}'
WHY = "account_id: no account that can send has this id"


@pytest.fixture
def refused(link: Link, keys: Keys) -> RefusedReplies:
    """What an operator looks at."""
    return RefusedReplies(link, keys)


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with one hook."""
    return Rig(link, keys, "h1")


async def _listed(gateway: Gateway, count: int, query: str = "") -> list[dict[str, Any]]:
    """The list, once it has as many."""
    found: list[dict[str, Any]] = []

    async def enough() -> bool:
        answer = await gateway.api("GET", f"/api/messages/refused{query}")
        assert answer.status_code == 200, answer.text
        found[:] = answer.json()["refused"]
        return len(found) >= count

    await until(enough)
    return found


async def test_a_reply_that_cannot_be_used_is_shown_with_its_attempt(gateway: Gateway, receiver: Receiver) -> None:
    """Event, hook, time and reason stand in the list; the event itself is taken and has left the cache."""
    receiver.behave = status(200, NOBODY)
    counter = metrics.REPLIES.labels("h1", "unusable")
    before = counter._value.get()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (one,) = await _listed(gateway, 1)
    (asked,) = await receiver.wait(1)
    assert one.pop("at").endswith("Z")
    assert one == {"event_id": asked.json["event_id"], "hook_id": "h1", "kind": "unusable", "reason": WHY}
    await gateway.cached(0)
    assert counter._value.get() == before + 1
    assert (await gateway.api("GET", "/api/messages/refused?hook_id=h2")).json() == {"refused": []}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"send_message": true, "text": "' + b"x" * 66_000 + b'"}', "the answer has over 65536 bytes"),
        (b"{'send_message': true, 'text': 'a'}", "the answer asks to send but is no JSON"),
        (b'{"send_message": true}', "type: missing"),
    ],
)
async def test_every_kind_of_unusable_answer_is_shown(
    gateway: Gateway, receiver: Receiver, answer: bytes, why: str
) -> None:
    """Too large, no JSON, nothing to send: each with its own reason."""
    receiver.behave = status(200, answer)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (one,) = await _listed(gateway, 1)
    assert one["reason"].startswith(why)


async def test_the_cache_shows_it_while_the_event_is_there(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """Another hook has yet to take the event: its view names the reply that the first one's answer did not get."""
    async with Receiver() as failing:
        failing.behave = status(503)
        receiver.behave = status(200, NOBODY)
        gateway = make_gateway(hook("h1", receiver.url()), hook("h2", failing.url()))
        await gateway.start()
        await gateway.post(meta.webhook(meta.value(meta.text())))
        await _listed(gateway, 1)
        (event,) = await gateway.cached(1)
        assert event["hooks"].keys() == {"h2"}
        assert event["refused"]["h1"]["reason"] == WHY
        said = await run("cache", "list", "-c", str(gateway.path))
        assert f"h1:reply refused({WHY})" in said.out


async def test_a_circular_reply_is_shown(gateway: Gateway, receiver: Receiver) -> None:
    """A hook answers the status of a reply's message: that is no fault of its form, and is told apart."""
    receiver.behave = status(200, b'{"send_message": true, "text": "echo"}')
    mark = {"biz_opaque_callback_data": "wh:1790000000000-0.h1.1790000000001.0"}
    await gateway.post(meta.webhook(meta.value(statuses=[meta.status(**mark)])))
    (one,) = await _listed(gateway, 1)
    assert (one["kind"], one["hook_id"]) == ("circular", "h1")
    said = await run("messages", "refused", "-c", str(gateway.path))
    assert (said.code, one["event_id"] in said.out, "circular" in said.out) == (0, True, True)
    said = await run("messages", "refused", "--json", "--hook", "h1", "-c", str(gateway.path))
    assert json.loads(said.out) == one


async def test_the_lists_are_bounded(rig: Rig, refused: RefusedReplies) -> None:
    """The newest stay; what is circular, however much it is, pushes out nothing that is unusable."""
    ids = [event_id for _ in range(9) for event_id in await rig.routed("h1", count=60)]
    for event_id in ids:
        assert await rig.settler.record(Taken(event_id, "h1", refusal=f"unusable|{event_id}"))
    assert [one.reason for one in reversed(await refused.newest())] == ids[-MOST:]
    for event_id in [event_id for _ in range(2) for event_id in await rig.routed("h1", count=55)]:
        await rig.settler.record(Taken(event_id, "h1", refusal="circular|x"))
    found = await refused.newest(MOST + 200)
    assert [sum(one.kind == kind for one in found) for kind in ("unusable", "circular")] == [MOST, 100]


async def test_one_batch_tells_replies_from_refusals(rig: Rig, refused: RefusedReplies, link: Link, keys: Keys) -> None:
    """Kept, refused and neither, settled in one step: each comes out as what it was, and once."""
    kept, none, bad = await rig.routed("h1", count=3)
    outcomes = [Taken(kept, "h1", b"reply"), Taken(none, "h1"), Taken(bad, "h1", refusal="unusable|a|b\nc")]
    assert all([await future for future in [rig.settler.record(one) for one in outcomes]])
    (reply,) = await Outbox(link, keys).replies(10)
    assert (reply[0].startswith(f"{kept}.h1."), reply[1]) == (True, b"reply")
    assert [(one.event_id, one.reason) for one in await refused.newest()] == [(bad, "a|b\nc")]
    await rig.settler.record(outcomes[2])
    assert len(await refused.newest()) == 1
    await rig.operator.replay([bad], hook_id="h1")
    await rig.settler.record(outcomes[2])
    assert len(await refused.newest()) == 1
    assert await rig.examine() == []


async def test_replies_that_nobody_moves_are_bounded(rig: Rig, refused: RefusedReplies, link: Link, keys: Keys) -> None:
    """A hook gone wild fills no Redis: beyond a hundred thousand that wait its replies are refused, and shown."""
    counter = metrics.OUTBOX_REFUSED.labels("", "replies")
    before = counter._value.get()
    await link.call("HSET", keys.replies, *(part for n in range(100_000) for part in (f"{n}-0.h1.1", "x")))
    (event_id,) = await rig.routed("h1")
    assert await rig.settler.record(Taken(event_id, "h1", b"reply"))
    assert await link.call("HLEN", keys.replies) == 100_000
    (one,) = await refused.newest()
    assert (one.event_id, one.kind, "too many replies" in one.reason) == (event_id, "unusable", True)
    assert counter._value.get() == before + 1


async def test_a_strange_list_stops_no_delivery(rig: Rig, refused: RefusedReplies, link: Link, keys: Keys) -> None:
    """Somebody else wrote there, or a version that we do not know: deliveries settle, and what can be read is shown."""
    await link.call("SET", keys.refused("unusable"), "x")
    bad, good = await rig.routed("h1", count=2)
    assert await rig.settler.record(Taken(bad, "h1", refusal="unusable|a"))
    await link.call("DEL", keys.refused("unusable"))
    assert await rig.settler.record(Taken(good, "h1", refusal="unusable|b"))
    await link.call("LPUSH", keys.refused("unusable"), b"\xc1")
    assert [one.event_id for one in await refused.newest()] == [good]
    assert await rig.cached() == []
