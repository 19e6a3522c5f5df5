"""What users write to the simulator: every type and variant, what arrives of it, and what it changes."""

import json
from typing import Any

import msgspec
import pytest

from tests.simulated import Meta
from whatshooked.meta.decode import event
from whatshooked.meta.flatten import payload
from whatshooked.meta.payload import walk
from whatshooked.simulator.fields import fields
from whatshooked.simulator.messages import conversations
from whatshooked.simulator.people import arrivals, inbound
from whatshooked.simulator.people.details import Arrival, Details
from whatshooked.simulator.webhooks import wire
from whatshooked.simulator.world.model import Number, User, Waba

ANA = User(id="US.1349", phone="15550100002", name="Ana Silva", username="ana.silva")
CEM = User(id="BR.3098", name="Cem")
NUMBER = Number(id="1000001", waba_id="2000001", phone="15550100001", display_phone_number="+1 555-010-0001")
WABA = Waba(id="2000001", business_id="4000001")
STAMP = "1790000000"
#: Types of Meta's table of inbound messages.
TYPES = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "reaction",
    "order",
    "system",
    "edit",
    "revoke",
    "request_welcome",
    "unsupported",
    "unknown",
]


def written(kind: str, variant: str = "", user: User = ANA, **details: Any) -> dict[str, Any]:
    given = Details(**{"author": NUMBER.phone} | details)
    return inbound.message(kind, variant, user=user, message_id="wamid.IN", stamp=STAMP, details=given)


def body(field: str, value: dict[str, Any]) -> bytes:
    entry = {"id": WABA.id, "changes": [{"field": field, "value": value}]}
    return wire.serialise({"object": "whatsapp_business_account", "entry": [entry]})


@pytest.mark.parametrize(("kind", "variant"), inbound.listed())
def test_row_17_every_type_and_variant_reaches_a_hook(kind: str, variant: str) -> None:
    """Each one is a webhook in which the gateway finds the message whole, by its own name, and flattens it."""
    message = written(kind, variant)
    items = walk(body("messages", inbound.value(NUMBER, ANA, [message], variant)))
    assert json.loads(items[0].raw) == message
    assert [item.kind for item in items] in (["message"], ["message", "meta"])
    flat = json.loads(payload(event(items[0], "demo", foreign=False).event, "1790000000000-0"))
    assert flat["message_type"] == message["type"]
    assert flat["from"] == message.get("from", message.get("from_user_id"))


def test_row_17_no_type_is_missing() -> None:
    """There is one of each type that Meta names, and one that nobody knows yet."""
    assert sorted(inbound.KINDS) == sorted([*TYPES, "future"])
    assert written("future")["type"] not in TYPES


def test_row_17_media_comes_with_its_hash_and_kind() -> None:
    """Media has an id, a MIME type and a hash in base64; a voice note says so, and its type names the codec."""
    image = written("image", text="Look")["image"]
    assert image["mime_type"] == "image/jpeg"
    assert len(image["sha256"]) == 44
    assert image["caption"] == "Look"
    assert written("audio")["audio"]["voice"] is False
    voice = written("audio", "voice")["audio"]
    assert (voice["voice"], voice["mime_type"]) == (True, "audio/ogg; codecs=opus")
    assert written("sticker", "animated")["sticker"]["animated"] is True
    assert "filename" not in written("document", "no_filename")["document"]
    assert written("video", "too_large")["errors"][0]["code"] == 131052


def test_row_17_interactive_replies() -> None:
    """Each kind of reply stands under its own name; a flow's answers are a string of JSON; an empty one is an error."""
    for variant in ("button_reply", "list_reply", "nfm_reply", "call_permission_reply", "product"):
        held = written("interactive", variant)["interactive"]
        assert held["type"] == variant
        assert held[variant]
    answers = written("interactive", "nfm_reply")["interactive"]["nfm_reply"]["response_json"]
    assert "flow_token" in json.loads(answers)
    refused = written("interactive", "call_permission_refused")["interactive"]["call_permission_reply"]
    assert refused["response"] == "reject"
    empty = written("interactive", "empty")
    assert "interactive" not in empty
    assert inbound.value(NUMBER, ANA, [empty])["errors"][0]["code"] == 131000


