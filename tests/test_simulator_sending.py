"""Sending through the simulator, over HTTP: what is refused, in which order, and with which of Meta's codes."""

import pytest

from tests.sends import ANA, TEXT, arrive, file, made, named, refused, send, sent, words
from tests.simulated import Meta
from whatshooked.simulator.graph.limits import PAIR_BURST
from whatshooked.simulator.world.model import User


async def test_row_05_the_product_is_needed(sim: Meta) -> None:
    """Without `messaging_product` a send is refused with code 100, in Meta's words."""
    _, error = await sim.refused("POST", f"{sim.number.id}/messages", json={"to": ANA, "text": {"body": "hi"}})
    assert (error["code"], error["message"]) == (100, "(#100) The parameter messaging_product is required.")


async def test_row_05_shapes_are_checked_over_http(sim: Meta) -> None:
    """A body under another key than its type's is 131008, an unknown type 131051, a long text 131009 with details."""
    arrive(sim, sim.users[0])
    assert await refused(sim, type="image") == (400, 131008, 0)
    assert await refused(sim, type="hologram") == (400, 131051, 0)
    _, error = await sim.refused(
        "POST", f"{sim.number.id}/messages", json=TEXT | {"to": ANA, "text": {"body": "x" * 4097}}
    )
    assert error["error_data"]["messaging_product"] == "whatsapp"
    assert "text.body" in error["error_data"]["details"]


async def test_row_05_an_unregistered_number_cannot_send(sim: Meta) -> None:
    """A number that is not registered answers 133010, a banned one 131031."""
    sim.number.registered = False
    assert await refused(sim) == (400, 133010, 0)
    sim.number.registered, sim.number.status = True, "BANNED"
    assert await refused(sim) == (403, 131031, 0)


async def test_row_05_a_number_cannot_write_to_itself(sim: Meta) -> None:
    """A send to the sending number is 131021, however it is written."""
    assert await refused(sim, to=f"+{sim.number.phone}") == (400, 131021, 0)
    assert await refused(sim, to="1 (555) 010-0001") == (400, 131021, 0)


async def test_row_05_a_test_number_writes_to_its_list_only(sim: Meta) -> None:
    """A SANDBOX number refuses who is not on its list with 131030; digits are compared, and a BSUID's phone counts."""
    sim.number.account_mode = "SANDBOX"
    ana, _, cem = sim.users
    arrive(sim, ana)
    assert await refused(sim) == (400, 131030, 2655007)
    assert await refused(sim, to="", recipient=ana.id) == (400, 131030, 2655007)
    sim.number.allow_list = ["+1 555 010 0002"]
    assert (await send(sim))["contacts"][0]["wa_id"] == ana.phone
    assert (await send(sim, to="", recipient=ana.id))["contacts"][0]["user_id"] == ana.id
    assert await refused(sim, to="", recipient=cem.id) == (400, 131030, 2655007)


async def test_row_05_outside_the_window_only_templates_go(sim: Meta) -> None:
    """A user who did not write within 24 hours is answered 131047 for a text, and gets a template all the same."""
    sim.world.clock.run(0)
    assert await refused(sim) == (400, 131047, 2494010)
    arrive(sim, sim.users[0])
    await send(sim)
    sim.world.clock.advance(24 * 3600 + 1)
    assert await refused(sim) == (400, 131047, 2494010)
    await send(sim, type="template", template={"name": "hello_world", "language": {"code": "en_US"}})


async def test_row_05_a_closed_window_may_fail_later(sim: Meta) -> None:
    """In the async mode a text outside the window is accepted, and `failed` with 131047 is all that comes of it."""
    sim.world.knobs.window = "async"
    message_id = await sent(sim)
    (status,) = await sim.items("statuses")
    assert (status["id"], status["status"], status["errors"][0]["code"]) == (message_id, "failed", 131047)


async def test_row_05_a_template_must_be_there_and_approved(sim: Meta) -> None:
    """A template that is not there in this language and WABA, or not approved, is 132001 (404), a stopped one not."""
    body = {"type": "BODY", "text": "Hello"}
    for status in ("PENDING", "PAUSED", "DISABLED"):
        made(sim, status.lower(), body, status=status)
    made(sim, "elsewhere", body, waba_id="299999999999999")
    assert await refused(sim, **named("nothing")) == (404, 132001, 0)
    assert await refused(sim, **named("hello_world", language="de")) == (404, 132001, 0)
    assert await refused(sim, **named("elsewhere")) == (404, 132001, 0)
    assert await refused(sim, **named("pending")) == (404, 132001, 0)
    assert await refused(sim, **named("paused")) == (400, 132015, 0)
    assert await refused(sim, **named("disabled")) == (400, 132016, 0)


