"""What hooks' answers ask to send."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.outgoing import DOCUMENTED, GROUP, LINK, USER
from whatshooked.events import Event
from whatshooked.meta import reply
from whatshooked.meta.reply import Replies, Reply, Unusable

ANA = "4915112345678"
ASKS = {"send_message": True}
HELLO = ASKS | {"text": "Thanks!"}


def event(item: Any = None, kind: str = "message.received", contact: Any = None, foreign: bool = False) -> Event:
    told = {"from": ANA, "id": "wamid.A", "type": "text", "text": {"body": "hi"}} if item is None else item
    person = json.dumps(contact).encode() if contact else b""
    return Event(1, kind, "business", json.dumps(told).encode(), "4930000001", person, foreign=foreign)


def read(answer: Any, of: Event | None = None) -> Replies | Unusable | None:
    of = of or event()
    return reply.read(
        answer if isinstance(answer, bytes) else json.dumps(answer).encode(),
        event=of,
        sender=reply.addressee(of),
        message_id=reply.message(of),
        accounts=frozenset(("business", "shop")),
        country_code="49",
    )


def replies(answer: Any, of: Event | None = None) -> tuple[Reply, ...]:
    found = read(answer, of)
    assert isinstance(found, Replies), found
    return found.messages


def body(answer: Any, of: Event | None = None) -> dict[str, Any]:
    (one,) = replies(answer, of)
    found = json.loads(one.outgoing.body)
    assert isinstance(found, dict)
    return found


def unusable(answer: Any, of: Event | None = None) -> str:
    found = read(answer, of)
    assert isinstance(found, Unusable), found
    return found.reason


TEXT = {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": "text", "text": {"body": "Thanks!"}}


def test_the_contracts_form() -> None:
    """`to`, `text` and `account_id` say it all; without them the event's account answers the sender."""
    (whole,) = replies(HELLO | {"to": "0151 1234567", "account_id": "shop"})
    assert (whole.account_id, whole.outgoing.to, whole.outgoing.kind) == ("shop", "491511234567", "text")
    (short,) = replies(HELLO)
    assert (short.account_id, short.outgoing.to) == ("business", ANA)
    assert json.loads(short.outgoing.body) == TEXT
    assert replies(HELLO | {"to": "", "account_id": None}) == (short,)


NOT_ASKING: list[Any] = [
    *(
        b"",
        b"ok",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"<html>send_message</html>",
        b'"send_message: true"',
        b'{"send_message',
    ),
    *([], {}, 5, {"send_message": False}, {"send_message": None}, {"send_message": "false"}, {"text": "hi"}),
    *({"data": HELLO}, [HELLO | {"send_message": False}], [[HELLO]], {"send_message": 0, "text": "hi"}),
    {"text": "we send_message: true when asked"},
    b"x" * 100_000,
]


@pytest.mark.parametrize("answer", NOT_ASKING, ids=lambda answer: repr(answer)[:30])
def test_answers_that_do_not_ask(answer: Any) -> None:
    """Any other 2xx answer is accepted and ignored, whatever it is."""
    assert read(answer) is None


BROKEN: list[tuple[Any, str]] = [
    (b'{"send_message": true, "text": "hi"', "is no JSON"),
    (b"{'send_message': True, 'text': 'hi'}", "is no JSON"),
    (b"send_message=true&text=hi", "is no JSON"),
    (b'{"send_message":true,"text":"\\ud83d"}', "is no JSON"),
    (b'{"send_message":true,"x":NaN}', "is no JSON"),
    (b'{"send_message":true,"x":' + b"[" * 60_000, "is no JSON"),
    (HELLO | {"more": "x" * 65_536}, "over 65536 bytes"),
    (HELLO | {"send_message": "true"}, "send_message: expected true, got a string"),
    (HELLO | {"send_message": 1}, "send_message: expected true, got a number"),
    (HELLO | {"account_id": "gone"}, "account_id: no account"),
    (HELLO | {"account_id": True}, "account_id: no account"),
    (HELLO | {"to": "Bob"}, "to: expected a phone number"),
    (HELLO | {"to": False}, "to: expected a string, got true or false"),
    (ASKS, "type: missing"),
    (ASKS | {"text": ""}, "text: expected a string that is not empty"),
    (ASKS | {"text": "x" * 4097}, "text: at most 4096 characters, got 4097"),
    (ASKS | {"message": {"type": "image", "image": {}}}, "image: expected exactly one of id, link and stored"),
    ([HELLO] * 51, "at most 50 messages in an answer, got 51"),
    ([HELLO, "x", ASKS | {"text": 5}], "[2].text: expected an object, got a number"),
]


