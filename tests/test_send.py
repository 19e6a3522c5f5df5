"""What may be sent: whom to, which kinds, within which limits, and every fault at once."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.outgoing import (
    ANA,
    CARD,
    DOCUMENTED,
    GROUP,
    LINK,
    USER,
    buttons,
    flow,
    interactive,
    menu,
    message,
    rows,
    template,
)
from whatshooked.errors import SendFault, TheirsError
from whatshooked.meta import phone
from whatshooked.meta.send import Outgoing, prepare, quoting, with_callback


def send(request: Any, **more: Any) -> Outgoing:
    return prepare(request, country_code="49", **more)


def body_of(request: Any, **more: Any) -> dict[str, Any]:
    found = json.loads(send(request, **more).body)
    assert isinstance(found, dict)
    return found


def faults(request: Any) -> list[str]:
    with pytest.raises(SendFault) as caught:
        send(request)
    return caught.value.faults


@pytest.mark.parametrize("request_", DOCUMENTED, ids=lambda told: str(told.get("type")))
def test_documented_bodies_are_taken_as_they_are(request_: dict[str, Any]) -> None:
    """Each documented shape goes on to Meta unchanged, and the caller's own object stays as it was."""
    before = copy.deepcopy(request_)
    found = send(request_)
    assert request_ == before
    kind = before.get("type", "text")
    assert (found.to, found.kind, found.callback) == ("4915112345678", kind, "")
    assert json.loads(found.body) == {"messaging_product": "whatsapp", "type": kind, **before}


@pytest.mark.parametrize("key", ["type", "messaging_product"])
@pytest.mark.parametrize("request_", DOCUMENTED, ids=lambda told: str(told.get("type")))
def test_the_product_and_the_type_may_be_left_out(request_: dict[str, Any], key: str) -> None:
    """Both keys tell nothing that the rest does not, and stand in the body in any case."""
    assert body_of({k: v for k, v in request_.items() if k != key}) == body_of(request_)


def test_the_flat_form() -> None:
    """A plain string under `text` is a text; the account is no business of Meta's."""
    for request in (
        {"to": ANA, "text": "Hello"},
        {"account_id": "business", "to": ANA, "type": "text", "text": "Hello"},
    ):
        assert body_of(request) == message("text", {"body": "Hello"})


def test_unknown_keys_pass() -> None:
    """What Meta may add tomorrow reaches it today, at every level; null counts as absent at the top."""
    request = message("image", {"link": LINK, "new": {"deep": [1]}}, brand_new="x", context=None, category=None)
    assert body_of(request) == message("image", {"link": LINK, "new": {"deep": [1]}}, brand_new="x")


def test_a_kind_that_is_new_passes() -> None:
    """A type that is not known goes on when its own object stands beside it; a slip of the pen has none."""
    request = message("pin", {"type": "pin", "message_id": "wamid.A"})
    assert (send(request).kind, body_of(request)) == ("pin", request)
    assert faults(message("context", {"message_id": "wamid.A"})) == faults({"to": ANA, "type": "txt", "text": "a"})


def test_mark_as_read_and_typing() -> None:
    """A mark as read has no recipient; typing goes with it."""
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"}
    for request in (read, {**read, "typing_indicator": {"type": "text"}}):
        found = send(request)
        assert (found.to, found.kind, json.loads(found.body)) == ("", "read", request)
    assert json.loads(send({**read, "to": ANA, "account_id": "b"}).body) == read


READ_FAULTS = [
    ({"status": "delivered", "message_id": "wamid.A"}, 'status: expected "read"'),
    ({"status": "read"}, "message_id: missing, expected a string"),
    (
        {"status": "read", "message_id": "m", "typing_indicator": {"type": "x"}},
        'typing_indicator.type: expected "text"',
    ),
]


