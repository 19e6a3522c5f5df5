"""What becomes of accepted messages: statuses as webhooks, their order, their parts, and the knobs that change them."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.receiver import Received
from tests.receiver import status as answer_with
from tests.sends import arrive, named, sent
from tests.simulated import Meta, callback
from whatshooked.simulator.messages import statuses
from whatshooked.simulator.people import inbound
from whatshooked.simulator.world.knobs import Knobs
from whatshooked.simulator.world.model import Message, Number


async def rows(sim: Meta, count: int) -> list[dict[str, Any]]:
    """The statuses that arrived, once they are `count`, in the order in which they were made."""
    order = {status: place for place, status in enumerate(("sent", "delivered", "read", "played", "failed"))}
    return sorted(await sim.items("statuses", count), key=lambda row: order[row["status"]])


async def quiet(sim: Meta, count: int) -> None:
    """Let every status come that could, and see that no more than `count` did."""
    sim.world.clock.advance(60)
    await asyncio.sleep(0.1)
    await sim.world.webhooks.tried()
    assert len(await sim.items("statuses", count)) == count


async def test_row_10_sent_delivered_and_read_come_as_separate_signed_webhooks(sim: Meta) -> None:
    """An accepted message gives three POSTs, each with one status and a right signature."""
    arrive(sim, sim.users[0])
    message_id = await sent(sim)
    found = await rows(sim, 3)
    assert [(row["id"], row["status"]) for row in found] == [(message_id, s) for s in ("sent", "delivered", "read")]
    assert [row["recipient_id"] for row in found] == ["15550100002"] * 3
    assert len(sim.posts()) == 3
    for post in sim.posts():
        digest = hmac.new(sim.secret.encode(), post.body, hashlib.sha256).hexdigest()
        assert post.headers["x-hub-signature-256"] == f"sha256={digest}"


async def test_row_10_statuses_come_on_the_simulated_clock(sim: Meta) -> None:
    """While the clock stands nothing comes; set forward, it brings what was due until then, at once."""
    sim.world.clock.run(0)
    arrive(sim, sim.users[0])
    await sent(sim)
    sim.world.clock.advance(0.7)
    assert [row["status"] for row in await rows(sim, 2)] == ["sent", "delivered"]
    sim.world.clock.advance(3600)
    assert [row["status"] for row in await rows(sim, 3)] == ["sent", "delivered", "read"]


async def test_row_10_a_voice_message_is_played(sim: Meta) -> None:
    """After `read` a voice message is `played`; other audio is not."""
    arrive(sim, sim.users[0])
    link = {"link": "https://example.com/a.ogg"}
    await sent(sim, type="audio", audio=link | {"voice": True})
    assert [row["status"] for row in await rows(sim, 4)] == ["sent", "delivered", "read", "played"]
    await sent(sim, type="audio", audio=link)
    await quiet(sim, 7)


async def test_row_10_no_read_without_receipts(sim: Meta) -> None:
    """A user whose receipts are off gives `sent` and `delivered` only."""
    sim.users[0].receipts = False
    arrive(sim, sim.users[0])
    await sent(sim)
    await quiet(sim, 2)


async def test_row_10_delivered_may_be_skipped(sim: Meta) -> None:
    """With the knob `read` comes without `delivered`, and bears the price instead."""
    sim.world.knobs.delivered_after = None
    arrive(sim, sim.users[0])
    await sent(sim)
    first, read = await rows(sim, 2)
    assert (first["status"], read["status"]) == ("sent", "read")
    assert "pricing" in first
    assert "pricing" in read


async def test_row_10_read_may_overtake_delivered(sim: Meta) -> None:
    """Times are free: `read` comes first when it is due first."""
    sim.world.knobs.read_after, sim.world.knobs.delivered_after = 0.1, 3.0
    sim.world.knobs.sent_after = 1.5
    arrive(sim, sim.users[0])
    message_id = await sent(sim)
    await sim.items("statuses", 3)
    assert sim.state.messages[message_id].statuses == ["read", "sent", "delivered"]


async def test_row_10_webhooks_may_come_twice(sim: Meta) -> None:
    """With every webhook doubled each status arrives twice, as the same value."""
    sim.world.knobs.duplicates = 1.0
    arrive(sim, sim.users[0])
    await sent(sim)
    found = await rows(sim, 6)
    assert found[0::2] == found[1::2]


async def test_row_10_a_message_may_fail_after_it_was_accepted(sim: Meta) -> None:
    """With a code `failed` is all that comes: errors with code, title, message, details; no contacts, no price."""
    sim.world.knobs.fail_code = 131026
    arrive(sim, sim.users[0])
    message_id = await sent(sim)
    (change,) = await sim.changes(1)
    (row,) = change["value"]["statuses"]
    assert (row["id"], row["status"]) == (message_id, "failed")
    (error,) = row["errors"]
    assert (error["code"], error["title"]) == (131026, "Message undeliverable")
    assert error["message"]
    assert error["error_data"]["details"]
    assert "contacts" not in change["value"]
    assert not {"pricing", "conversation", "recipient_user_id"} & set(row)
    await quiet(sim, 1)


async def test_row_10_an_unknown_code_fails_as_well(sim: Meta) -> None:
    """A code that stands in no table is told all the same."""
    sim.world.knobs.fail_code = 999999
    arrive(sim, sim.users[0])
    await sent(sim)
    (row,) = await rows(sim, 1)
    assert row["errors"][0]["code"] == 999999


async def test_row_10_sent_may_come_before_the_answer(sim: Meta) -> None:
    """With the knob the gateway has `sent` in hand before the send is answered."""
    sim.world.clock.run(0)
    sim.world.knobs.status_first = True
    answered = asyncio.Event()
    early: list[bool] = []

    async def slow(request: Received, writer: asyncio.StreamWriter) -> None:
        early.append(not answered.is_set())
        await asyncio.sleep(0.05)
        await answer_with(200)(request, writer)

    sim.receiver.behave = callback(slow)
    arrive(sim, sim.users[0])
    message_id = await sent(sim)
    answered.set()
    assert early == [True]
    (row,) = await rows(sim, 1)
    assert (row["id"], row["status"]) == (message_id, "sent")


async def test_row_10_one_post_may_carry_many(sim: Meta) -> None:
    """Batched, the statuses of several messages come in one POST and one value."""
    sim.world.knobs.batch = 1000
    sim.world.knobs.delivered_after = sim.world.knobs.read_after = None
    arrive(sim, sim.users[0])
    made = [await sent(sim) for _ in range(3)]
    assert {row["id"] for row in await rows(sim, 3)} == set(made)
    assert len(sim.posts()) <= 2


async def test_row_10_messages_and_statuses_may_share_a_post(sim: Meta) -> None:
    """Mixed, a message of the user and a status stand in one value."""
    sim.world.clock.run(0)
    sim.world.knobs.batch, sim.world.knobs.mix = 1000, True
    arrive(sim, sim.users[0])
    message = inbound.message("text", user=sim.users[0], message_id="wamid.in", stamp="1790000000")
    await sent(sim)
    sim.world.clock.advance(0.3)
    sim.world.webhooks.publish(sim.waba, sim.number, "messages", inbound.value(sim.number, sim.users[0], [message]))
    await asyncio.sleep(0.05)
    sim.world.clock.advance(1)
    (change, *_) = await sim.changes(1)
    assert {"messages", "statuses"} <= set(change["value"])


async def test_row_11_a_reaction_is_only_sent(sim: Meta) -> None:
    """A reaction to a message of the user's, and its removal, give `sent` and nothing more."""
    target = arrive(sim, sim.users[0])
    await sent(sim, type="reaction", reaction={"message_id": target, "emoji": "\N{THUMBS UP SIGN}"})
    await quiet(sim, 1)
    await sent(sim, type="reaction", reaction={"message_id": target, "emoji": ""})
    await quiet(sim, 2)
    assert {row["status"] for row in await sim.items("statuses", 2)} == {"sent"}