@pytest.mark.parametrize(("answer", "reason"), BROKEN, ids=lambda value: repr(value)[:40])
def test_answers_that_cannot_be_used(answer: Any, reason: str) -> None:
    """An answer that asks to send and cannot be used is told from one that does not ask, with the reason."""
    assert reason in unusable(answer)


def test_every_fault_of_an_answer_is_told() -> None:
    """The account, the recipient and the text are told at once, in a line that is cut where it grows long."""
    reason = unusable(HELLO | {"account_id": "gone", "to": "Bob", "text": 5})
    assert all(place in reason for place in ("account_id: ", "to: ", "text: "))
    assert len(unusable([ASKS] * 50)) < 450


def test_a_foreign_number_needs_its_account_named() -> None:
    """The account of an event of a number that is nobody's cannot be the sender by itself."""
    foreign = event(foreign=True)
    assert unusable(HELLO, foreign).startswith("account_id: missing")
    assert replies(HELLO | {"account_id": "shop"}, foreign)[0].account_id == "shop"


def test_nobody_to_answer() -> None:
    """An event without a person needs `to`."""
    connected = event({"account_id": "business", "phone_number": "4930000001"}, "whatsapp.connected")
    assert unusable(HELLO, connected).startswith("to: missing")
    assert replies(HELLO | {"to": ANA}, connected)[0].outgoing.to == ANA


def test_a_list_is_sent_in_its_order() -> None:
    """Several messages, each with its own account and recipient; what does not ask is passed over."""
    found = replies([HELLO, {"text": "no"}, "x", ASKS | {"to": USER, "text": "b", "account_id": "shop"}])
    assert [(one.account_id, one.outgoing.to) for one in found] == [("business", ANA), ("shop", USER)]
    assert len(replies([HELLO] * 50)) == 50


@pytest.mark.parametrize("request_", DOCUMENTED, ids=lambda told: str(told.get("type")))
def test_any_kind_may_be_sent(request_: dict[str, Any]) -> None:
    """A reply is any message that the API takes, its keys beside `send_message` or as Meta's body under `message`."""
    inline = body(ASKS | request_)
    assert inline == body(ASKS | {"message": request_})
    assert inline[inline["type"]] == request_.get(inline["type"])
    bare = {key: value for key, value in request_.items() if key != "to"}
    assert body(ASKS | {"message": bare, "to": f"+{ANA}"}) == body(ASKS | bare) == inline


def test_keys_of_the_hooks_own_stay_here() -> None:
    """A hook may answer with more than the reply; `status` and `message` in its own sense are no part of it."""
    own = {"status": "ok", "message": "processed", "id": 5, "ts": 1.5, "data": {"a": [1]}}
    assert body(HELLO | own) == TEXT