def test_row_17_a_button_has_a_context_or_none() -> None:
    """A template's button names the message that it was pressed on, and seldom does not."""
    pressed = written("button", about="wamid.OUT")
    assert pressed["context"] == {"from": NUMBER.phone, "id": "wamid.OUT"}
    assert "context" not in written("button", "no_context")


def test_row_17_a_reaction_is_taken_back_in_two_ways() -> None:
    """The emoji is absent, or empty."""
    assert written("reaction", about="wamid.OUT")["reaction"]["emoji"]
    assert written("reaction", "removed", about="wamid.OUT")["reaction"] == {"message_id": "wamid.OUT"}
    assert written("reaction", "removed_empty")["reaction"]["emoji"] == ""


def test_row_17_edit_revoke_and_what_is_not_shown() -> None:
    """An edit holds the new message, a revoke names the old; `unsupported` may or may not say of what type it was."""
    edit = written("edit", text="Mended", about="wamid.OLD")["edit"]
    assert edit == {"original_message_id": "wamid.OLD", "message": {"type": "text", "text": {"body": "Mended"}}}
    assert written("revoke", about="wamid.OLD")["revoke"] == {"original_message_id": "wamid.OLD"}
    assert written("unsupported")["unsupported"] == {"type": "poll_creation"}
    bare = written("unsupported", "no_type")
    assert "unsupported" not in bare
    assert bare["errors"][0]["code"] == 131051


@pytest.mark.parametrize(
    ("variant", "message_keys", "contact_keys"),
    [
        ("phone_only", {"from"}, {"wa_id"}),
        ("phone_and_user_id", {"from", "from_user_id"}, {"wa_id", "user_id"}),
        ("user_id_only", {"from_user_id"}, {"user_id"}),
    ],
)
def test_row_17_what_is_hidden_of_a_user_is_absent(
    variant: str, message_keys: set[str], contact_keys: set[str]
) -> None:
    """A webhook shows phone and user id, or one of them; what it hides has no key, in the message or the contact."""
    message = written("text", variant)
    contact = inbound.value(NUMBER, ANA, [message], variant)["contacts"][0]
    assert message.keys() & {"from", "from_user_id"} == message_keys
    assert contact.keys() - {"profile"} == contact_keys


def test_row_17_a_user_without_phone_shows_none() -> None:
    """Somebody whose phone nobody may see writes by user id alone, and cannot be made to show a phone."""
    assert "from" not in written("text", user=CEM)
    with pytest.raises(ValueError, match="Cem shows no phone number"):
        written("text", "phone_only", user=CEM)


def test_row_17_variants_of_any_type() -> None:
    """Group, forwards, quotes, ads and products stand beside the message, several at once if wanted."""
    assert written("image", "group", group="G1")["group_id"] == "G1"
    assert written("text", "forwarded")["context"] == {"forwarded": True}
    assert written("text", "frequently_forwarded")["context"] == {"frequently_forwarded": True}
    assert written("text", "reply", about="wamid.OUT")["context"] == {"from": NUMBER.phone, "id": "wamid.OUT"}
    assert written("text", "referral")["referral"]["source_type"] == "ad"
    assert written("text", "product_question")["context"]["referred_product"]["catalog_id"]
    several = written("audio", "voice+user_id_only+group+unknown_field")
    assert several["audio"]["voice"] is True
    assert several.keys() >= {"group_id", "future_key", "from_user_id"}
    assert "from" not in several


