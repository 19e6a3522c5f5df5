"""Every recorded webhook body through a running gateway; what must come out is counted with nothing but json."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.corpus import recorded
from tests.graph import Graph
from tests.logged import logged
from tests.receiver import Received, Receiver

Object = dict[str, Any]

#: The arrays that make an event of each member, by `field`; of other fields a change is one event.
ARRAYS = {
    "messages": ("errors", "user_actions"),
    "calls": ("calls", "statuses", "errors"),
    "smb_message_echoes": ("message_echoes",),
    "user_preferences": ("user_preferences",),
}
OWN_NAME = ("errors", "user_actions")
#: Keys that the flat payload carries under names of its own.
RENAMED = {"id", "from", "timestamp", "type", "text", "biz_opaque_callback_data"}


@dataclass(frozen=True)
class Expected:
    """One message or status of a body, and what stood around it."""

    account_id: str
    event: str
    item: Object
    value: Object


def changes(body: bytes) -> list[Object]:
    return [change for entry in json.loads(body)["entry"] for change in entry["changes"]]


def messages_and_statuses(account_id: str, body: bytes) -> list[Expected]:
    found = []
    for change in changes(body):
        if change["field"] != "messages":
            continue
        value = change["value"]
        found += [Expected(account_id, "message.received", item, value) for item in value.get("messages", [])]
        found += [Expected(account_id, f"message.{item['status']}", item, value) for item in value.get("statuses", [])]
    return found


def others(body: bytes) -> Counter[str]:
    """Count the meta.* events of a body; what stands beside its entries is kept as one more."""
    found: Counter[str] = Counter()
    for change in changes(body):
        name, value = change["field"], change["value"]
        arrays = ARRAYS.get(name, ("groups",) if name.startswith("group_") else ())
        parts = {key: len(value[key]) for key in arrays if isinstance(value, dict) and key in value}
        for key, count in parts.items():
            found[f"meta.{key if key in OWN_NAME else name}"] += count
        if not parts and name != "messages":
            found[f"meta.{name}"] += 1
    if json.loads(body).keys() - {"object", "entry"}:
        found["meta.unknown"] += 1
    return found


def moment(item: Object, got: Object) -> str:
    """Return Meta's time of an item; one that Meta wrote no time into has that of its arrival."""
    stamp = str(item["timestamp"])
    seconds = int(stamp) if stamp.isdecimal() else int(got["event_id"].partition("-")[0]) // 1000
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def check_message(expected: Expected, got: Object) -> None:
    """The flat payload of contract section 3."""
    item, value = expected.item, expected.value
    contacts = value.get("contacts", [])
    people = [contact[key] for contact in contacts for key in ("wa_id", "user_id") if key in contact]
    named = [item[key] for key in ("from", "from_user_id") if key in item] or people
    assert got["from"] == (named[0] if named else "")
    assert got["to"] == "".join(filter(str.isdigit, value["metadata"]["display_phone_number"]))
    assert got["timestamp"] == moment(item, got)
    assert got["message_type"] == item.get("type", "unknown")
    assert got["is_group"] is ("group_id" in item)
    assert isinstance(got["sender_name"], str)
    if len(contacts) == 1 and "name" in contacts[0].get("profile", {}):
        assert got["sender_name"] == contacts[0]["profile"]["name"]
    assert isinstance(got["text"], str)
    if item.get("type") == "text":
        assert got["text"] == item["text"]["body"]
    if item.get("type") in ("image", "video", "document"):
        assert got["text"] == item[item["type"]].get("caption", "")
    check_kept(item, got)


def check_status(expected: Expected, got: Object) -> None:
    """The wrapped payload of contract section 3."""
    item, data = expected.item, got["data"]
    assert got["event_type"] == expected.event
    assert got["timestamp"] == data["timestamp"] == moment(item, data)
    assert data["from"] == item.get("recipient_id") or data["from"] == item.get("recipient_user_id")
    assert data["status"] == item["status"]
    assert data.get("callback_data") == item.get("biz_opaque_callback_data")
    check_kept(item, data)