def test_quoting_the_message() -> None:
    """`reply` quotes the event's message; a reaction and a mark as read are to it."""
    assert body(HELLO | {"reply": True}) == TEXT | {"context": {"message_id": "wamid.A"}}
    assert body(HELLO | {"reply": False}) == body(HELLO | {"reply": "yes"}) == TEXT
    reaction = body(ASKS | {"reply": True, "reaction": {"emoji": "\U0001f44d"}})
    assert reaction["reaction"] == {"emoji": "\U0001f44d", "message_id": "wamid.A"}
    (read_mark,) = replies(ASKS | {"reply": True, "status": "read", "typing_indicator": {"type": "text"}})
    assert (read_mark.outgoing.to, read_mark.outgoing.kind) == ("", "read")
    assert json.loads(read_mark.outgoing.body)["message_id"] == "wamid.A"
    call = event({"id": "wacid.A", "from": ANA}, "meta.calls")
    assert unusable(HELLO | {"reply": True}, call).startswith("reply: ")


def test_a_byte_order_mark_is_no_part_of_the_answer() -> None:
    """Some receivers begin their UTF-8 with a mark."""
    assert read(b"\xef\xbb\xbf" + json.dumps(HELLO).encode()) == read(HELLO)


WHO: list[tuple[Event, str]] = [
    (event(), ANA),
    (event({"from": "+49 151 12345678", "from_user_id": USER}), ANA),
    (event({"from_user_id": USER}), USER),
    (event({"id": "wamid.A"}, contact={"user_id": USER, "wa_id": ANA}), ANA),
    (event({"id": "wamid.A"}, contact={"user_id": USER}), USER),
    (event({"from": ANA, "group_id": GROUP}), GROUP),
    (event({"status": "read", "recipient_id": ANA, "recipient_user_id": USER}, "message.read"), ANA),
    (event({"status": "read", "recipient_user_id": USER}, "message.read"), USER),
    (event({"status": "sent", "recipient_id": GROUP, "recipient_type": "group"}, "message.sent"), GROUP),
    (event({"from": "4930000001", "to": ANA, "id": "wamid.E"}, "meta.smb_message_echoes"), ANA),
    (event({"from": ANA, "to": "4930000001", "id": "wacid.A"}, "meta.calls"), ANA),
    (event(["no object"]), ""),
    (event({"from": None, "group_id": [], "from_user_id": {}}), ""),
    (event({"phone_number": ANA}, "whatsapp.connected"), ""),
]


@pytest.mark.parametrize(("of", "who"), WHO)
def test_whom_a_reply_goes_to(of: Event, who: str) -> None:
    """The group, else the phone, else the user id; of a status the recipient, of an echo the customer."""
    assert reply.addressee(of) == who


def test_the_message_of_an_event() -> None:
    """Only events of messages have one to quote."""
    assert reply.message(event()) == "wamid.A"
    assert reply.message(event({"id": "wamid.B"}, "message.read")) == "wamid.B"
    assert reply.message(event({"id": "wacid.A"}, "meta.calls")) == ""
    assert reply.message(event([])) == ""


@pytest.mark.parametrize("shown", ["49151", "155501079723", "1555010334043", "551187654321"])
def test_a_hook_that_echoes_the_sender_reaches_them(shown: str) -> None:
    """`from` of the payload as `to` of the answer is the same person, though no rule would take the number."""
    of = event({"from": shown, "id": "wamid.A"})
    assert replies(HELLO, of) == replies(HELLO | {"to": shown}, of) == replies(HELLO | {"to": f"+{shown}"}, of)
    assert replies(HELLO, of)[0].outgoing.to == shown


def test_a_group_is_answered_as_a_group() -> None:
    """A message in a group is answered there."""
    found = body(HELLO, event({"from": ANA, "group_id": GROUP, "id": "wamid.A"}))
    assert (found["to"], found["recipient_type"]) == (GROUP, "group")


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60)
    | st.builds(
        lambda told: json.dumps(told).encode(),
        st.dictionaries(
            st.sampled_from(
                ["send_message", "to", "text", "account_id", "reply", "message", "type", "image", "status"]
            ),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just({"link": LINK}),
        ),
    )
)
def test_no_answer_is_too_strange(answer: bytes) -> None:
    """Whatever a hook answers, reading it comes to one of three outcomes."""
    assert isinstance(read(answer), Replies | Unusable | None)
