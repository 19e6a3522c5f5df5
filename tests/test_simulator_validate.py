"""What may be sent, kind by kind, at its limits and one beyond them: rows 5 and 9 of the simulator's behaviour."""

import base64
import contextlib
import random
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatshooked.simulator.graph.refusals import Refusal
from whatshooked.simulator.messages import validate
from whatshooked.simulator.messages.interactive import PASSED_THROUGH
from whatshooked.simulator.world import ids

FILE: dict[str, Any] = {"link": "https://example.com/a"}
NAME = {"formatted_name": "Ana Silva", "first_name": "Ana"}
BUTTON = {"type": "reply", "reply": {"id": "a", "title": "Yes"}}
ROW = {"id": "a", "title": "One"}
FLOW = {"flow_message_version": "3", "flow_id": "1", "flow_cta": "Open"}


def send(kind: str, held: Any, **more: Any) -> dict[str, Any]:
    """A send of a kind to somebody."""
    return {"messaging_product": "whatsapp", "to": "+49 151 00002", "type": kind, kind: held} | more


def interactive(kind: str, action: Any, text: str = "Choose", **more: Any) -> dict[str, Any]:
    """An interactive send."""
    return send("interactive", {"type": kind, "body": {"text": text}, "action": action} | more)


def buttons(count: int, **reply: Any) -> dict[str, Any]:
    """An action with so many buttons; `reply` changes the last one."""
    rows = [{"type": "reply", "reply": {"id": f"id{n}", "title": f"No {n}"}} for n in range(count)]
    rows[-1]["reply"] |= reply  # type: ignore[operator]  # a mapping by the line above
    return {"buttons": rows}


def rows(*sizes: int, titles: bool = True, **row: Any) -> dict[str, Any]:
    """A list's action with sections of these sizes; `row` changes every row."""
    sections = [
        ({"title": f"Part {s}"} if titles else {})
        | {"rows": [{"id": f"{s}-{n}", "title": "x"} | row for n in range(size)]}
        for s, size in enumerate(sizes)
    ]
    return {"button": "Open", "sections": sections}


def template(*parameters: Any, kind: str = "body", **more: Any) -> dict[str, Any]:
    """A template send with one component."""
    component = {"type": kind, "parameters": list(parameters)} | more
    return send("template", {"name": "t", "language": {"code": "en"}, "components": [component]})


GOOD: list[dict[str, Any]] = [
    {"messaging_product": "whatsapp", "to": "4915100002", "text": {"body": "without a type"}},
    send("text", {"body": "x" * 4096, "preview_url": True}),
    send("text", {"body": "x"}, to=4915100002),
    send("text", {"body": "x"}, context={"message_id": "wamid.unknown"}, biz_opaque_callback_data="x" * 512),
    send("text", {"body": "x"}, to="", recipient="DE.ENT.12345"),
    send("text", {"body": "x"}, to="Y2FwaV9ncm91cDo=", recipient_type="group"),
    *(send(kind, FILE) for kind in ("image", "video", "audio", "document", "sticker")),
    *(send(kind, FILE | {"caption": "x" * 1024}) for kind in ("image", "video", "document")),
    send("audio", {"id": "1", "voice": True}),
    send("document", FILE | {"filename": "a.pdf"}),
    send("location", {"latitude": -90, "longitude": "180.0", "name": "Home", "address": "Here 1"}),
    send("contacts", [{"name": NAME, "phones": [{"phone": "+1 555", "type": "HOME", "wa_id": "1555"}]}] * 257),
    send("contacts", [{"name": NAME, "birthday": "1990-12-31", "org": {"company": "C"}, "emails": [{"email": "a@b"}]}]),
    send("reaction", {"message_id": "wamid.x", "emoji": "\N{THUMBS UP SIGN}"}),
    send("reaction", {"message_id": "wamid.x", "emoji": ""}),
    interactive("button", buttons(3, id="x" * 256, title="x" * 20), "x" * 1024, footer={"text": "x" * 60}),
    interactive("button", buttons(1), header={"type": "text", "text": "x" * 60}),
    interactive("button", buttons(1), header={"text": "x" * 60}),
    *(interactive("button", buttons(1), header={"type": kind, kind: FILE}) for kind in ("image", "video", "document")),
    interactive("list", rows(10, titles=False, description="x" * 72), "x" * 4096),
    interactive("list", rows(4, 6, title="x" * 24), header={"type": "text", "text": "H"}),
    interactive("cta_url", {"name": "cta_url", "parameters": {"display_text": "x" * 20, "url": "https://a.b"}}),
    interactive("flow", {"name": "flow", "parameters": FLOW | {"mode": "draft", "flow_action": "data_exchange"}}),
    interactive("location_request_message", {"name": "send_location"}),
    *(send("interactive", {"type": kind, "whatever": [1]}) for kind in sorted(PASSED_THROUGH)),
    send("template", {"name": "x" * 512, "language": {"code": "en_US", "policy": "deterministic"}}),
    template({"type": "text", "text": "a"}, {"type": "text", "text": "b", "parameter_name": "name"}),
    template({"type": "currency", "currency": {"fallback_value": "1 EUR", "code": "EUR", "amount_1000": 1000}}),
    template({"type": "date_time", "date_time": {"fallback_value": "today"}}),
    template({"type": "image", "image": FILE}, kind="header"),
    template({"type": "location", "location": {"latitude": 1, "longitude": 2}}, kind="HEADER"),
    template({"type": "payload", "payload": "p"}, kind="button", sub_type="quick_reply", index="0"),
    template({"type": "coupon_code", "coupon_code": "C"}, kind="button", sub_type="copy_code", index=1),
    template({"type": "action", "action": {"flow_token": "t"}}, kind="button", sub_type="flow", index="0"),
    template({"cards": "anything"}, kind="carousel"),
]

