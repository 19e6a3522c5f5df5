"""The demo's lines: every step of a message under one number, in whatever order its tellers speak."""

from typing import Any

import pytest

from tests.simulated import Meta
from whatshooked.simulator.demo.story import Story

EVENT = "1790000000000-0"


def _inbound(message_id: str = "wamid.1") -> dict[str, Any]:
    return {"kind": "inbound", "message_id": message_id, "user_id": "US.1", "type": "text", "text": "Hi"}


def _webhook(status: int = 200, message_id: str = "wamid.1") -> dict[str, Any]:
    return {"kind": "webhook", "status": status, "error": "ConnectError", "messages": [message_id]}


def _received(message_id: str = "wamid.1") -> dict[str, Any]:
    return {"event_id": EVENT, "message_id": message_id, "from": "4915", "message_type": "text", "text": "Hi"}


def _attempt(**more: Any) -> dict[str, Any]:
    data = {"hook_id": "h1", "event_id": EVENT, "event_type": "message.received", "status": 200, "duration_ms": 3.4}
    return {"data": data | more}


def _reply(message_id: str = "wamid.2") -> dict[str, Any]:
    body = {"biz_opaque_callback_data": f"wh:{EVENT}.h1.1790000000100.0"}
    return {"kind": "sent", "message_id": message_id, "to": "US.1", "type": "text", "text": "echo: Hi", "body": body}


def _words(lines: list[str]) -> list[str]:
    """The number and the step of each line."""
    return [" ".join(line.split()[:2]) for line in lines]


def test_the_whole_path_has_one_number() -> None:
    """In, stored, delivered, reply and ticks."""
    story = Story({"US.1": "Ana"})
    lines = story.of_meta(_inbound()) + story.of_meta(_webhook()) + story.of_hook("message.received", _received())
    lines += story.of_hook("hook.success", _attempt()) + story.of_meta(_reply())
    for status in ("sent", "delivered", "read"):
        lines += story.of_meta({"kind": "status", "message_id": "wamid.2", "status": status, "codes": []})
    assert _words(lines) == ["#1 in", "#1 stored", "#1 delivered", "#1 reply", "#1 ✓", "#1 ✓✓", "#1 ✓✓"]
    assert "Ana sends text: Hi" in lines[0]


@pytest.mark.parametrize(
    ("media", "said"),
    [
        ({"url": "http://localhost:8080/api/media/demo/a.jpg", "size": 159}, "159 bytes, http://localhost:8080/api/m"),
        ({"filename": "", "error": "the file did not come in time"}, "none: the file did not come in time"),
    ],
)
def test_a_file_is_told(media: dict[str, Any], said: str) -> None:
    """Where it can be had, or why not, before who took the message."""
    story = Story({})
    story.of_meta(_inbound())
    story.of_hook("hook.success", _attempt())
    lines = story.of_hook("message.received", _received() | {"media": media})
    assert _words(lines) == ["#1 file", "#1 delivered"]
    assert f"file       {said}" in lines[0]


def test_a_delivery_may_be_told_before_its_message() -> None:
    """`hook.success` may overtake the event it is about: its line waits for the number."""
    story = Story({})
    story.of_meta(_inbound())
    assert story.of_hook("hook.success", _attempt()) == []
    assert _words(story.of_hook("message.received", _received())) == ["#1 delivered"]


def test_only_the_message_itself_is_stored() -> None:
    """The webhooks of its statuses are no news, and a refusal says what Meta does next."""
    story = Story({})
    story.of_meta(_inbound())
    (refused,) = story.of_meta(_webhook(0))
    assert "not taken  ConnectError; Meta tries again" in refused
    assert _words(story.of_meta(_webhook())) == ["#1 stored"]
    story.of_meta(_reply())
    assert story.of_meta(_webhook(200, "wamid.2")) == []


def test_a_message_from_elsewhere_has_a_number_too() -> None:
    """What curl sent is told from the gateway's side."""
    story = Story({})
    (line,) = story.of_hook("message.received", _received("wamid.curl"))
    assert "in         4915 sends text: Hi (not by our Meta)" in line
    assert _words(story.of_meta(_reply())) == ["#1 reply"]


def test_a_hook_that_refuses_is_named() -> None:
    """With the reason, and when it is tried again; deliveries of statuses are no part of the story."""
    story = Story({})
    story.of_hook("message.received", _received())
    (line,) = story.of_hook("hook.failed", _attempt(error="HTTP 500", status=500))
    assert "refused    h1: HTTP 500; tried again, in seconds at first" in line
    assert story.of_hook("hook.success", _attempt(event_type="message.read")) == []
    assert story.of_hook("hook.success", {}) == []


def test_a_failed_message_shows_its_code() -> None:
    """Instead of ticks."""
    story = Story({})
    story.of_meta(_reply())
    (line,) = story.of_meta({"kind": "status", "message_id": "wamid.2", "status": "failed", "codes": [131047]})
    assert "failed     with 131047" in line


@pytest.mark.parametrize(
    ("attempt", "said"), [(1, "in 3 s"), (4, "in 2 min"), (7, "in 1 h"), (13, "in 24 h"), (14, "that was the last try")]
)
def test_when_a_hook_is_tried_again(attempt: int, said: str) -> None:
    """The number of the attempt says what follows it."""
    story = Story({})
    story.of_hook("message.received", _received())
    (line,) = story.of_hook("hook.failed", _attempt(error="HTTP 500", status=500, attempt=attempt))
    assert said in line


async def test_a_reply_that_meta_refuses_is_told(sim: Meta) -> None:
    """A user who never wrote: the simulated Meta tells of its refusal, and the story of the message it answered."""
    story, watcher = Story({}), sim.world.watch()
    story.of_hook("message.received", _received())
    body = {"messaging_product": "whatsapp", "to": sim.users[0].phone, "text": {"body": "Hi"}} | _reply()["body"]
    _, error = await sim.refused("POST", f"{sim.number.id}/messages", json=body)
    news = await watcher.get()
    assert news is not None
    assert (news["kind"], news["code"], news["body"]) == ("refused", error["code"], body)
    (line,) = story.of_meta(news)
    assert line.split(maxsplit=1) == ["#1", "refused    by Meta 131047: Re-engagement message"]
