"""Items become events, and the same thing of Meta's has the same identity, however often it comes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus import recorded
from whatshooked import events
from whatshooked.meta.decode import decode_item, event
from whatshooked.meta.lenient import DEEPEST, seconds
from whatshooked.meta.payload import Item, walk

MESSAGE = {"from": "49151", "id": "wamid.A", "timestamp": "1790000000", "type": "text", "text": {"body": "hi"}}
STATUS = {"id": "wamid.B", "status": "read", "timestamp": "1790000001", "recipient_id": "49152"}


def message(told: Any = MESSAGE, **more: Any) -> Item:
    return Item("message", "messages", json.dumps({**told, **more}).encode(), "9", "1000001", "4930000001")


def status(**more: Any) -> Item:
    return Item("status", "messages", json.dumps({**STATUS, **more}).encode())


def meta(field: str = "calls", raw: bytes = b'{"event":"connect"}', **more: Any) -> Item:
    return Item("meta", field, raw, **more)


def identity(item: Item, account: str = "business") -> bytes:
    return event(item, account, foreign=False).identity


def test_a_message_becomes_an_event() -> None:
    """The event holds Meta's item verbatim, whose it is and where it went, and Meta's own time beside it."""
    item = message()
    incoming = event(item, "business", foreign=True)
    assert incoming.event == events.Event(1, "message.received", "business", item.raw, "4930000001", foreign=True)
    assert incoming.day == 1790000000 // 86400
    assert len(incoming.identity) == 16
    assert events.decode(events.encode(incoming.event)) == incoming.event


def test_redelivery_has_the_same_identity() -> None:
    """Meta may write the same message with other spaces, key order or number forms: it stays the same event."""
    again = Item("message", "messages", b'{"timestamp":1790000000,"type" : "text","id":"wamid.A"}')
    assert identity(again) == identity(message())


@pytest.mark.parametrize(
    "other",
    [
        message(id="wamid.C"),
        message(type="edit"),
        message(timestamp="1790000002"),
        message(id="wamid.A1790000000", timestamp=""),
        message(id="wamid.A\0text", type=""),
        Item("status", "messages", message().raw),
        meta("messages", message().raw),
    ],
)
def test_other_messages_have_another_identity(other: Item) -> None:
    """Id, type and time each tell messages apart, and no two of them run together."""
    assert identity(other) != identity(message())


def test_accounts_do_not_share_identities() -> None:
    """The same body posted to two accounts is two events."""
    assert identity(message(), "a") != identity(message(), "b")
    assert identity(status(), "a") != identity(status(), "b")
    assert identity(meta(), "a") != identity(meta(), "b")


def test_statuses_of_a_group_are_told_apart() -> None:
    """In a group the recipient is the group: each participant's status is one of its own, by phone or user id."""
    group = {"recipient_id": "120363@g.us", "recipient_type": "group"}
    told = [
        status(),
        status(status="played"),
        status(timestamp="1790000009"),
        status(recipient_id="49153"),
        status(recipient_id=None, recipient_user_id="DE.1"),
        status(**group),
        status(**group, recipient_participant_id="49152"),
        status(**group, recipient_participant_id="49153"),
        status(**group, recipient_participant_user_id="DE.1"),
    ]
    assert len({identity(item) for item in told}) == len(told)
    assert identity(status(pricing={"billable": True})) == identity(status())


def test_without_an_id_the_bytes_are_the_identity() -> None:
    """A message without id, and whatever is no message, is known by its bytes and field."""
    nameless = [message({}, text=1), message({}, text=2), meta(), meta("other"), meta(raw=b'{"event":"terminate"}')]
    assert len({identity(item) for item in nameless}) == len(nameless)
    assert identity(meta()) == identity(meta())


def test_equal_alerts_of_two_changes_are_two_events() -> None:
    """An item that bears no time is told apart by its change; one that does is the same in any change."""
    assert identity(meta(origin=b"1")) != identity(meta(origin=b"2"))
    timed = b'{"event":"connect","timestamp":"1790000000"}'
    assert identity(meta(raw=timed, origin=b"1")) == identity(meta(raw=timed, origin=b"2"))
    body = b'{"entry":[{"id":"9","time":%d,"changes":[{"field":"account_update","value":{"event":"FLAGGED"}}]}]}'
    first, again, later = (walk(body % when)[0] for when in (1790000000, 1790000000, 1790090000))
    assert identity(first) == identity(again)
    assert identity(first) != identity(later)