async def test_row_11_a_reaction_to_nothing_fails(sim: Meta) -> None:
    """A reaction to an unknown message, or to a reaction, is accepted and fails with 131009."""
    target = arrive(sim, sim.users[0])
    reaction = {"message_id": target, "emoji": "\N{THUMBS UP SIGN}"}
    first = await sent(sim, type="reaction", reaction=reaction)
    for message_id in ("wamid.unknown", first):
        await sent(sim, type="reaction", reaction=reaction | {"message_id": message_id})
    found = await rows(sim, 3)
    assert [row["status"] for row in found] == ["sent", "failed", "failed"]
    assert [row["errors"][0]["code"] for row in found[1:]] == [131009, 131009]


async def test_row_11_the_callback_data_comes_back(sim: Meta) -> None:
    """`biz_opaque_callback_data` stands in every status of its message, a failed one too, and in no other's."""
    arrive(sim, sim.users[0])
    await sent(sim, biz_opaque_callback_data="order-77")
    assert [row["biz_opaque_callback_data"] for row in await rows(sim, 3)] == ["order-77"] * 3
    sim.world.knobs.fail_code = 131026
    await sent(sim, biz_opaque_callback_data="order-78")
    await sent(sim)
    failed = (await rows(sim, 5))[3:]
    assert {row.get("biz_opaque_callback_data") for row in failed} == {"order-78", None}


