"""What hooks receive: the contract's payloads, with all that Meta sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus import recorded
from whatshooked.events import Event
from whatshooked.meta.decode import event
from whatshooked.meta.flatten import payload
from whatshooked.meta.payload import walk

ID = "1790000000000-0"
ANA = {"profile": {"name": "Ana", "username": "ana.k"}, "wa_id": "49151", "user_id": "DE.1"}


def received(item: Any, contact: Any = None, event_id: str = ID, **more: Any) -> dict[str, Any]:
    """Return the payload of an inbound message."""
    return delivered("message.received", item, contact, event_id, **more)


def delivered(name: str, item: Any, contact: Any = None, event_id: str = ID, **more: Any) -> dict[str, Any]:
    raw = item if isinstance(item, bytes) else json.dumps(item).encode()
    person = json.dumps(contact).encode() if contact else b""
    return strict(payload(Event(1, name, "business", raw, "4930000001", person, **more), event_id))


def strict(body: bytes) -> dict[str, Any]:
    """Decode as strictly as a receiver may."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found = json.loads(body.decode("utf-8"), parse_constant=refuse)
    assert isinstance(found, dict)
    body.decode().encode("utf-8")
    return found


def of_type(kind: str, told: Any = None, **more: Any) -> dict[str, Any]:
    return {"from": "49151", "id": "wamid.A", "timestamp": "1790000000", "type": kind, kind: told, **more}


def test_a_text_is_flat() -> None:
    """A text has exactly the contract's keys with what stands beside them, in the contract's order."""
    assert received(of_type("text", {"body": "hi"}), ANA) == {
        "account_id": "business",
        "message_id": "wamid.A",
        "from": "49151",
        "to": "4930000001",
        "text": "hi",
        "timestamp": "2026-09-21T14:13:20Z",
        "is_group": False,
        "sender_name": "Ana",
        "message_type": "text",
        "event_id": ID,
        "user_id": "DE.1",
        "contact": ANA,
    }


WRONG: list[Any] = [None, True, 5, -1.5, "x", [], [[]], [None], {}, {"body": []}, {"message": 5}, {"type": {"a": 1}}]


@pytest.mark.parametrize(
    "key", ["id", "from", "timestamp", "type", "text", "group_id", "from_user_id", "context", "errors"]
)
def test_keys_of_a_wrong_type(key: str) -> None:
    """No key of a wrong type costs the message, and its value is still there; ids and times may be numbers."""
    numbers = (5, -1.5) if key in ("id", "from", "timestamp") else ()
    for wrong in (value for value in WRONG if value not in numbers):
        found = received({**of_type("text", {"body": "hi"}), key: wrong})
        kept = (found.get(key), found.get("raw", {}).get(key), found["message_id"], None)
        assert wrong in kept


@pytest.mark.parametrize("contact", [{"profile": 5}, {"profile": {"name": []}}, {"wa_id": {}, "user_id": []}, {"x": 1}])
def test_contact_of_a_wrong_shape(contact: Any) -> None:
    """A contact that is not what it should be names nobody and is kept."""
    found = received(of_type("text", {"body": "hi"}), contact)
    assert (found["sender_name"], found["from"], found["contact"]) == ("", "49151", contact)


@pytest.mark.parametrize("kind", [None, "unknown", "brand_new", 7, ["text"], ""])
def test_unknown_types_keep_their_raw_value(kind: Any) -> None:
    """A message without type, or of one that nobody knows, has the whole item under `raw`."""
    item = {"from": "49151", "id": "wamid.A", "timestamp": "1790000000", "type": kind, "new": {"body": "hi"}}
    if kind is None:
        del item["type"]
    found = received(item)
    assert found["raw"] == item
    assert found["message_type"] == (str(kind) if isinstance(kind, str | int) and kind else "unknown")