def test_recorded_items_are_told_apart() -> None:
    """No recorded body holds two items of one identity, and walking it again finds the same ones."""
    for body in recorded():
        identities = [identity(item) for item in walk(body)]
        assert len(set(identities)) == len(identities)
        assert [identity(item) for item in walk(body)] == identities


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("sent", "message.sent"),
        ("delivered", "message.delivered"),
        ("read", "message.read"),
        ("failed", "message.failed"),
        ("played", "message.played"),
        ("DELETED", "message.deleted"),
        ("received", "message.unknown"),
        ("", "message.unknown"),
        ("a b", "message.unknown"),
        ("é", "message.unknown"),
        ("x\n", "message.unknown"),
        ("x" * 33, "message.unknown"),
        (None, "message.unknown"),
        (7, "message.unknown"),
        ({"a": 1}, "message.unknown"),
    ],
)
def test_status_names_the_event(told: Any, name: str) -> None:
    """Any status of Meta's names its event if it can stand in a name, but none can pass for an inbound message."""
    assert event(status(status=told), "a", foreign=False).event.type == name


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("calls", "meta.calls"),
        ("Some.new-Field_2", "meta.Some.new-Field_2"),
        ("a b", "meta.unknown"),
        ("", "meta.unknown"),
        ("*", "meta.unknown"),
        ("x" * 65, "meta.unknown"),
        ("calls\n", "meta.unknown"),
    ],
)
def test_field_names_the_event(field: str, name: str) -> None:
    """A field of Meta's names its event if it can stand in a name, and is kept as it is beside it."""
    made = event(meta(field), "a", foreign=False).event
    assert (made.type, made.field) == (name, field)


@pytest.mark.parametrize("told", [None, "", "soon", "-1", -1, [], {}, True, "nan", "inf", "9" * 400, 1e300, "0"])
def test_no_usable_time(told: Any) -> None:
    """An item without a time that can be one has day 0, or its entry's."""
    item = message(timestamp=told)
    incoming = event(item, "a", foreign=False)
    assert incoming.day == 0
    item.time = 1790000005
    assert event(item, "a", foreign=False).day == 1790000005 // 86400


@pytest.mark.parametrize(
    "told", ["1790000000", 1790000000, 1790000000.0, "1790000000.0", 1790000000123, " 1790000000 "]
)
def test_forms_of_time(told: Any) -> None:
    """Meta writes times as text or number, in seconds and here and there in ms."""
    assert seconds(told) == 1790000000


NESTED = b"[" * 10_000 + b"]" * 10_000


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN"}', {"a": None, "b": [None, None], "c": "NaN"}),
        (rb'{"a":"x\ud800y","b":"\ud83d\ude00","c":"\\ud800"}', {"a": "x\ufffdy", "b": "😀", "c": r"\ud800"}),
        (rb'{"a":{"b":["\ude00\ud83d"]}}', {"a": {"b": ["\ufffd\ufffd"]}}),
        (b'{"a":"\xff","b":"\xc3\xa4","\xfe":1}', {"a": "\ufffd", "b": "ä", "\ufffd": 1}),
        (b'{"a":"\x01\n","b":"\\x"}', {"a": "\x01\n", "b": r"\x"}),
        (b'{"a":%s,"b":1}' % NESTED, {"a": NESTED.decode(), "b": 1}),
        (b'{"a":1e999,"b":{"c":1e999}}', {"a": "1e999", "b": '{"c":1e999}'}),
        (b"[1,NaN]", {"value": [1, None]}),
        (b'"text"', {"value": "text"}),
        (b"null", {"value": None}),
        (NESTED, {"value": NESTED.decode()}),
        (b"", {"value": ""}),
        (b"{", {"value": "{"}),
        (b"\xff", {"value": "\ufffd"}),
    ],
)
def test_decode_item(raw: bytes, expected: dict[str, Any]) -> None:
    """Of an item that a strict parser refuses only what it stops at is changed, each in the mildest way."""
    assert decode_item(raw) == expected


def test_depth_that_is_handed_on() -> None:
    """What receivers' parsers can take stays JSON; one level more is text, brackets in strings not counted."""
    deep, deeper = (b"[" * (DEEPEST - 1 + more) + b"]" * (DEEPEST - 1 + more) for more in (0, 1))
    assert isinstance(decode_item(b'{"a":%s}' % deep)["a"], list)
    assert decode_item(b'{"a":[%s]}' % deeper)["a"] == f"[{deeper.decode()}]"
    assert decode_item(b'{"a":["%s"]}' % (b"[" * 500)) == {"a": ["[" * 500]}
    wide = json.dumps({"a": [{}] * 500, "b": '\\"{'})
    assert decode_item(wide.encode()) == json.loads(wide)


@settings(deadline=None, database=None, max_examples=300)
@given(raw=st.binary(max_size=40) | st.text('{}[]":,\\u0d8NaI1e. ', max_size=24).map(str.encode))
def test_decode_never_raises(raw: bytes) -> None:
    """Whatever the bytes, there is a dict, and an event with an identity."""
    assert isinstance(decode_item(raw), dict)
    for kind in ("message", "status", "meta"):
        assert len(event(Item(kind, "f", raw), "a", foreign=False).identity) == 16
