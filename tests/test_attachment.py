"""The file of a message, as its webhook tells of it, and where the token may go for it."""

import json
from typing import Any

import pytest

from whatshooked.events import Event
from whatshooked.meta import attachment

HOSTS = ("*.fbsbx.com", "graph.facebook.com")
GRAPH = "https://graph.facebook.com"
HEX = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def event(item: Any, type_: str = "message.received") -> Event:
    """An event with an item, given as text or as what makes it."""
    return Event(1, type_, "business", item if isinstance(item, bytes) else json.dumps(item).encode())


def test_what_a_webhook_tells() -> None:
    """Id, type, hash in either form, name, URL and time; what is missing is empty."""
    told = {"id": 900, "mime_type": "application/pdf", "sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}
    item = {"id": "wamid.1", "type": "document", "timestamp": "1790000000", "document": told | {"filename": "a.pdf"}}
    found = attachment.of(event(item))
    assert found == attachment.Attachment(
        "document", "900", "wamid.1", "application/pdf", HEX, "", "a.pdf", 1_790_000_000
    )
    assert attachment.sha256_hex(HEX.upper()) == HEX
    assert [attachment.sha256_hex(odd) for odd in ("", "x" * 64, "LPJNul+w", "\u00e9" * 44)] == [""] * 4


@pytest.mark.parametrize(
    "item",
    [
        {"type": "text", "text": {"body": '"image"'}},
        {"type": "image"},
        {"type": "image", "image": "900"},
        {"type": "image", "image": {}},
        {"type": "image", "image": {"id": None}},
        {"type": ["image"], "image": {"id": "900"}},
        {"type": "video", "image": {"id": "900"}},
        {"type": "image", "image": {"id": "900", "padding": "x" * 40_000}},
        b'"image"',
        b'{"type":"image","image":{"id":"900"},"more":NaN,"padding":"' + b"x" * 5_000 + b'"}',
    ],
)
def test_what_brings_no_file(item: Any) -> None:
    """Whatever stands in place of a file: no error, no file. What is large or odd is none of Meta's."""
    assert attachment.of(event(item)) is None


def test_odd_json_may_bring_a_file() -> None:
    """NaN beside it is no reason to lose it; a status of the same words brings none."""
    odd = b'{"id":"wamid.1","type":"image","image":{"id":"900","size":NaN}}'
    found = attachment.of(event(odd))
    assert found is not None
    assert found.media_id == "900"
    assert attachment.of(event(odd, "message.sent")) is None


@pytest.mark.parametrize(
    ("media_id", "may"),
    [("900", True), ("", False), ("1/2", False), ("..", False), ("9" * 65, False), ("\u0661", False)],
)
def test_only_digits_are_looked_up(media_id: str, may: bool) -> None:
    """Any other id would make another call of the look-up."""
    found = attachment.Attachment("image", media_id, "", "", "", "", "", 0)
    assert found.can_be_looked_up is may


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&hash=a~b", True),
        ("https://LOOKASIDE.fbsbx.com/x", True),
        ("https://graph.facebook.com/v25.0/1", True),
        ("http://lookaside.fbsbx.com/x", False),
        ("https://lookaside.fbsbx.com:8443/x", False),
        ("https://fbsbx.com/x", False),
        ("https://evilfbsbx.com/x", False),
        ("https://evil.example\\.fbsbx.com/x", False),
        ("https://evil.example/.fbsbx.com", False),
        ("https://evil.example#.fbsbx.com", False),
        ("https://user@lookaside.fbsbx.com/x", False),
        ("https://evil.example%2f.fbsbx.com/x", False),
        ("https://lookaside.fbsbx.com.evil.example/x", False),
        ("https://lookaside.fbsbx.com /x", False),
        ("https:lookaside.fbsbx.com/x", False),
        ("//lookaside.fbsbx.com/x", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_where_the_token_may_go(url: str, trusted: bool) -> None:
    """To Meta's hosts over https at its own port; a URL that two readers might read in two ways goes nowhere."""
    assert attachment.is_trusted(url, HOSTS, GRAPH) is trusted


def test_a_local_meta_is_trusted_over_its_own_scheme() -> None:
    """At any port, since its files may lie at another; and no other host of the same machine."""
    for url, trusted in (
        ("http://127.0.0.1:9/x", True),
        ("https://127.0.0.1:9/x", False),
        ("http://localhost:9/x", False),
        ("http://127.0.0.1:9\\@evil.example/x", False),
    ):
        assert attachment.is_trusted(url, HOSTS, "http://127.0.0.1:8000") is trusted