@pytest.mark.parametrize(("request_", "fault"), READ_FAULTS)
def test_a_mark_as_read_that_is_none(request_: dict[str, Any], fault: str) -> None:
    """A status that is not read, or that names no message, is told before Meta is asked."""
    assert faults(request_) == [fault]


def test_user_ids_and_groups_pass_unchanged() -> None:
    """A user id goes as `recipient`, a group with its recipient type, a phone with a plus."""
    for user in (USER, "DE.1", "US.ENT.11815799212886844830"):
        assert (phone.normalise(user, "1"), phone.kind(user)) == (user, "user")
        assert body_of({"to": user, "text": "hi"}) == body_of({"recipient": user, "text": "hi"})
        assert body_of({"to": user, "text": "hi"})["recipient"] == user
        assert "to" not in body_of({"to": user, "text": "hi"})
    for group in (GROUP, "GROUP_ID_999", "120363418770915618@g.us"):
        assert (phone.normalise(group, "1"), phone.kind(group)) == (group, "group")
        found = body_of({"to": group, "text": "hi"})
        assert (found["to"], found["recipient_type"]) == (group, "group")
    assert body_of({"to": "0151 12345678", "text": "hi"})["to"] == ANA


def test_a_group_by_its_recipient_type() -> None:
    """With `recipient_type` group any id is a group's, digits too; with individual none is."""
    found = send({"recipient_type": "group", "to": "120363", "text": "hi"})
    assert (found.to, json.loads(found.body)["to"]) == ("120363", "120363")
    assert faults({"recipient_type": "individual", "to": GROUP, "text": "hi"})[0].startswith("recipient_type: expected")
    assert faults({"recipient_type": "group", "to": "a b", "text": "hi"}) == ["to: expected a group id"]


def test_both_recipients_and_numbers_as_numbers() -> None:
    """With both `to` and `recipient` Meta goes by `to`; a `to` without quotes is a number all the same."""
    found = send({"to": 4915112345678, "recipient": USER, "text": "hi"})
    assert found.to == "4915112345678"
    body = json.loads(found.body)
    assert (body["to"], body["recipient"]) == (ANA, USER)
    assert faults({"recipient": ANA, "text": "hi"})[0].startswith("recipient: expected a user id")


@pytest.mark.parametrize("shown", ["49151", "155501079723", "1", "15550106957", "PHONE_NUMBER", USER, GROUP])
def test_what_meta_showed_needs_no_look(shown: str) -> None:
    """Whoever wrote can be answered, though no rule would take the number."""
    assert send({"to": shown, "text": "hi"}, shown=shown).to == shown
    assert send({"to": f"+{shown}" if shown.isdecimal() else shown, "text": "hi"}, shown=shown).to == shown