def test_keys_of_ours_are_not_replaced() -> None:
    """A key of Meta's that has one of our names stands under `raw`, any other under its own."""
    item = of_type("text", {"body": "hi", "preview_url": True}, to="x", account_id="y", media=1, new={"a": 1})
    found = received(item)
    assert (found["to"], found["account_id"], found["new"]) == ("4930000001", "business", {"a": 1})
    assert "media" not in found
    assert found["raw"] == item


def test_users_without_a_phone() -> None:
    """Where Meta shows no phone, `from` is the user id, which stands beside it in any case."""
    hidden = of_type("text", {"body": "hi"}, from_user_id="DE.1")
    assert received(hidden)["user_id"] == "DE.1"
    del hidden["from"]
    assert (received(hidden)["from"], received(hidden)["user_id"]) == ("DE.1", "DE.1")
    del hidden["from_user_id"]
    assert received(hidden, {"user_id": "DE.2"})["from"] == "DE.2"
    assert received(hidden, {"wa_id": "49155", "user_id": "DE.2"})["from"] == "49155"
    assert received(hidden)["from"] == ""


@pytest.mark.parametrize(
    ("told", "digits"), [("+49 (151) 2-3", "4915123"), (49151, "49151"), ("GROUP@g.us", "GROUP@g.us")]
)
def test_from_is_digits(told: Any, digits: str) -> None:
    """A phone is its digits; what is no phone stays as it is."""
    assert received({**of_type("text", {"body": "hi"}), "from": told})["from"] == digits


def test_groups_and_names() -> None:
    """A group's message says so; the sender's name is the profile's, else the username."""
    found = received(of_type("text", {"body": "hi"}, group_id="G1"), {"profile": {"username": "ana.k"}})
    assert (found["is_group"], found["group_id"], found["sender_name"]) == (True, "G1", "ana.k")


def test_foreign_numbers_are_marked() -> None:
    """A number that is none of the configured ones is said so, in every kind of payload; else nothing is."""
    item = of_type("text", {"body": "hi"})
    assert received(item, foreign=True)["foreign_number"] is True
    assert delivered("message.read", {"id": "1"}, foreign=True)["data"]["foreign_number"] is True
    assert delivered("meta.calls", {"id": "1"}, foreign=True)["data"]["foreign_number"] is True
    assert "foreign_number" not in received(item)


def test_media_that_was_not_fetched() -> None:
    """A file goes out with what Meta told of it, and that it was not fetched."""
    told = {
        "id": "7",
        "mime_type": "audio/ogg; codecs=opus",
        "sha256": "h",
        "voice": True,
        "filename": "a.ogg",
        "url": "u",
    }
    found = received(of_type("audio", told))
    assert found["media"] == {
        "type": "audio",
        "mime_type": "audio/ogg; codecs=opus",
        "filename": "",
        "error": "not fetched",
        "id": "7",
        "sha256": "h",
        "voice": True,
        "original_filename": "a.ogg",
    }
    assert found["audio"] == told


@pytest.mark.parametrize("event_id", [ID, "3:1790000000000-7"])
def test_time_of_arrival_stands_in(event_id: str) -> None:
    """A message without a usable time has that of its arrival, which its id opens with, and keeps what Meta wrote."""
    found = received({**of_type("text", {"body": "hi"}), "timestamp": "soon"}, event_id=event_id)
    assert (found["timestamp"], found["event_id"]) == ("2026-09-21T14:13:20Z", event_id)
    assert found["raw"]["timestamp"] == "soon"


def test_a_status_is_wrapped() -> None:
    """A status has the contract's data, with all else that Meta told of it."""
    item = {
        "id": "wamid.B",
        "status": "delivered",
        "timestamp": "1790000000",
        "recipient_id": "49151",
        "recipient_user_id": "DE.1",
        "pricing": {"billable": True},
        "conversation": {"id": "c"},
        "errors": [{"code": 1}],
        "biz_opaque_callback_data": "order-77",
        "new": 1,
    }
    told = {
        key: item[key]
        for key in ("status", "recipient_id", "recipient_user_id", "pricing", "conversation", "errors", "new")
    }
    assert delivered("message.delivered", item) == {
        "event_type": "message.delivered",
        "timestamp": "2026-09-21T14:13:20Z",
        "data": {
            **told,
            "account_id": "business",
            "message_id": "wamid.B",
            "from": "49151",
            "timestamp": "2026-09-21T14:13:20Z",
            "callback_data": "order-77",
            "user_id": "DE.1",
            "event_id": ID,
        },
    }