#: What is refused: the send, the code, and the parameter that the details name.
BAD: list[tuple[dict[str, Any], int, str]] = [
    (send("text", {"body": "x"}, to=None), 131008, "to"),
    (send("text", {"body": "x"}, to=None, recipient="DE.1", recipient_type="group"), 131008, "to"),
    (send("text", {"body": "x"}, to="ana"), 131009, "to"),
    (send("text", {"body": "x"}, to="+1"), 131009, "to"),
    (send("text", {"body": "x"}, to="+1234567890123456"), 131009, "to"),
    (send("text", {"body": "x"}, to=["+4915100002"]), 100, "to"),
    (send("text", {"body": "x"}, to=None, recipient="4915100002"), 131009, "recipient"),
    (send("text", {"body": "x"}, recipient_type="everybody"), 131009, "recipient_type"),
    (send("text", {"body": "x"}, biz_opaque_callback_data="x" * 513), 131009, "biz_opaque_callback_data"),
    (send("text", {"body": "x"}, context={}), 131008, "context.message_id"),
    (send("hologram", {}), 131051, "type"),
    (send("image", FILE, type="text"), 131008, "text"),
    (send("text", {"body": "x"}, type=7), 100, "type"),
    (send("text", "hi"), 100, "text"),
    (send("text", {}), 131008, "text.body"),
    (send("text", {"body": 5}), 100, "text.body"),
    (send("text", {"body": " "}), 131009, "text.body"),
    (send("text", {"body": "x" * 4097}), 131009, "text.body"),
    (send("text", {"body": "x", "preview_url": "maybe"}), 100, "text.preview_url"),
    (send("image", {}), 131008, "image.id or link"),
    (send("image", FILE | {"id": "1"}), 131009, "image"),
    (send("image", {"link": "file:///etc/passwd"}), 131009, "image.link"),
    *(
        (send(kind, FILE | {"caption": "x" * 1025}), 131009, f"{kind}.caption")
        for kind in ("image", "video", "document")
    ),
    (send("audio", FILE | {"caption": "x"}), 100, "audio"),
    (send("location", {"latitude": 1}), 131008, "location.longitude"),
    (send("location", {"latitude": 91, "longitude": 1}), 131009, "location.latitude"),
    (send("location", {"latitude": "north", "longitude": 1}), 100, "location.latitude"),
    (send("contacts", {"name": NAME}), 100, "contacts"),
    (send("contacts", []), 131009, "contacts"),
    (send("contacts", [{"name": NAME}] * 258), 131009, "contacts"),
    (send("contacts", [{"phones": []}]), 131008, "contacts.0.name"),
    (send("contacts", [{"name": {"formatted_name": "Ana"}}]), 131008, "contacts.0.name.first_name or last_name"),
    (send("contacts", [{"name": NAME, "birthday": "31.12.1990"}]), 131009, "contacts.0.birthday"),
    (send("reaction", {"emoji": "x"}), 131008, "reaction.message_id"),
    (send("reaction", {"message_id": "x"}), 131008, "reaction.emoji"),
    (send("reaction", {"message_id": "x", "emoji": "x"}, context={"message_id": "y"}), 131009, "context"),
    (send("interactive", {}), 131008, "interactive.type"),
    (send("interactive", {"type": "dance"}), 131009, "interactive.type"),
    (send("interactive", {"type": "button", "action": buttons(1)}), 131008, "interactive.body"),
    (interactive("button", {}), 131008, "interactive.action.buttons"),
    (interactive("button", buttons(4)), 131009, "interactive.action.buttons"),
    (interactive("button", {"buttons": []}), 131009, "interactive.action.buttons"),
    (interactive("button", buttons(2, id="id0")), 131009, "interactive.action.buttons.1.reply.id"),
    (interactive("button", buttons(2, title="No 0")), 131009, "interactive.action.buttons.1.reply.title"),
    (interactive("button", buttons(1, id="x" * 257)), 131009, "interactive.action.buttons.0.reply.id"),
    (interactive("button", buttons(1, title="x" * 21)), 131009, "interactive.action.buttons.0.reply.title"),
    (interactive("button", buttons(1), "x" * 1025), 131009, "interactive.body.text"),
    (interactive("button", buttons(1), footer={"text": "x" * 61}), 131009, "interactive.footer.text"),
    (interactive("button", buttons(1), header={"type": "text", "text": "x" * 61}), 131009, "interactive.header.text"),
    (interactive("button", buttons(1), header={"type": "image"}), 131008, "interactive.header.image"),
    (interactive("list", rows(1), header={"type": "image", "image": FILE}), 131009, "interactive.header.type"),
    (interactive("list", rows(1) | {"button": "x" * 21}), 131009, "interactive.action.button"),
    (interactive("list", rows(1), "x" * 4097), 131009, "interactive.body.text"),
    (interactive("list", rows(6, 5)), 131009, "interactive.action.sections"),
    (interactive("list", rows(*[1] * 11)), 131009, "interactive.action.sections"),
    (interactive("list", rows(1, 1, titles=False)), 131008, "interactive.action.sections.0.title"),
    (interactive("list", rows(2, id="same")), 131009, "interactive.action.rows.1.id"),
    (interactive("list", rows(1, id="x" * 201)), 131009, "interactive.action.sections.0.rows.0.id"),
    (interactive("list", rows(1, title="x" * 25)), 131009, "interactive.action.sections.0.rows.0.title"),
    (interactive("list", rows(1, description="x" * 73)), 131009, "interactive.action.sections.0.rows.0.description"),
    (
        interactive("cta_url", {"name": "cta_url", "parameters": {"display_text": "x" * 21, "url": "https://a.b"}}),
        131009,
        "interactive.action.parameters.display_text",
    ),
    (interactive("flow", {"name": "flow", "parameters": FLOW | {"flow_name": "n"}}), 131009, "interactive.action"),
    (
        interactive("flow", {"name": "flow", "parameters": FLOW | {"flow_cta": "Go \N{ROCKET}"}}),
        131009,
        "interactive.action.parameters.flow_cta",
    ),
    (
        interactive("location_request_message", {"name": "send_location"}, footer={"text": "f"}),
        131009,
        "interactive.footer",
    ),
    (send("template", {"name": "t"}), 131008, "template.language"),
    (send("template", {"name": "x" * 513, "language": {"code": "en"}}), 131009, "template.name"),
    (template({"type": "text"}), 131008, "template.components.0.parameters.0.text"),
    (template({"type": "image", "image": {}}, kind="header"), 131008, "template.components.0.parameters.0.image"),
    (template(kind="button", index="0"), 131008, "template.components.0.sub_type"),
    (template(kind="button", sub_type="url", index="1.5"), 131009, "template.components.0.index"),
    (template("x"), 100, "template.components.0.parameters.0"),
]


