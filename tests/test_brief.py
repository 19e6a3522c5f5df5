"""What the event log shows of an event: taken quickly from what is plain, and the same as from the whole payload."""

import json
from typing import Any

import pytest

from tests import meta
from tests.corpus import recorded
from whatshooked import events
from whatshooked.events import Event
from whatshooked.meta import brief, decode, payload

EVENT_ID = "1790000000000-5"


def event(item: dict[str, Any], kind: str = "message.received", **more: Any) -> Event:
    return Event(events.ENTRY_VERSION, kind, "business", json.dumps(item).encode(), meta.PHONE, **more)


def test_quick_and_whole_agree_on_every_recorded_body() -> None:
    """Whatever is told quickly, the payload tells as well."""
    count = 0
    for body in recorded():
        for item in payload.walk(body):
            found = decode.event(item, "business", False).event
            quick = brief._quickly(found)
            if quick is not None:
                count += 1
                assert quick == brief._wholly(found, EVENT_ID, payload=False)
    assert count > 20


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (meta.text("hi", **{"from": "+49 151"}), "message.received"),
        (meta.text("hi", **{"from": ""}), "message.received"),
        (meta.text("hi", type="image", text=None), "message.received"),
        (meta.text("hi", id=7), "message.received"),
        (meta.text("hi", text="bare"), "message.received"),
        (meta.text("hi", errors=[{"code": 131051}]), "message.received"),
        (meta.status(recipient_id="", recipient_user_id="US.1"), "message.sent"),
        (meta.status(recipient_id=None), "message.sent"),
        (meta.status("failed", errors=[{"code": 131026, "title": "No"}]), "message.failed"),
        ({}, "message.received"),
    ],
)
def test_odd_items_are_told_as_the_payload_does(item: dict[str, Any], kind: str) -> None:
    """What is not plain goes the long way; nothing raises."""
    found = event(item, kind)
    assert brief.of(found, EVENT_ID) == brief._wholly(found, EVENT_ID, payload=False)


def test_what_is_nested_without_end_is_told_all_the_same() -> None:
    """A member that nobody looks at cannot stop the log."""
    deep = json.dumps(meta.text("hi"))[:-1] + ', "zzz": ' + "[" * 20_000 + "]" * 20_000 + "}"
    found = Event(events.ENTRY_VERSION, "message.received", "business", deep.encode(), meta.PHONE)
    assert brief.of(found, EVENT_ID).conversation == meta.CUSTOMER


def test_an_error_has_its_code_and_its_words() -> None:
    """A failed status says Meta's code, title and details."""
    error = {"code": 131047, "title": "Re-engagement", "error_data": {"details": "24 hours are over"}}
    found = brief.of(event(meta.status("failed", errors=[error]), "message.failed"), EVENT_ID)
    assert (found.code, found.error) == (131047, "Re-engagement: 24 hours are over")


def test_an_echo_belongs_to_the_customer_it_went_to() -> None:
    """Our own message from the phone names the business as its sender."""
    item = {"from": meta.PHONE, "to": meta.CUSTOMER, "id": "wamid.1", "type": "text", "text": {"body": "hi"}}
    found = brief.of(event(item, "meta.smb_message_echoes", field="smb_message_echoes"), EVENT_ID)
    assert (found.conversation, found.message_id) == (meta.CUSTOMER, "wamid.1")