def check_kept(item: Object, got: Object) -> None:
    """Every value Meta sent is in the payload as Meta sent it."""
    for key, raw in item.items():
        assert key in RENAMED or got.get(key) == raw or got.get("raw") == item, (key, got)


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with Graph() as found:
        yield found


async def answers(gateway: Gateway, bodies: dict[str, bytes]) -> list[int]:
    """Post all at once, as Meta does, and return the statuses."""
    return [one.status_code for one in await asyncio.gather(*(gateway.post(b, name) for name, b in bodies.items()))]


async def test_every_recorded_body(make_gateway: Callable[..., Gateway], receiver: Receiver, graph: Graph) -> None:
    """Each is answered 200; each message, status and other item arrives once, whole, and nothing is an error."""
    bodies = {f"a{n}": body for n, body in enumerate(recorded(), 1)}
    assert len(bodies) >= 184
    accounts = [
        account(1, name, phone_number_id=f"99{n:013d}", graph_url=graph.url) for n, name in enumerate(bodies, 1)
    ]
    gateway = make_gateway(
        hook("h1", receiver.url()), hook("m", receiver.url("/meta"), events=["meta.*"]), accounts=accounts
    )
    expected = [one for name, body in bodies.items() for one in messages_and_statuses(name, body)]
    expected_others = Counter({(name, k): n for name, body in bodies.items() for k, n in others(body).items()})
    with logged(logging.INFO) as log:
        await gateway.start()
        assert await answers(gateway, bodies) == [200] * len(bodies)
        await receiver.wait(len(expected) + expected_others.total())
        await gateway.cached(0)
    assert log.of(logging.ERROR) == []
    got = [one for one in receiver.received if one.target.startswith("/hook")]
    meta_got = [one for one in receiver.received if one.target.startswith("/meta")]
    assert Counter((one.query["account_id"], one.event) for one in meta_got) == expected_others
    assert len({one.headers["webhook-id"] for one in receiver.received}) == len(receiver.received)
    left = list(got)
    for one in expected:
        (match,) = [g for g in left if is_of(one, g)]
        left.remove(match)
        payload = match.json
        (check_message if one.event == "message.received" else check_status)(one, payload)
        assert payload.get("data", payload)["foreign_number"] is True
    assert left == []


def is_of(one: Expected, got: Received) -> bool:
    """Return whether this is the item's delivery, by what tells the items of one body apart."""
    data = got.json.get("data", got.json)
    told = (got.query["account_id"], got.event, data["account_id"], data["message_id"], data["timestamp"])
    if told != (one.account_id, one.event, one.account_id, one.item["id"], moment(one.item, data)):
        return False
    to = ("recipient_id", "recipient_participant_id")
    return data.get("message_type", "unknown") == one.item.get("type", "unknown") and all(
        data.get(key) == one.item.get(key) for key in to
    )


async def test_every_recorded_body_again_is_a_duplicate(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Any, keys: Any
) -> None:
    """Meta's second try of each body is answered 200 and adds nothing to the stream."""
    bodies = {f"a{n}": body for n, body in enumerate(recorded(), 1)}
    accounts = [account(1, name, phone_number_id=f"99{n:013d}") for n, name in enumerate(bodies, 1)]
    gateway = make_gateway(hook("h1", receiver.url()), accounts=accounts)
    await gateway.start(workers=0)
    assert await answers(gateway, bodies) == [200] * len(bodies)
    before = await link.call("XLEN", keys.events)
    assert await answers(gateway, bodies) == [200] * len(bodies)
    assert await link.call("XLEN", keys.events) == before
    assert (await gateway.post(meta.webhook(meta.value(meta.text())), "a1")).status_code == 200
    assert await link.call("XLEN", keys.events) == before + 1
