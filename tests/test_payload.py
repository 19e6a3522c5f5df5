"""Every item of a body is found, and nothing in it costs another one."""

import json
from typing import Any

import pytest

from tests.corpus import recorded
from whatshooked.meta import change
from whatshooked.meta.payload import Item, walk
from whatshooked.meta.scan import scan_members

METADATA = {"display_phone_number": "4930000001", "phone_number_id": "1000001"}
ENVELOPE = {"messaging_product": "whatsapp", "metadata": METADATA}
TEXT = {"from": "49151", "id": "wamid.A", "timestamp": "1790000000", "type": "text", "text": {"body": "hi"}}
SENT = {"id": "wamid.B", "status": "sent", "timestamp": "1790000001", "recipient_id": "49152"}
ANA = {"profile": {"name": "Ana"}, "wa_id": "49151", "user_id": "DE.1"}
BO = {"profile": {"name": "Bo"}, "wa_id": "49152"}


def webhook(value: Any, field: Any = "messages", **entry: Any) -> bytes:
    """Return a body of one change."""
    change = {"value": value, "field": field}
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [change], **entry}]}
    ).encode()


def loads(raw: bytes | str) -> Any:
    return json.loads(raw)


def told(items: list[Item]) -> list[tuple[str, str, Any]]:
    return [(item.kind, item.field, loads(item.raw)) for item in items]


def members_of(body: bytes, name: str) -> list[Any]:
    """Return what stands in the `messages` changes' arrays of this name, counted without the code under test."""
    changes = [change for entry in loads(body)["entry"] for change in entry["changes"] if change["field"] == "messages"]
    return [member for change in changes for member in change["value"].get(name, [])]


def test_recorded_bodies_are_walked_whole() -> None:
    """Each message and status of every recorded body is one item, in order, and no body is refused or empty."""
    for body in recorded():
        items = walk(body)
        assert items
        assert [loads(item.raw) for item in items if item.kind == "message"] == members_of(body, "messages")
        assert [loads(item.raw) for item in items if item.kind == "status"] == members_of(body, "statuses")


def test_short_way_and_careful_way_agree() -> None:
    """The typed decode finds in every recorded body what the careful walk finds."""
    for body in recorded():
        assert walk(body) == change.items(body)


def test_an_item_knows_where_it_stood() -> None:
    """A message carries the WABA, the number's id and digits, and its sender's contact, as bytes of the body."""
    body = webhook({**ENVELOPE, "contacts": [ANA], "messages": [TEXT], "statuses": [SENT]}, time=1790000005)
    message, status = walk(body)
    assert (message.waba_id, message.phone_number_id, message.to) == ("9", "1000001", "4930000001")
    assert loads(message.contact) == ANA
    assert message.raw in body
    assert message.time == status.time == 1790000005
    assert walk(body) == change.items(body)


def test_number_shown_with_marks_is_digits() -> None:
    """`to` is digits only, however Meta writes the number."""
    odd = {"display_phone_number": "+1 555-010 3793", "phone_number_id": "1"}
    assert walk(webhook({**ENVELOPE, "metadata": odd, "messages": [TEXT]}))[0].to == "15550103793"


def test_several_contacts_go_to_their_own() -> None:
    """Of several contacts each item has its own, by phone or user id; one that nobody took is an item itself."""
    hidden = {"from_user_id": "DE.1", "id": "wamid.C", "type": "text"}
    cleo = {"profile": {"name": "Cleo"}, "wa_id": "49153"}
    value = {**ENVELOPE, "contacts": [BO, ANA, cleo], "messages": [TEXT, hidden], "statuses": [SENT]}
    body = webhook(value)
    *items, left = walk(body)
    assert [loads(item.contact) for item in items] == [ANA, ANA, BO]
    assert loads(left.raw) == {"contacts": [cleo]}
    assert change.items(body) == walk(body)


def test_contact_of_an_unreadable_item_is_found() -> None:
    """An item that a strict parser refuses still finds its contact among several."""
    value = {**ENVELOPE, "contacts": [ANA, BO], "messages": [{**TEXT, "x": float("nan")}, {**TEXT, "from": "49152"}]}
    assert [loads(item.contact) for item in walk(webhook(value))] == [ANA, BO]


