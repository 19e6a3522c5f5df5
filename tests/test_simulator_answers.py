"""What the simulator answers to a send, what watchers see of it, and read marks."""

import base64
import json
from typing import Any

from tests.sends import ANA, arrive, made, named, refused, send, sent, words
from tests.simulated import Meta
from whatshooked.simulator.messages import conversations
from whatshooked.simulator.world.model import Number


async def test_row_08_the_answer_echoes_and_normalises(sim: Meta) -> None:
    """`input` comes back as it was sent, `wa_id` is digits, the id is a fresh wamid; no `message_status` for a text."""
    arrive(sim, sim.users[0])
    found = await send(sim)
    assert found["messaging_product"] == "whatsapp"
    assert found["contacts"] == [{"input": ANA, "wa_id": "15550100002"}]
    assert list(found["messages"][0]) == ["id"]
    assert base64.b64decode(found["messages"][0]["id"].removeprefix("wamid."))[3:14] == b"15550100002"
    assert (await send(sim))["messages"] != found["messages"]


async def test_row_08_the_answer_names_the_user_as_asked(sim: Meta) -> None:
    """`user_id` comes only when the send named a BSUID, `wa_id` only when it named a phone, both when both."""
    ana, _, cem = sim.users
    arrive(sim, ana)
    arrive(sim, cem)
    by_id = await send(sim, to=None, recipient=cem.id)
    assert by_id["contacts"] == [{"input": cem.id, "user_id": cem.id}]
    both = await send(sim, recipient=ana.id)
    assert both["contacts"] == [{"input": ANA, "wa_id": ana.phone, "user_id": ana.id}]


async def test_row_08_only_templates_have_a_message_status(sim: Meta) -> None:
    """The answer to a template says `accepted`."""
    found = await send(sim, **named("hello_world", language="en_US"))
    assert found["messages"][0]["message_status"] == "accepted"


async def test_row_08_an_unknown_context_is_tolerated(sim: Meta) -> None:
    """A reply to a message that nobody knows is sent, and stands in what watchers are told."""
    arrive(sim, sim.users[0])
    await send(sim, context={"message_id": "wamid.unknown"})


async def test_row_08_a_group_answers_with_its_id(sim: Meta) -> None:
    """A send to a group, once somebody wrote there, answers with the group's id and without `wa_id`."""
    group, ana = "Y2FwaV9ncm91cDo1NTU=", sim.users[0]
    assert await refused(sim, recipient_type="group", to=group) == (400, 131047, 2494010)
    arrive(sim, ana, group_id=group)
    found = await send(sim, recipient_type="group", to=group)
    assert found["contacts"] == [{"input": group}]
    assert found["messages"][0]["group_id"] == group


async def test_row_08_numbers_may_be_rewritten(sim: Meta) -> None:
    """With the knob on, Brazil, Mexico and Argentina come back with another `wa_id` than was dialled."""
    sim.world.knobs.rewrite_numbers = True
    for dialled, known in (
        ("+55 11 98765-4321", "551187654321"),
        ("+52 55 1234 5678", "5215512345678"),
        ("+54 11 1234 5678", "5491112345678"),
        ("+49 151 00002", "4915100002"),
    ):
        found = await send(sim, to=dialled, **named("hello_world", language="en_US"))
        assert found["contacts"] == [{"input": dialled, "wa_id": known}]


async def test_somebody_unknown_becomes_a_user(sim: Meta) -> None:
    """A phone that nobody knew gets a user with a BSUID of its country, once; an unknown BSUID one without phone."""
    first = conversations.recipient(sim.world, "+49 30 12345", "")
    assert (first.phone, first.id[:3]) == ("493012345", "DE.")
    assert conversations.recipient(sim.world, "4930 12345", "") is first
    other = conversations.recipient(sim.world, "", "FR.1")
    assert (other.id, other.phone) == ("FR.1", "")
    assert conversations.recipient(sim.world, "+33 1 23 45 67 89", "FR.1") is other