def test_status_without_a_phone() -> None:
    """A status of a user without phone is from the user id; clashing keys stand under `raw`."""
    item = {"id": "wamid.B", "status": "read", "timestamp": "1790000000", "recipient_user_id": "DE.1", "from": "x"}
    data = delivered("message.read", item)["data"]
    assert (data["from"], data["user_id"], data["raw"]) == ("DE.1", "DE.1", item)


def test_a_meta_event_is_wrapped() -> None:
    """A meta event has its field and value, its siblings beside them, and the best time that there is."""
    context = b'{"waba_id":"9","entry_time":1790000000,"array":"calls","field":"never"}'
    found = delivered("meta.calls", {"id": "wacid.A"}, ANA, "1-0", field="calls", context=context)
    assert found == {
        "event_type": "meta.calls",
        "timestamp": "2026-09-21T14:13:20Z",
        "data": {
            "account_id": "business",
            "field": "calls",
            "value": {"id": "wacid.A"},
            "event_id": "1-0",
            "waba_id": "9",
            "entry_time": 1790000000,
            "array": "calls",
            "contact": ANA,
        },
    }
    assert delivered("meta.calls", {"timestamp": "1790000060"}, context=context)["timestamp"] == "2026-09-21T14:14:20Z"
    assert delivered("meta.calls", 5)["data"]["value"] == 5


@pytest.mark.parametrize("name", ["whatsapp.connected", "hook.failed"])
def test_our_own_events_are_wrapped(name: str) -> None:
    """An event of ours is its data, wrapped with its name and the time of its entry."""
    data = {"account_id": "business", "reason": "x"}
    assert delivered(name, data) == {"event_type": name, "timestamp": "2026-09-21T14:13:20Z", "data": data}


@pytest.mark.parametrize(
    "strange",
    [b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 190 + b"1" + b"}" * 190, b"NaN", rb'"\ud800"', b'"\xff"', b"1e999"],
)
@pytest.mark.parametrize("name", ["message.received", "message.read", "meta.calls", "hook.failed"])
def test_strange_values_come_out_as_json(name: str, strange: bytes) -> None:
    """Whatever stands in an item, a hook receives strict JSON in UTF-8, and the rest of the item is in it."""
    found = delivered(name, b'{"id":"wamid.A","type":"text","text":{"body":"hi"},"x":%s}' % strange)
    assert "wamid.A" in json.dumps(found)
    if name == "message.received":
        assert found["text"] == "hi"


def leaves(value: Any) -> Iterator[Any]:
    """Yield every text, number and truth value inside."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    elif value is not None:
        yield value


def test_nothing_recorded_is_lost() -> None:
    """Every value of every recorded item and contact is found again in what the hook receives."""
    for body in recorded():
        for item in walk(body):
            found = strict(payload(event(item, "business", foreign=False).event, ID))
            told = json.loads(item.raw)
            if item.kind != "meta":
                del told["timestamp"]
            seen = set(leaves(found))
            assert set(leaves([told, json.loads(item.contact or b"{}")])) <= seen


@settings(deadline=None, database=None, max_examples=300)
@given(
    raw=st.binary(max_size=40) | st.text('{}[]":,\\u0d8NaI1e. ', max_size=24).map(str.encode),
    event_id=st.text(max_size=9),
)
def test_never_raises(raw: bytes, event_id: str) -> None:
    """Whatever an event holds, there is a payload, and it is strict JSON."""
    for name in ("message.received", "message.read", "meta.calls", "whatsapp.connected"):
        strict(payload(Event(1, name, "a", raw, contact=raw, context=raw), event_id))