@pytest.mark.parametrize("body", GOOD, ids=lambda body: f"{body.get('type')}")
def test_row_05_each_kind_passes_at_its_limits(body: dict[str, Any]) -> None:
    """What Meta documents is accepted up to its limits, and no key of it is taken for unknown."""
    assert validate.outgoing(body).unknown == []


@pytest.mark.parametrize(("body", "code", "place"), BAD, ids=[f"{code}-{place}" for _, code, place in BAD])
def test_row_05_each_kind_is_refused_beyond_its_limits(body: dict[str, Any], code: int, place: str) -> None:
    """What lacks a parameter or has one beyond its limit is refused with Meta's code, and the place is named."""
    with pytest.raises(Refusal) as refused:
        validate.outgoing(body)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert place in refused.value.details + refused.value.text


@given(st.sampled_from(GOOD), st.integers(0, 40), st.sampled_from([None, True, 0, -1.5, "", "x", "5", [], [1], {}]))
def test_row_05_no_value_of_any_json_type_breaks_the_checks(body: dict[str, Any], place: int, value: Any) -> None:
    """With any value of any JSON type in any place a send is accepted or refused; nothing else happens."""
    changed = msgspec.json.decode(msgspec.json.encode(body))
    holders = list(_places(changed))
    holder, key = holders[place % len(holders)]
    holder[key] = value
    with contextlib.suppress(Refusal):
        validate.outgoing(changed)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value, as what holds it and the key there; of an array the first items."""
    for key in value if isinstance(value, dict) else range(min(len(value), 2)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def test_row_05_unknown_keys_are_found_anywhere() -> None:
    """Keys that Graph ignores are accepted, and told with the dotted path at which they stand."""
    body = interactive("button", buttons(2, colour="red"), surprise=1) | {"texxt": {"body": "x"}}
    found = validate.outgoing(body).unknown
    assert sorted(found) == ["interactive.action.buttons.1.reply.colour", "interactive.surprise", "texxt"]


def test_row_05_files_are_found_wherever_they_may_stand() -> None:
    """A media id is told from a message, an interactive header and a template's header alike; a link is not."""
    image = {"type": "image", "image": {"id": "7"}}
    bodies = [
        send("image", {"id": "7"}),
        interactive("button", buttons(1), header=image),
        template(image, kind="header"),
    ]
    for body in bodies:
        (file,) = validate.outgoing(body).files
        assert (file.kind, file.id) == ("image", "7")
        assert file.path.endswith("image.id")
    assert validate.outgoing(send("image", FILE)).files == []