def test_row_17_variants_of_the_value() -> None:
    """A value may have errors of its own, and may lack contacts, as those of system messages do."""
    text, system = written("text"), written("system", "customer_identity_changed")
    assert inbound.value(NUMBER, ANA, [text], "value_errors")["errors"][0]["code"] == 131000
    assert "contacts" not in inbound.value(NUMBER, ANA, [text], "no_contacts")
    assert "contacts" not in inbound.value(NUMBER, ANA, [system])
    assert inbound.value(NUMBER, ANA, [text])["metadata"] == {
        "display_phone_number": NUMBER.phone,
        "phone_number_id": NUMBER.id,
    }


@pytest.mark.parametrize(
    ("kind", "variant", "said"),
    [
        ("carrier_pigeon", "", "there is no type 'carrier_pigeon'; there are text, "),
        ("text", "loud", "text has no variant 'loud'; there are phone_and_user_id, "),
        ("audio", "voice+too_large", "only one of voice and too_large at a time"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(kind: str, variant: str, said: str) -> None:
    """Whoever asks for what does not exist is told what does."""
    with pytest.raises(ValueError, match=said):
        written(kind, variant)


@pytest.mark.parametrize(
    ("field", "event_name"), [(field, name) for field, names in fields.FIELDS.items() for name in names or ("",)]
)
def test_every_field_reaches_a_hook(field: str, event_name: str) -> None:
    """Each field has values for all of its events, in which the gateway finds at least one item, named after it."""
    value = fields.value(field, NUMBER, WABA, STAMP, event_name)
    items = walk(body(field, value))
    assert items
    assert all(item.kind == "meta" and item.field in (field, "user_actions") for item in items)


async def test_partners_are_told_of_by_business(sim: Meta) -> None:
    """Updates about partners stand in an entry of the business, all others in one of the WABA."""
    for field, event_name in (("account_update", "PARTNER_ADDED"), ("account_update", "ACCOUNT_DELETED")):
        value = fields.value(field, sim.number, sim.waba, STAMP, event_name)
        sim.world.webhooks.publish(sim.waba, sim.number, field, value)
    value = fields.value("partner_solutions", sim.number, sim.waba, STAMP)
    sim.world.webhooks.publish(sim.waba, sim.number, "partner_solutions", value)
    await sim.changes(3)
    entries = [entry for post in sim.posts() for entry in post.json["entry"]]
    told = {entry["changes"][0]["value"]["event"]: entry["id"] for entry in entries}
    business, waba = sim.waba.business_id, sim.waba.id
    assert told == {"PARTNER_ADDED": business, "ACCOUNT_DELETED": waba, "SOLUTION_CREATED": business}


def test_fields_know_what_does_not_exist() -> None:
    """An unknown field is answered with the one that is meant, an unknown event with the known ones."""
    with pytest.raises(ValueError, match="there is no field 'x'; `whatshooked simulate notify list` has all "):
        fields.value("x", NUMBER, WABA, STAMP)
    with pytest.raises(ValueError, match=r"there is no field 'secuity'; is security meant\?"):
        fields.value("secuity", NUMBER, WABA, STAMP)
    with pytest.raises(ValueError, match="security has no event 'y'; there are PIN_CHANGED, "):
        fields.value("security", NUMBER, WABA, STAMP, "y")


async def test_row_18_a_message_opens_the_window(sim: Meta) -> None:
    """Before a user writes, only templates may be sent to them; from then on anything, for 24 hours."""
    ana = sim.users[0]
    assert not conversations.is_open(sim.world, sim.number, ana)
    told = arrivals.arrive(sim.world, Arrival(text="Hi"))
    assert conversations.is_open(sim.world, sim.number, ana)
    (message,) = await sim.items("messages")
    assert (message["id"], message["text"]["body"]) == (told["message_id"], "Hi")
    sim.world.clock.advance(24 * 3600)
    assert not conversations.is_open(sim.world, sim.number, ana)


async def test_row_18_a_new_number_is_a_new_user_id(sim: Meta) -> None:
    """Who changes number is announced by system messages, has another user id from then on, and no window."""
    ana = sim.users[0]
    arrivals.arrive(sim.world, Arrival(from_=ana.id))
    arrivals.arrive(sim.world, Arrival(kind="system", from_=ana.phone, new_phone="+1 555 010 0042"))
    rows = [row["system"] for row in await sim.items("messages", 3) if row["type"] == "system"]
    changed = {row["type"]: row for row in rows}
    assert changed["user_changed_number"]["wa_id"] == "15550100042"
    assert changed["user_changed_user_id"]["previous_user_id"] == ana.id
    assert ana.id not in sim.state.users
    new = sim.state.users[changed["user_changed_user_id"]["user_id"]]
    assert (new.name, new.phone) == (ana.name, "15550100042")
    assert not conversations.is_open(sim.world, sim.number, new)


async def test_system_messages_open_no_window(sim: Meta) -> None:
    """What WhatsApp itself says of a user is no message of theirs."""
    arrivals.arrive(sim.world, Arrival(kind="system", variant="customer_identity_changed"))
    assert not conversations.is_open(sim.world, sim.number, sim.users[0])


async def test_a_file_arrives_with_bytes_that_can_be_fetched(sim: Meta) -> None:
    """A media message names a file that Graph knows, a sample when none was given."""
    arrivals.arrive(sim.world, Arrival(kind="audio", variant="voice"))
    (message,) = await sim.items("messages")
    found = (await sim.ask("GET", message["audio"]["id"])).json()
    assert found["mime_type"] == message["audio"]["mime_type"] == "audio/ogg; codecs=opus"


async def test_replies_are_about_the_last_message(sim: Meta) -> None:
    """Without a message named, a reply means the business's last one, a revoke the user's own."""
    first = arrivals.arrive(sim.world, Arrival(text="Hi"))["message_id"]
    sent = await sim.ask(
        "POST",
        f"{sim.number.id}/messages",
        json={
            "messaging_product": "whatsapp",
            "to": f"+{sim.users[0].phone}",
            "type": "text",
            "text": {"body": "Hello"},
        },
    )
    arrivals.arrive(sim.world, Arrival(variant="reply"))
    arrivals.arrive(sim.world, Arrival(kind="revoke"))
    messages = {row["type"] + str("context" in row): row for row in await sim.items("messages", 3)}
    answered = messages["textTrue"]["context"]
    assert answered == {"from": sim.number.phone, "id": sent.json()["messages"][0]["id"]}
    assert messages["revokeFalse"]["revoke"]["original_message_id"] != first
    assert messages["revokeFalse"]["revoke"]["original_message_id"] == messages["textTrue"]["id"]


async def test_strangers_become_users(sim: Meta) -> None:
    """Whoever writes from a number or user id that nobody knew is a user from then on."""
    arrivals.arrive(sim.world, Arrival(from_="+49 30 1234567"))
    arrivals.arrive(sim.world, Arrival(from_="FR.77", variant="user_id_only"))
    messages = await sim.items("messages", 2)
    assert sorted(row.get("from", "") for row in messages) == ["", "49301234567"]
    assert sim.state.users["FR.77"].phone == ""
    with pytest.raises(ValueError, match="'nobody' is no phone number and no user id"):
        arrivals.arrive(sim.world, Arrival(from_="nobody"))
    with pytest.raises(ValueError, match="there is no number '7'"):
        arrivals.arrive(sim.world, Arrival(number="7"))
    with pytest.raises(ValueError, match="there is no file '8'"):
        arrivals.arrive(sim.world, Arrival(kind="image", media="8"))


async def test_watchers_are_told_of_arrivals(sim: Meta) -> None:
    """Whoever watches sees what arrives, and how many apps were told: none when the WABA is not subscribed."""
    told = arrivals.arrive(sim.world, Arrival(text="Hi"))
    assert told["webhooks"] == 1
    sim.waba.subscribed.clear()
    assert arrivals.arrive(sim.world, Arrival(text="Hi"))["webhooks"] == 0


def test_an_arrival_says_what_it_does_not_know() -> None:
    """A misspelt key is refused by name."""
    with pytest.raises(msgspec.ValidationError, match="form"):
        msgspec.convert({"form": "1555"}, Arrival)