BODY = {"text": "x" * 1025}
LIMITS: list[tuple[dict[str, Any], list[str]]] = [
    ({"to": ANA}, ["type: missing, expected one of text, image,"]),
    ({"to": ANA, "text": "a", "image": {"id": "1"}}, ["type: missing, expected one of"]),
    (message("text", {"body": "a"}, image={"id": "1"}), ["image: stands beside the type text"]),
    ({"to": ANA, "type": "txt", "text": {"body": "a"}}, ["type: expected one of text,"]),
    ({"to": ANA, "type": "image"}, ["image: missing, expected an object"]),
    (message("text", {"body": "a"}) | {"messaging_product": "sms"}, ['messaging_product: expected "whatsapp"']),
    ({"text": "a"}, ["to: missing, expected a phone number"]),
    ({"to": ANA, "text": "a" * 4097}, ["text: at most 4096 characters, got 4097"]),
    (message("text", {"body": "a" * 4097}), ["text.body: at most 4096 characters, got 4097"]),
    (message("text", {"body": ""}), ["text.body: expected a string that is not empty"]),
    (message("text", {"body": True}), ["text.body: expected a string, got true or false"]),
    (message("text", {"body": "a", "preview_url": "yes"}), ["text.preview_url: expected true or false, got a string"]),
    (message("text", 5), ["text: expected an object, got a number"]),
    (message("image", {}), ["image: expected exactly one of id, link and stored, got none"]),
    (
        message("image", {"id": "1", "link": LINK}),
        ["image: expected exactly one of id, link and stored, got id and link"],
    ),
    (message("image", {"link": "ftp://x"}), ["image.link: expected an http(s) URL"]),
    (message("image", {"id": True}), ["image.id: expected a string, got true or false"]),
    (message("video", {"id": "1", "caption": "a" * 1025}), ["video.caption: at most 1024 characters, got 1025"]),
    (message("audio", {"id": "1", "caption": "a"}), ["audio.caption: audio has no caption"]),
    (message("location", {"latitude": 91, "longitude": "x"}), ["location.latitude: ", "location.longitude: "]),
    (message("location", {"longitude": True}), ["location.latitude: missing", "location.longitude: expected a number"]),
    (message("contacts", []), ["contacts: expected an array that is not empty"]),
    (message("contacts", [CARD] * 258), ["contacts: at most 257, got 258"]),
    (message("contacts", {"name": "Ana"}), ["contacts: expected an array, got an object"]),
    (message("contacts", [CARD, 5]), ["contacts[1]: expected an object, got a number"]),
    (message("contacts", [{"name": {"formatted_name": "A"}}]), ["contacts[0].name: expected one more part"]),
    (message("contacts", [CARD | {"phones": [{"type": "HOME"}]}]), ["contacts[0].phones[0].phone: missing"]),
    (message("reaction", {"message_id": "wamid.A"}), ["reaction.emoji: missing"]),
    (message("reaction", {"emoji": "x"}), ["reaction.message_id: missing"]),
    (message("reaction", {"message_id": "m", "emoji": "x"}, context={"message_id": "m"}), ["context: a reaction"]),
    (message("text", {"body": "a"}, context={}), ["context.message_id: missing"]),
    (message("text", {"body": "a"}, biz_opaque_callback_data="x" * 385), ["biz_opaque_callback_data: at most 384"]),
    (buttons(), ["interactive.action.buttons: expected an array that is not empty"]),
    (buttons("a", "b", "c", "d"), ["interactive.action.buttons: at most 3, got 4"]),
    (
        buttons("Yes", "It is twenty-three long"),
        ["interactive.action.buttons[1].reply.title: at most 20 characters, got 23"],
    ),
    (buttons("Yes", "Yes"), ["interactive.action.buttons[1].reply.title: expected one that no other has"]),
    (
        interactive("button", {"buttons": [{"type": "reply", "reply": {"id": "i" * 257, "title": "a"}}]}),
        ["interactive.action.buttons[0].reply.id: at most 256 characters, got 257"],
    ),
    (
        interactive("button", {}, body=BODY),
        ["interactive.body.text: at most 1024", "interactive.action.buttons: missing"],
    ),
    (menu(rows(1), body={"text": "x" * 4097}), ["interactive.body.text: at most 4096 characters, got 4097"]),
    (menu(rows(1), footer={"text": "x" * 61}), ["interactive.footer.text: at most 60 characters, got 61"]),
    (menu(rows(1), header={"type": "text", "text": "x" * 61}), ["interactive.header.text: at most 60 characters"]),
    (menu(rows(1), header={"type": "image", "image": {"id": "1"}}), ['interactive.header.type: expected "text"']),
    (
        menu(rows(6), rows(5, start=6)),
        ["interactive.action.sections: at most 10 rows in all sections together, got 11"],
    ),
    (menu(*(rows(1, n) for n in range(11))), ["interactive.action.sections: at most 10, got 11"]),
    (menu(rows(1), rows(1)), ["interactive.action.sections[1].rows[0].id: expected one that no other has"]),
    (
        interactive(
            "list", {"button": "x" * 21, "sections": [{"rows": rows(1)}, {"title": "x" * 25, "rows": rows(1, 1)}]}
        ),
        [
            "interactive.action.button: at most 20 characters, got 21",
            "interactive.action.sections[0].title: missing",
            "interactive.action.sections[1].title: at most 24 characters, got 25",
        ],
    ),
    (
        menu([{"id": "i" * 201, "title": "t" * 25, "description": "d" * 73}]),
        [f"interactive.action.sections[0].rows[0].{key}: at most" for key in ("id", "title", "description")],
    ),
    (
        interactive("cta_url", {"name": "url", "parameters": {"display_text": "x" * 21, "url": "shop"}}),
        [
            'interactive.action.name: expected "cta_url"',
            "interactive.action.parameters.display_text: at most 20",
            "interactive.action.parameters.url: expected an http(s) URL",
        ],
    ),
    (flow(flow_name="x"), ["interactive.action.parameters: expected exactly one of flow_id and flow_name, got both"]),
    (flow(flow_id=None), ["interactive.action.parameters: expected exactly one of flow_id and flow_name, got neither"]),
    (flow(flow_cta="Go \U0001f680"), ["interactive.action.parameters.flow_cta: expected a text without emojis"]),
    (flow(mode="test"), ['interactive.action.parameters.mode: expected "draft" or "published"']),
    (flow(flow_action_payload={}), ["interactive.action.parameters.flow_action_payload.screen: missing"]),
    (
        interactive("location_request_message", {"name": "x"}, footer={}),
        ["interactive.action.name", "interactive.footer"],
    ),
    (message("interactive", {"body": {"text": "a"}}), ["interactive.type: missing"]),
    (
        message("template", {"name": "n" * 513, "language": "de"}),
        ["template.name: at most 512", "template.language: exp"],
    ),
    (template({"parameters": []}), ["template.components[0].type: missing"]),
    (template({"type": "button", "index": True}), [f"template.components[0].{k}" for k in ("sub_type", "index")]),
    (
        template({"type": "body", "parameters": [{"type": "text"}, {"type": "image", "image": {}}, "x"]}),
        [
            "template.components[0].parameters[2]: expected an object, got a string",
            "template.components[0].parameters[0].text: missing",
            "template.components[0].parameters[1].image: expected exactly one of id, link and stored, got none",
        ],
    ),
]