ERROR = {"code": 131000, "title": "Something went wrong"}
CALL = {"id": "wacid.A", "event": "connect"}
ECHO = {"from": "4930000001", "to": "49151", "id": "wamid.E"}
TABLE: list[tuple[str, dict[str, Any], list[tuple[str, str, Any]]]] = [
    ("messages", {"messages": [TEXT], "errors": [ERROR]}, [("message", "messages", TEXT), ("meta", "errors", ERROR)]),
    ("messages", {"user_actions": [{"a": 1}, {"a": 2}]}, [("meta", "user_actions", {"a": n}) for n in (1, 2)]),
    ("messages", {"messages": [TEXT], "new": 1}, [("message", "messages", TEXT), ("meta", "messages", {"new": 1})]),
    ("messages", {"messages": [TEXT, 5]}, [("message", "messages", TEXT), ("meta", "messages", 5)]),
    (
        "messages",
        {"messages": {"0": TEXT}, "statuses": [SENT]},
        [("status", "messages", SENT), ("meta", "messages", {"messages": {"0": TEXT}})],
    ),
    ("calls", {"calls": [CALL], "statuses": [SENT]}, [("meta", "calls", CALL), ("meta", "calls", SENT)]),
    ("calls", {"calls": [CALL], "errors": [ERROR]}, [("meta", "calls", CALL), ("meta", "errors", ERROR)]),
    ("smb_message_echoes", {"message_echoes": [ECHO]}, [("meta", "smb_message_echoes", ECHO)]),
    ("message_echoes", {"message_echoes": [ECHO]}, [("meta", "message_echoes", ECHO)]),
    ("smb_app_state_sync", {"state_sync": [{"a": 1}]}, [("meta", "smb_app_state_sync", {"a": 1})]),
    (
        "group_anything",
        {"groups": [{"g": 1}], "x": 0},
        [("meta", "group_anything", {n: v}) for n, v in (("g", 1), ("x", 0))],
    ),
    ("user_preferences", {"user_preferences": [{"a": 1}]}, [("meta", "user_preferences", {"a": 1})]),
    ("automatic_events", {"automatic_events": [{"a": 1}]}, [("meta", "automatic_events", {"a": 1})]),
    (
        "standby",
        {"standby": {"messages": [TEXT], "message_echoes": [ECHO], "statuses": [SENT], "new": 1}},
        [("meta", "standby", part) for part in (TEXT, ECHO, SENT, {"new": 1})],
    ),
    ("brand_new", {"things": [1, {"a": 1}]}, [("meta", "brand_new", 1), ("meta", "brand_new", {"a": 1})]),
    ("security", {"messages": [TEXT]}, [("meta", "security", TEXT)]),
]


@pytest.mark.parametrize(("field", "value", "expected"), TABLE)
def test_arrays_of_a_field(field: str, value: dict[str, Any], expected: list[tuple[str, str, Any]]) -> None:
    """A field's array gives one item for each member, what stands beside it one more, and only `messages` messages."""
    assert told(walk(webhook({**ENVELOPE, **value}, field))) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", {**ENVELOPE, "contacts": [ANA]}),
        ("messages", {"messages": []}),
        ("account_update", {"event": "ACCOUNT_DELETED"}),
        ("account_alerts", {"things": [1], "and": 2}),
        ("unknown_field_xyz", {}),
        ("calls", {"calls": {}}),
        ("history", {"history": 5}),
        ("messages", "a text"),
        ("messages", None),
        ("flows", [TEXT]),
    ],
)
def test_values_without_members_stay_whole(field: str, value: Any) -> None:
    """Where there is no array of items, the change is one item: its value as it is."""
    assert told(walk(webhook(value, field))) == [("meta", field, value)]