async def test_row_05_a_template_needs_its_parameters(sim: Meta) -> None:
    """Too few or too many parameters in header, body or a button are 132000, those of another kind 132012."""
    url = {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Go", "url": "https://a.b/{{1}}"}]}
    made(sim, "order", {"type": "BODY", "text": "Hi {{1}}, {{2}}"}, {"type": "HEADER", "format": "IMAGE"}, url)
    image = {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/a.png"}}]}
    button = words("7", kind="button", sub_type="url", index="0")
    assert await refused(sim, **named("order")) == (400, 132000, 0)
    assert await refused(sim, **named("order", words("a"), image, button)) == (400, 132000, 0)
    assert await refused(sim, **named("order", words("a", "b", "c"), image, button)) == (400, 132000, 0)
    assert await refused(sim, **named("order", words("a", "b"), image)) == (400, 132000, 0)
    assert await refused(sim, **named("order", words("a", "b"), words("x", kind="header"), button)) == (400, 132012, 0)
    await send(sim, **named("order", words("a", "b"), image, button))


async def test_row_05_named_parameters_go_by_their_names(sim: Meta) -> None:
    """A template with NAMED parameters refuses other names with 132012."""
    made(sim, "named", {"type": "BODY", "text": "Hi {{first}}"}, parameter_format="NAMED")
    assert await refused(sim, **named("named", words("Ana"))) == (400, 132012, 0)
    right = {"type": "body", "parameters": [{"type": "text", "text": "Ana", "parameter_name": "first"}]}
    await send(sim, **named("named", right))


async def test_row_05_an_authentication_template_needs_a_phone(sim: Meta) -> None:
    """An authentication template to a BSUID alone is 131062."""
    made(sim, "code", {"type": "BODY", "text": "{{1}}"}, category="AUTHENTICATION")
    code = named("code", words("123"), words("123", kind="button", sub_type="url", index="0"))
    assert await refused(sim, to="", recipient=sim.users[0].id, **code) == (400, 131062, 0)
    await send(sim, **code)


async def test_row_05_media_ids_are_the_numbers_own(sim: Meta) -> None:
    """A media id that is unknown, dead, another number's or of another kind is 100; the number's own goes out."""
    sim.world.clock.run(0)
    arrive(sim, sim.users[0])
    file(sim, "own", "image/png", life=60)
    file(sim, "its", "image/png", number_id="100000000000009")
    await send(sim, type="image", image={"id": "own"})
    await send(sim, type="document", document={"id": "own", "filename": "a.png"})
    for body in ({"image": {"id": "its"}}, {"image": {"id": "nothing"}}, {"video": {"id": "own"}}):
        assert await refused(sim, type=next(iter(body)), **body) == (400, 100, 0)
    header = {"type": "image", "image": {"id": "its"}}
    action = {"buttons": [{"type": "reply", "reply": {"id": "a", "title": "A"}}]}
    asked = {"type": "button", "header": header, "body": {"text": "?"}, "action": action}
    assert await refused(sim, type="interactive", interactive=asked) == (400, 100, 0)
    sim.world.clock.advance(61)
    assert await refused(sim, type="image", image={"id": "own"}) == (400, 100, 0)


async def test_row_05_a_voice_message_is_ogg(sim: Meta) -> None:
    """`voice` with a file that is no Ogg is refused; one with Opus goes out."""
    arrive(sim, sim.users[0])
    file(sim, "mp3", "audio/mpeg")
    file(sim, "ogg", "audio/ogg; codecs=opus")
    assert await refused(sim, type="audio", audio={"id": "mp3", "voice": True}) == (400, 100, 0)
    await send(sim, type="audio", audio={"id": "mp3"})
    await send(sim, type="audio", audio={"id": "ogg", "voice": True})


async def test_row_05_a_refused_send_leaves_nothing(sim: Meta) -> None:
    """What was refused is no message: nothing is kept, and no status comes of it."""
    await refused(sim)
    assert sim.state.messages == {}
    assert sim.posts() == []


@pytest.mark.parametrize("status", [400, 429])
async def test_row_06_the_pair_rate_ends_a_burst(sim: Meta, status: int) -> None:
    """After 45 messages to one user the next is 131056; others have a share of their own; six seconds give one more."""
    sim.world.clock.run(0)
    sim.world.knobs.throttle_status = status  # type: ignore[assignment]
    ana, bo, _ = sim.users
    arrive(sim, ana)
    arrive(sim, bo)
    for _ in range(PAIR_BURST):
        assert (await send(sim))["messages"]
        sim.world.clock.advance(0.001)
    answer = await sim.ask("POST", f"{sim.number.id}/messages", json=TEXT | {"to": ANA})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, 131056)
    assert ("retry-after" in answer.headers) == (status == 429)
    await send(sim, to=bo.phone)
    sim.world.clock.advance(6.1)
    await send(sim)
    assert await refused(sim) == (status, 131056, 0)


async def test_row_06_a_number_has_a_throughput(sim: Meta) -> None:
    """Messages in and out count together: above the number's rate a send is 130429, and a second later it is not."""
    sim.world.clock.run(0)
    sim.number.throughput = "COEXISTENCE"
    users = [User(id=f"US.{n}", phone=f"1555020{n:04d}") for n in range(10)]
    for user in users:
        arrive(sim, user)
    for user in users:
        await send(sim, to=user.phone)
    assert await refused(sim, to=users[0].phone) == (400, 130429, 0)
    sim.world.clock.advance(1)
    await send(sim, to=users[0].phone)