async def test_row_08_a_form_is_taken_as_well(sim: Meta) -> None:
    """A send as a form, its objects as JSON text, is accepted as Graph accepts it."""
    arrive(sim, sim.users[0])
    form = {"messaging_product": "whatsapp", "to": ANA, "type": "text", "text": json.dumps({"body": "hi"})}
    answer = await sim.ask("POST", f"{sim.number.id}/messages", data=form)
    assert answer.status_code == 200


async def test_row_08_unknown_keys_are_logged_with_their_path(sim: Meta) -> None:
    """A key that Graph ignores does not stop a send, and stands in the log of calls."""
    arrive(sim, sim.users[0])
    await send(sim, text={"body": "hi", "boddy": "hi"}, prio=1)
    assert sim.world.calls[-1].unknown == ["prio", "text.boddy"] or sim.world.calls[-1].unknown == [
        "text.boddy",
        "prio",
    ]


async def test_watchers_see_what_was_sent(sim: Meta) -> None:
    """Whoever watches is told of an accepted message, with what the user reads: a template's text is filled in."""
    made(sim, "order", {"type": "BODY", "text": "Hi {{1}}, thanks"})
    watcher = sim.world.watch()
    message_id = await sent(sim, **named("order", words("Ana")))
    news = await watcher.get()
    assert news is not None
    assert (news["kind"], news["message_id"], news["type"]) == ("sent", message_id, "template")
    assert (news["to"], news["text"]) == (sim.users[0].id, "Hi Ana, thanks")


async def mark(sim: Meta, message_id: str | None, **more: Any) -> Any:
    """Mark a message as read; returns the response."""
    body = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id} | more
    return await sim.ask("POST", f"{sim.number.id}/messages", json=body)


async def test_row_19_a_known_message_is_marked_read(sim: Meta) -> None:
    """A mark on a received message succeeds and covers all before it in the chat, not those of other users."""
    sim.world.clock.run(0)
    ana, bo, _ = sim.users
    arrive(sim, bo)
    first = arrive(sim, ana)
    sim.world.clock.advance(5)
    second = arrive(sim, ana)
    assert (await mark(sim, second)).json() == {"success": True}
    assert sim.state.reads == {f"{sim.number.id}/{ana.id}": sim.world.clock.now()}
    assert (await mark(sim, first)).json() == {"success": True}
    assert sim.state.reads == {f"{sim.number.id}/{ana.id}": sim.world.clock.now()}
    assert sim.state.typing == {}


async def test_row_19_other_ids_cannot_be_marked(sim: Meta) -> None:
    """An unknown id, one that the business sent, another number's, and one older than 30 days are 131009."""
    sim.world.clock.run(0)
    ana = sim.users[0]
    received = arrive(sim, ana)
    own = await sent(sim)
    other = Number(id="100000000000009", waba_id=sim.waba.id, phone="15550100009", display_phone_number="+1 9")
    elsewhere = arrive(sim, ana, number=other)
    for message_id in ("wamid.unknown", own, elsewhere):
        answer = await mark(sim, message_id)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 131009)
    sim.world.clock.advance(30 * 86_400 + 1)
    assert (await mark(sim, received)).json()["error"]["code"] == 131009


async def test_row_19_a_mark_needs_its_parts(sim: Meta) -> None:
    """Without a message id a mark is 131008, with another status or kind of typing 131009."""
    message_id = arrive(sim, sim.users[0])
    assert (await mark(sim, "")).json()["error"]["code"] == 131009
    assert (await mark(sim, None)).json()["error"]["code"] == 131008
    assert (await mark(sim, message_id, status="delivered")).json()["error"]["code"] == 131009
    assert (await mark(sim, message_id, typing_indicator={"type": "song"})).json()["error"]["code"] == 131009
    assert sim.state.reads == {}


async def test_row_19_typing_lasts_25_seconds_or_until_the_next_send(sim: Meta) -> None:
    """A typing indicator is kept until 25 seconds later, and a send to that user ends it."""
    sim.world.clock.run(0)
    ana = sim.users[0]
    message_id = arrive(sim, ana)
    assert (await mark(sim, message_id, typing_indicator={"type": "text"})).json() == {"success": True}
    assert sim.state.typing == {f"{sim.number.id}/{ana.id}": sim.world.clock.now() + 25}
    await send(sim)
    assert sim.state.typing == {}