async def test_row_11_pricing_on_sent_and_the_first_after_it(sim: Meta) -> None:
    """`pricing` stands on `sent` and on `delivered`, not on the `read` after it; by the template's category."""
    arrive(sim, sim.users[0])
    await sent(sim)
    first, delivered, read = await rows(sim, 3)
    free = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}
    assert first["pricing"] == delivered["pricing"] == free
    assert "pricing" not in read
    await sent(sim, **named("hello_world", language="en_US"))
    found = [row["pricing"] for row in await rows(sim, 6) if "pricing" in row]
    assert found.count(free | {"billable": True, "type": "regular", "category": "utility"}) == 2


@pytest.mark.parametrize("on", [False, True])
async def test_row_11_conversation_only_in_the_old_mode(sim: Meta, *, on: bool) -> None:
    """`conversation` stands beside `pricing` only with the knob, with an end on `sent` alone."""
    sim.world.knobs.conversation = on
    arrive(sim, sim.users[0])
    await sent(sim)
    first, delivered, read = await rows(sim, 3)
    assert [("conversation" in row) for row in (first, delivered, read)] == [on, on, False]
    if on:
        assert first["conversation"]["id"] == delivered["conversation"]["id"]
        assert first["conversation"]["origin"] == {"type": "service"}
        assert "expiration_timestamp" in first["conversation"]
        assert "expiration_timestamp" not in delivered["conversation"]


async def test_row_11_contacts_stand_beside(sim: Meta) -> None:
    """The user's contact stands beside each status, with the BSUID in both."""
    ana = sim.users[0]
    arrive(sim, ana)
    await sent(sim)
    for change in await sim.changes(3):
        (contact,) = change["value"]["contacts"]
        assert (contact["wa_id"], contact["user_id"]) == (ana.phone, ana.id)
        assert change["value"]["statuses"][0]["recipient_user_id"] == ana.id
        assert change["value"]["metadata"] == {"display_phone_number": "15550100001", "phone_number_id": sim.number.id}


async def test_row_11_a_hidden_phone_is_absent(sim: Meta) -> None:
    """Statuses of a message to a BSUID whose phone nobody sees have no `recipient_id`, a failed one has the BSUID."""
    cem = sim.users[2]
    arrive(sim, cem)
    await sent(sim, to=None, recipient=cem.id)
    for row in await rows(sim, 3):
        assert "recipient_id" not in row
        assert row["recipient_user_id"] == cem.id
    sim.world.knobs.fail_code = 131026
    await sent(sim, to=None, recipient=cem.id)
    assert (await rows(sim, 4))[3]["recipient_user_id"] == cem.id


async def test_row_11_a_groups_statuses_are_aggregated(sim: Meta) -> None:
    """A group message is `sent` once; `delivered` and `read` hold a status of each participant in one webhook."""
    group = "Y2FwaV9ncm91cDo1NTU="
    for user in sim.users[:2]:
        arrive(sim, user, group_id=group)
    message_id = await sent(sim, to=group, recipient_type="group")
    changes = await sim.changes(3)
    found = {one["value"]["statuses"][0]["status"]: one["value"]["statuses"] for one in changes}
    assert [len(found[status]) for status in ("sent", "delivered", "read")] == [1, 2, 2]
    assert "recipient_participant_id" not in found["sent"][0]
    for row, user in zip(found["read"], sim.users, strict=False):
        assert (row["id"], row["recipient_type"], row["recipient_id"]) == (message_id, "group", group)
        assert (row["recipient_participant_id"], row["recipient_participant_user_id"]) == (user.phone, user.id)
    assert found["delivered"][0]["pricing"]["category"] == "group_service"


async def test_one_status_on_command(sim: Meta) -> None:
    """`emit` makes any status of any message at once, also one that Meta no longer has, and tells who watches."""
    sim.world.knobs = Knobs(sent_after=None, delivered_after=None, read_after=None)
    arrive(sim, sim.users[0])
    message = sim.state.messages[await sent(sim)]
    watcher = sim.world.watch()
    statuses.emit(sim.world, sim.number, message, "deleted")
    statuses.emit(sim.world, sim.number, message, "failed")
    assert [row["status"] for row in await sim.items("statuses", 2)] == ["deleted", "failed"]
    told = [await watcher.get(), await watcher.get()]
    assert [news["status"] for news in told if news is not None and news["kind"] == "status"] == ["deleted", "failed"]


def test_the_value_of_a_status_is_pure() -> None:
    """A status can be made without a world; a user who is gone leaves the phone that was dialled."""
    number = Number(id="1", waba_id="2", phone="15550100001", display_phone_number="+1")
    message = Message(
        id="wamid.x", number_id="1", user_id="gone", outgoing=True, at=0, type="text", body={"to": "+1 2"}
    )
    found = statuses.value(number, message, None, "read", "7")
    row = {"id": "wamid.x", "status": "read", "timestamp": "7", "recipient_id": "12"}
    assert found["statuses"] == [row]
    assert "contacts" not in found
    assert json.dumps(found)