def test_row_05_a_form_may_hold_objects_as_text() -> None:
    """Objects that came as text, as in a form, are read; text that is no JSON stays what it is."""
    body = validate.decoded({"to": "4915100002", "type": "text", "text": '{"body":"hi"}', "context": "{"})
    assert body["text"] == {"body": "hi"}
    assert body["context"] == "{"


@pytest.mark.parametrize(("outgoing", "direction"), [(True, 0x11), (False, 0x12)])
def test_row_09_a_wamid_is_built_like_a_real_one(*, outgoing: bool, direction: int) -> None:
    """A wamid is base64 of the phone, the direction and a random part in hex, each with its length before it."""
    made = ids.wamid("15550100002", random.Random(0), outgoing=outgoing)
    raw = base64.b64decode(made.removeprefix("wamid."), validate=True)
    head, rest = raw[:14], raw[14:]
    assert head == b"\x1c\x18\x0b15550100002"
    assert rest[:5] == bytes([0x15, 0x02, 0x00, direction, 0x18])
    assert re.fullmatch(rb"[0-9A-F]+", rest[6:-1])
    assert rest[5] == len(rest[6:-1])
    assert rest[-1] == 0


def test_row_09_wamids_differ_and_a_seed_repeats_them() -> None:
    """No two wamids are the same, and the same seed gives the same ones."""
    one, other = random.Random(1), random.Random(1)
    made = [ids.wamid("15550100002", one, outgoing=True) for _ in range(1000)]
    assert len(set(made)) == 1000
    assert made == [ids.wamid("15550100002", other, outgoing=True) for _ in range(1000)]
