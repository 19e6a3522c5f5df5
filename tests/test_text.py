"""What a message says, by its type."""

from typing import Any

import pytest

from tests.test_flatten import WRONG, of_type, received

INTERACTIVE = {
    "button_reply": ({"id": "1", "title": "Yes"}, "Yes"),
    "list_reply": ({"id": "1", "title": "Two", "description": "d"}, "Two"),
    "nfm_reply": ({"name": "flow", "body": "Sent", "response_json": "{}"}, "Sent"),
    "call_permission_reply": ({"response": "accept"}, ""),
}
OFFICE = {"latitude": 40.7128, "longitude": -74.006, "name": "Office", "address": "123 Main St"}
CARDS = [{"name": {"formatted_name": "Ana Silva"}}, {"name": {"first_name": "Bo", "last_name": "Lee"}}]
ITEMS = [{"product_retailer_id": str(number), "quantity": 2} for number in range(3)]
TEXTS: list[tuple[str, Any, str]] = [
    ("text", {"body": "hi\n😀"}, "hi\n😀"),
    ("image", {"id": "1", "caption": "look"}, "look"),
    ("video", {"id": "1", "caption": "look"}, "look"),
    ("document", {"id": "1", "caption": "read", "filename": "a.pdf"}, "read"),
    ("image", {"id": "1"}, ""),
    ("audio", {"id": "1", "voice": True}, ""),
    ("sticker", {"id": "1", "animated": False}, ""),
    ("location", OFFICE, "Location: Office (123 Main St) - 40.712800, -74.006000"),
    ("location", {**OFFICE, "name": None}, "Location: (123 Main St) - 40.712800, -74.006000"),
    ("location", {**OFFICE, "address": ""}, "Location: Office - 40.712800, -74.006000"),
    ("location", {"latitude": "40.7128", "longitude": 0}, "Location: 40.712800, 0.000000"),
    ("location", {"name": "Office", "latitude": "north", "longitude": 1}, "Location: Office"),
    ("location", {"latitude": float("nan"), "longitude": 1}, ""),
    ("location", {}, ""),
    ("contacts", CARDS, "Contacts: Ana Silva, Bo Lee"),
    ("contacts", [{"phones": [{"phone": "+49 1"}]}, {}, 5], "Contacts: +49 1"),
    ("contacts", [], ""),
    *[("interactive", {"type": kind, kind: told}, said) for kind, (told, said) in INTERACTIVE.items()],
    ("interactive", {"type": "product"}, ""),
    ("button", {"payload": "p", "text": "Yes"}, "Yes"),
    ("reaction", {"message_id": "wamid.B", "emoji": "👍"}, "👍"),
    ("reaction", {"message_id": "wamid.B"}, ""),
    ("order", {"catalog_id": "1", "product_items": ITEMS}, "Order: 3 items"),
    ("order", {"product_items": ITEMS, "text": "soon, please"}, "Order: 3 items - soon, please"),
    ("order", {"product_items": ITEMS[:1], "text": ""}, "Order: 1 items"),
    ("system", {"type": "user_changed_number", "body": "Ana changed"}, "Ana changed"),
    ("edit", {"message": {"type": "text", "text": {"body": "new"}}}, "new"),
    ("edit", {"message": {"type": "image", "image": {"caption": "new"}}}, "new"),
    ("edit", {"message": {"type": "edit", "edit": {"message": {"type": "text", "text": {"body": "newer"}}}}}, "newer"),
    ("edit", {"original_message_id": "wamid.B"}, ""),
    ("revoke", {"original_message_id": "wamid.B"}, ""),
    ("unsupported", {"type": "poll_creation"}, ""),
    ("request_welcome", None, ""),
    ("brand_new", {"body": "hm"}, ""),
]


@pytest.mark.parametrize(("kind", "told", "text"), TEXTS)
def test_text_by_type(kind: str, told: Any, text: str) -> None:
    """Each type has its text, and its whole structured object beside it under its own name."""
    found = received(of_type(kind, told))
    assert (found["text"], found["message_type"]) == (text, kind)
    if kind != "text" and "nan" not in str(told):
        assert found[kind] == told


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in TEXTS}))
def test_types_of_a_wrong_shape(kind: str) -> None:
    """A type whose object is not what it should be is delivered, its value kept."""
    for wrong in WRONG:
        found = received(of_type(kind, wrong))
        assert isinstance(found["text"], str)
        assert wrong in (found.get(kind), found.get("raw", {}).get(kind))