def test_history_is_told_message_by_message() -> None:
    """Each message of a history is an item that knows its thread and chunk; what has no message is one itself."""
    chunk = {"metadata": {"phase": 1}, "threads": [{"id": "49151", "messages": [TEXT, ECHO]}, {"id": "49152"}], "x": 1}
    declined = {"errors": [ERROR]}
    items = walk(webhook({**ENVELOPE, "history": [chunk, declined]}, "history"))
    assert told(items) == [("meta", "history", part) for part in (TEXT, ECHO, {"id": "49152"}, {"x": 1}, declined)]
    context = loads(items[0].context)
    assert (context["thread_id"], context["history_metadata"]) == ("49151", {"phase": 1})
    assert "thread_id" not in loads(items[2].context)


def test_meta_items_keep_their_siblings() -> None:
    """A call keeps the metadata, its contact, the array it stood in, and the entry's id and time."""
    body = webhook({**ENVELOPE, "contacts": [ANA], "calls": [CALL]}, "calls", time=1790000005)
    (call,) = walk(body)
    assert loads(call.context) == {"waba_id": "9", "entry_time": 1790000005, "metadata": METADATA, "array": "calls"}
    assert loads(call.contact) == ANA


def test_large_siblings_are_told_once() -> None:
    """What is too large to repeat with each item becomes one item, so that no body grows on its way in."""
    huge = {**ANA, "x": "y" * 100_000}
    items = walk(webhook({**ENVELOPE, "contacts": [huge], "messages": [TEXT] * 50}))
    assert sum(len(item.raw) + len(item.contact) + len(item.context) for item in items) < 120_000
    assert loads(items[-1].raw) == {"contacts": [huge]}


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ({"entry": 5}, [5]),
        ({"entry": None}, [None]),
        ({"entry": []}, []),
        ({"entry": {"id": "9"}}, [{"id": "9"}]),
        ({"entry": [5, "x"]}, [5, "x"]),
        ({"entry": [{"id": "9"}]}, [{"id": "9"}]),
        ({"entry": [{"id": "9", "changes": {}}]}, [{"id": "9", "changes": {}}]),
        ({"entry": [{"id": "9", "changes": [5, {"value": 1}]}]}, [5, {"value": 1}]),
        ({"entry": [{"id": "9", "changes": [{"field": 7, "value": 1}]}]}, [{"field": 7, "value": 1}]),
        ({"entry": [{"id": "9", "changes": [], "messaging": [1]}]}, [{"messaging": [1]}]),
        ({"entry": [], "new": 1}, [{"new": 1}]),
        ({"entry": [{"id": ["9"], "changes": []}]}, [{"id": ["9"]}]),
    ],
)
def test_what_has_no_place_is_kept(top: dict[str, Any], expected: list[Any]) -> None:
    """What stands where no item can is kept as it is, under the field `unknown`."""
    items = walk(json.dumps(top).encode())
    assert told(items) == [("meta", "unknown", part) for part in expected]


def test_what_a_change_has_beside_its_value_is_kept() -> None:
    """A change without value, or with keys beside it, loses none of them."""
    body = {"entry": [{"id": "9", "changes": [{"field": "flows", "x": 1}, {"field": "flows", "value": {}, "y": 2}]}]}
    assert [part for _, _, part in told(walk(json.dumps(body).encode()))] == [{"field": "flows", "x": 1}, {}, {"y": 2}]


def test_last_of_equal_keys_wins() -> None:
    """Of equal keys the last counts, on both ways."""
    body = webhook({**ENVELOPE, "messages": [TEXT]})
    twice = body.replace(b'"messages": [', b'"messages": [{"id": "first"}], "messages": [')
    assert told(walk(twice)) == told(walk(body))
    assert change.items(twice) == walk(twice)


def test_escaped_keys() -> None:
    """A key is what its escapes say, on both ways."""
    body = webhook({**ENVELOPE, "messages": [TEXT]}).replace(b'"messages": [', rb'"m\u0065ssages": [')
    assert told(walk(body)) == [("message", "messages", TEXT)]
    assert scan_members(rb'{"\u0061\ud83d\ude00":1,"\ud800":2,"\x":3}') == {"a😀": b"1", "\ufffd": b"2", r"\x": b"3"}