@pytest.mark.parametrize(("request_", "starts"), LIMITS)
def test_limits_and_shapes(request_: dict[str, Any], starts: list[str]) -> None:
    """Each limit of Meta's is told with the place, what was expected and, for lengths, what was got."""
    found = faults(request_)
    assert len(found) == len(starts), found
    assert all(fault.startswith(start) for fault, start in zip(found, starts, strict=True)), found


def test_every_fault_at_once() -> None:
    """Faults of the recipient, the envelope and the message come together, in one error of those outside."""
    request = message("image", {"id": "1", "caption": "x" * 2000}, to="nobody", context={}, recipient_type="x")
    with pytest.raises(TheirsError) as caught:
        send(request)
    text = str(caught.value)
    assert all(f"{place}: " in text for place in ("to", "recipient_type", "context.message_id", "image.caption"))
    assert "nobody" not in text


STRANGE: list[tuple[Any, str]] = [
    (math.nan, "expected a number that JSON can hold"),
    (-math.inf, "expected a number that JSON can hold"),
    (10**5000, "expected a number that JSON can hold"),
    ("a\ud800", "half of a surrogate pair"),
    ({"\udfff": 1}, "expected keys that are text"),
    ({5: 1}, "expected keys that are text"),
    (b"x", "expected JSON, got bytes"),
    ({1, 2}, "expected JSON, got set"),
]


