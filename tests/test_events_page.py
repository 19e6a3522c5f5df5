"""The page on events: each example of it is what the code makes today, and each answer on it is sent."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tests.conftest import REPO, Gateway, hook
from tests.receiver import Receiver
from tests.samples import BODIES, HANDED, OF_TYPE, OURS, REPLIES
from whatshooked.events import EVENT_TYPES, Event
from whatshooked.hooks import signing
from whatshooked.hooks.delivery import with_query
from whatshooked.meta import decode, reply, text
from whatshooked.meta.flatten import payload
from whatshooked.meta.payload import walk

PAGE = (REPO / "docs/events.md").read_text()
ABOVE, ANSWERS = PAGE.split("\n## Answers that send\n")
ID = "1790000001250-0"


def blocks(part: str, language: str = "json") -> list[str]:
    """The fenced blocks of a part of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)


def rows(part: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading this is; code marks are taken off."""
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", part, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def made() -> list[dict[str, Any]]:
    """The payload of each sample, by the code that delivers."""
    events = []
    for body in BODIES:
        (item,) = walk(json.dumps(body).encode())
        events.append(decode.event(item, "shop", foreign=False).event)
    events += [Event(1, kind, "shop", json.dumps(data).encode()) for kind, data in OURS.items()]
    return [json.loads(payload(event, ID, HANDED)) for event in events]


def test_every_example_is_what_the_code_makes() -> None:
    """The page has the payload of each sample, in their order, and no other."""
    assert [json.loads(block) for block in blocks(ABOVE)] == made()


def test_every_type_s_text() -> None:
    """The table has every type of message that has a rule, each with an example of what `text` becomes."""
    told = {kind.strip("`"): example for kind, _, example in rows(ABOVE, "`message_type`")}
    found = {
        kind: json.dumps(text.of({"type": kind, kind: value}), ensure_ascii=False) for kind, value in OF_TYPE.items()
    }
    assert told == {kind: f"`{example}`" for kind, example in found.items()}
    assert told.keys() >= {"text", "edit", "revoke", "unsupported", "unknown"} | set(text._READERS)


def test_the_page_names_every_event() -> None:
    """All 13 stand in its table."""
    told = " ".join(name for name, _ in rows(ABOVE, "Event"))
    assert [name for name in EVENT_TYPES if f"`{name}`" not in told] == []


def test_the_request_is_as_the_page_says() -> None:
    """The address with its two parameters, the headers, and the check of the signature that can be copied."""
    url = with_query("https://crm.example/whatsapp?key=1", "message.received", "shop")
    assert f"POST {url}\n" in ABOVE
    body, secret = b'{"a":1}', "whsec_" + "c2VjcmV0" * 4
    headers = signing.headers(ID, "crm", 1_790_000_002, body, secret, replay=True)
    assert {name.strip("`") for name, _ in rows(ABOVE, "Header")} == headers.keys()
    assert f"`{headers['webhook-id']}`" in ABOVE
    (snippet,) = blocks(ABOVE, "python")
    found: dict[str, Callable[..., bool]] = {}
    exec(snippet, found)
    for key in (secret, "any other text"):
        signed = signing.headers(ID, "crm", 1_790_000_002, body, key, replay=False)
        assert found["is_ours"](signed, body, key)
        assert not found["is_ours"](signed, body + b" ", key)


def test_every_answer_is_sent_as_the_page_says() -> None:
    """Each answer on the page, given to the page's first event, asks for the messages that stand with the sample."""
    (item,) = walk(json.dumps(BODIES[0]).encode())
    event = decode.event(item, "shop", foreign=False).event
    found = []
    for answer in blocks(ANSWERS):
        read = reply.read(
            answer.encode(),
            event=event,
            sender=reply.addressee(event),
            message_id=reply.message(event),
            accounts=frozenset(("shop", "support")),
            country_code="49",
        )
        assert isinstance(read, reply.Replies), (answer, read)
        found.append(
            [(one.account_id, one.outgoing.kind, msgspec.json.decode(one.outgoing.body)) for one in read.messages]
        )
    assert found == REPLIES


async def test_what_is_told_of_hooks_has_the_samples_keys(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """The sample of `hook.failed` has the keys of a real one, in their order and of their types."""
    (item,) = [data for kind, data in OURS.items() if kind == "hook.failed"]
    gateway = make_gateway(hook("gone", "http://127.0.0.1:9/"), hook("told", receiver.url(), events=["hook.failed"]))
    await gateway.start()
    await gateway.post(json.dumps(BODIES[0]).encode())
    (told,) = await receiver.wait(1)
    data = told.json["data"]
    assert [(key, type(value)) for key, value in data.items()] == [(key, type(value)) for key, value in item.items()]