@pytest.mark.parametrize(("value", "fault"), STRANGE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("holder", ["to", "type", "text", "extra", "biz_opaque_callback_data", "status", "recipient"])
def test_strange_values_are_faults(value: Any, fault: str, holder: str) -> None:
    """What JSON cannot carry is a fault with its place wherever it stands, and never another error."""
    assert any(
        line.startswith(f"{holder}: ") and fault in line for line in faults({"to": ANA, "text": "a", holder: value})
    )
    deep = message("image", {"id": "1", "more": [{"a key": value}]})
    assert [line for line in faults(deep) if line.startswith('image.more[0]["a key"]: ') and fault in line]


@pytest.mark.parametrize("request_", [None, [], "text", 5, math.nan, b"{}"])
def test_what_is_no_object(request_: Any) -> None:
    """A request is a JSON object."""
    assert len(faults(request_)) == 1


def test_depth_size_and_number_of_faults_are_bounded() -> None:
    """Deep, endless and large requests are refused in one line, and a thousand faults are cut."""
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert faults(message("text", {"body": "a"}, more=deep))[-1].endswith("at most 50 levels of nesting")
    endless: dict[str, Any] = {}
    endless["a"] = endless["b"] = endless
    assert faults(message("text", {"body": "a"}, more=endless))[-1] == "at most 20000 values"
    assert faults(message("text", {"body": "a"}, more="x" * 65_536))[0].startswith("at most 65536 bytes of JSON, got ")
    assert len(faults(message("contacts", [{}] * 257))) == 51


KEYS = st.sampled_from(
    [
        *("to", "type", "text", "image", "body", "id", "link", "interactive", "action", "buttons", "reply", "title"),
        *("sections", "rows", "template", "components", "parameters", "index", "location", "latitude", "contacts"),
        *("name", "phones", "context", "status", "message_id", "recipient", "recipient_type", "header", "currency"),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([ANA, USER, "text", "button"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_any_json_is_sent_or_refused(request_: dict[str, Any]) -> None:
    """Whatever a request holds, it becomes a body of strict JSON or a list of faults, and stays as it was."""
    before = copy.deepcopy(request_)
    try:
        found = send(request_)
    except SendFault as fault:
        assert fault.faults and all(isinstance(line, str) and line for line in fault.faults)
    else:
        assert json.loads(found.body)["messaging_product"] == "whatsapp"
    assert str(request_) == str(before)


def test_the_callback_is_the_senders_own_until_it_is_put_in() -> None:
    """The sender's `biz_opaque_callback_data` stands beside the body, which takes another one at its end."""
    found = send({"to": ANA, "text": "hi", "biz_opaque_callback_data": 'order-"77"'})
    assert found.callback == 'order-"77"'
    assert "biz_opaque_callback_data" not in json.loads(found.body)
    told = json.loads(with_callback(found.body, 'our "id"\n'))
    assert told == {**json.loads(found.body), "biz_opaque_callback_data": 'our "id"\n'}
    assert with_callback(found.body, "x" * 512)
    for wrong in ("x" * 513, "\ud800"):
        with pytest.raises(SendFault, match="biz_opaque_callback_data"):
            with_callback(found.body, wrong)


def test_quoting() -> None:
    """A message quotes another, a reaction and a mark as read are to it; what is named already stays."""
    request = {"to": ANA, "text": "hi"}
    assert quoting(request, "wamid.A") == {**request, "context": {"message_id": "wamid.A"}}
    assert "context" not in request
    named = {**request, "context": {"message_id": "wamid.B"}}
    assert quoting(named, "wamid.A") == named
    reaction = quoting({"to": ANA, "reaction": {"emoji": "x"}}, "wamid.A")
    assert reaction == {"to": ANA, "reaction": {"emoji": "x", "message_id": "wamid.A"}}
    assert quoting({"status": "read"}, "wamid.A") == {"status": "read", "message_id": "wamid.A"}
    assert all(send(quoted) for quoted in (named, reaction, quoting({"status": "read"}, "wamid.A")))
