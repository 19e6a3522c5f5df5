"""The send API at one moment: what it takes and refuses, the list of messages, and what an operator decides."""

import logging
import re
import time
from collections.abc import Callable

import pytest

from tests import outgoing
from tests.asking import ANA, TEXT, ask, fault, send, settled, shown, taken
from tests.conftest import Gateway, account
from tests.logged import logged
from whatshooked.keys import Keys
from whatshooked.meta import callback
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Again, Message, Outbox, Sent, Unknown
from whatshooked.web import auth

MakeGateway = Callable[..., Gateway]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
async def web(make_gateway: MakeGateway) -> Gateway:
    """The web app of one account, without a worker: what is taken stays new."""
    found = make_gateway()
    await found.start(workers=0)
    return found


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """The gateway's own outbox, to play the worker."""
    return Outbox(link, keys)


async def listed(web: Gateway, query: str = "") -> list[str]:
    """The ids of a list."""
    answer = await web.api("GET", f"/api/messages{query}")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["messages"]]


async def test_a_text_in_the_contract_s_form_is_taken(web: Gateway) -> None:
    """The answer has our id, which Meta will give back to us, and the message waits for its worker."""
    before = time.time()
    answer = await send(web)
    assert answer.status_code == 202
    assert answer.json().keys() == {"id", "state"}
    assert answer.json()["state"] == "new"
    message_id = answer.json()["id"]
    assert re.fullmatch(r"m\d{13}-[0-9a-f]{12}", message_id)
    assert abs(int(message_id[1:14]) / 1000 - before) < 10
    assert callback.read(callback.mark(message_id)) == (message_id, "", "")
    found = await shown(web, message_id)
    assert found.pop("created")[:14] == time.strftime("%Y-%m-%dT%H:", time.gmtime(before))
    assert found == {
        "id": message_id,
        "account_id": "business",
        "state": "new",
        "to": ANA,
        "kind": "text",
        "attempts": 0,
        "body": {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": "text", "text": {"body": "Hello"}},
        **dict.fromkeys(("message_id", "status", "code", "error", "retry", "hint")),
        **dict.fromkeys(("cause", "hook_id", "callback_data")),
        "times": {},
    }


async def test_meta_s_documented_bodies_are_taken_as_they_are(web: Gateway) -> None:
    """Every documented shape, pasted, by either call; a mark as read as well, which goes to nobody."""
    for body in outgoing.DOCUMENTED:
        answer = await ask(web, "messages", body)
        assert answer.status_code == 202, (body, answer.text)
    answer = await send(web, {"status": "read", "message_id": "wamid.HBgA=", "biz_opaque_callback_data": "mine"})
    found = await shown(web, answer.json()["id"])
    assert (found["kind"], found["to"], found["callback_data"]) == ("read", None, "mine")
    assert found["body"] == {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.HBgA="}


async def test_a_message_that_cannot_be_sent_is_told_every_fault(web: Gateway, outbox: Outbox) -> None:
    """Each with its place, before Meta is asked; nothing is kept."""
    error = fault(await ask(web, "messages", {"to": "12", **outgoing.buttons("a" * 21)} | {"to": "12"}), 422)
    assert error["code"] == "cannot_be_sent"
    assert [one.partition(":")[0] for one in error["faults"]] == [
        "to",
        "interactive.action.buttons[0].reply.title",
    ]
    assert fault(await send(web, {"to": ANA}), 422)["faults"][0].startswith("type: missing")
    assert fault(await send(web, [TEXT]), 422)["faults"] == ["expected an object, got an array"]
    assert sum((await outbox.counts("business")).values()) == 0


async def test_what_is_no_json_is_refused(web: Gateway) -> None:
    """Whatever it is, it is a 400 and never an error of ours."""
    for body in (b"", b"{", b"[" * 100_000, b'{"to":NaN}', b'{"to":"\\ud800"}', b"\xff", b"to=1"):
        answer = await web.api("POST", "/api/send", content=body)
        assert fault(answer, 400)["code"] == "not_json"


async def test_a_large_body_is_refused(web: Gateway) -> None:
    """Beyond half a megabyte nothing is read; below, more than 64 KB of message cannot be sent."""
    fault(await send(web, TEXT | {"text": "x" * 600_000}), 413)
    fault(await ask(web, "messages", outgoing.message("brand_new", {"x": "y" * 70_000})), 422)


async def test_which_account_sends(make_gateway: MakeGateway, outbox: Outbox) -> None:
    """The one that is named, in body or address; with several one must be, and it must be able to send."""
    paired = {"id": "paired", "type": "whatsmeow", "phone_number": "+15550001"}
    web = make_gateway(accounts=[account(1, "one"), account(2, "two"), paired])
    await web.start(workers=0)
    for query, named in (("", "one"), ("?account_id=two", None), ("?account_id=two", "two")):
        found = await shown(web, await taken(web, TEXT | {"account_id": named}, query=query))
        assert found["account_id"] == (named or "two")
    assert ((await outbox.counts("one"))["new"], (await outbox.counts("two"))["new"]) == (1, 2)
    for query, refused, said in (
        ("", None, "missing, there is one, two"),
        ("?account_id=two", "one", "another one than in the address"),
        ("", 7, "expected a string"),
        ("", "paired", "expected an account of the type business-api"),
    ):
        answer = await send(web, TEXT | {"account_id": refused}, query)
        assert fault(answer, 422)["faults"] == [f"account_id: {said}"]
    for query, unknown in (("", "nobody"), ("?account_id=nobody", "")):
        assert fault(await send(web, TEXT | {"account_id": unknown}, query), 404)["code"] == "unknown_account"


async def test_the_only_account_need_not_be_named(web: Gateway) -> None:
    """Neither by its absence nor by an empty string."""
    for request in ({"to": ANA, "text": "Hello"}, TEXT | {"account_id": ""}):
        assert (await shown(web, await taken(web, request)))["account_id"] == "business"


async def test_the_list_is_filtered_and_counted(web: Gateway, outbox: Outbox) -> None:
    """By state, recipient and time, newest first, with the counts of all states and why nothing is sent."""
    first = await taken(web)
    await settled(outbox, Sent("wamid.1"))
    second = await taken(web, TEXT | {"to": "+4915112345679"})
    await settled(outbox, Unknown("no answer"))
    third = await taken(web)
    await settled(outbox, Again(0, "bad token", 190, hold_ms=60_000))
    assert await listed(web) == [third, second, first]
    assert await listed(web, "?account_id=business&state=unknown") == [second]
    assert await listed(web, "?state=failed") == []
    assert await listed(web, "?to=%2B49%20151%2012345678") == await listed(web, f"?to={ANA}") == [third, first]
    assert await listed(web, "?to=somebody") == []
    page = (await web.api("GET", "/api/messages?limit=2")).json()
    assert page.keys() == {"messages", "next", "counts", "held"}
    assert page["counts"] == {"new": 1, "sending": 0, "sent": 1, "failed": 0, "unknown": 1}
    assert page["held"].keys() == {"business"}
    assert "bad token" in page["held"]["business"]
    last = (await web.api("GET", "/api/messages", params={"limit": 2, "after": page["next"]})).json()
    assert ([one["id"] for one in last["messages"]], last["next"]) == ([first], None)
    created = (await shown(web, second))["created"]
    assert TIME.fullmatch(created)
    assert await listed(web, "?since=2020-01-01T00:00:00Z&until=2099-01-01T00:00:00") == [third, second, first]
    assert await listed(web, "?since=2099-01-01T00:00:00%2B02:00") == await listed(web, "?until=2020-01-01T00:00:00Z")


async def test_a_list_asked_for_wrongly_is_refused(web: Gateway) -> None:
    """Each wrong parameter is a 400, an unknown account a 404."""
    for query in ("state=gone", "limit=0", "limit=501", "since=yesterday", "after=x", "after=%D9%A1.m"):
        fault(await web.api("GET", f"/api/messages?{query}"), 400)
    fault(await web.api("GET", "/api/messages?account_id=nobody"), 404)


async def test_a_reply_is_found_whichever_account_sent_it(make_gateway: MakeGateway, outbox: Outbox) -> None:
    """By its id alone, with the event and hook that asked for it; in another account it is not there."""
    web = make_gateway(accounts=[account(1, "one"), account(2, "two")])
    await web.start(workers=0)
    name = "1790000000000-0.my hook.1790000000123.0"
    cause = {"cause": "1790000000000-0", "hook_id": "my hook"}
    await outbox.add("two", [Message(id=name, recipient=ANA, kind="text", body=b"{}", **cause)])
    found = await shown(web, name.replace(" ", "%20"))
    assert (found["account_id"], found["cause"], found["hook_id"]) == ("two", cause["cause"], cause["hook_id"])
    fault(await web.api("GET", f"/api/messages/{name}?account_id=one"), 404)
    fault(await web.api("GET", "/api/messages/m1-00"), 404)


async def test_an_operator_decides_about_what_nobody_knows(web: Gateway, outbox: Outbox) -> None:
    """Once more, or given up; a second decision, or one about what is settled, is a 409, of what is not there a 404."""
    first = await taken(web)
    await settled(outbox, Unknown("no answer"))
    answer = await web.api("POST", f"/api/messages/{first}/resend")
    assert (answer.status_code, answer.json()["state"], answer.json()["error"]) == (200, "new", None)
    assert fault(await web.api("POST", f"/api/messages/{first}/resend"), 409)["code"] == "not_open"
    await settled(outbox, Unknown("no answer"))
    answer = await web.api("POST", f"/api/messages/{first}/drop?account_id=business")
    assert (answer.status_code, answer.json()["state"], answer.json()["error"]) == (
        200,
        "failed",
        "dropped by an operator",
    )
    assert "failed" in fault(await web.api("POST", f"/api/messages/{first}/drop"), 409)["message"]
    fault(await web.api("POST", "/api/messages/m1-00/drop"), 404)


async def test_every_call_wants_credentials(web: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """As all of `/api/` does."""
    monkeypatch.setattr(auth, "throttle", auth.Throttle())
    for method, path in (
        ("POST", "send"),
        ("POST", "messages"),
        ("GET", "messages"),
        ("GET", "messages/m1-00"),
        ("POST", "messages/m1-00/resend"),
        ("POST", "messages/m1-00/drop"),
    ):
        answer = await web.client.request(method, f"{web.base}/api/{path}", headers={"x-api-key": ""})
        assert answer.status_code in (401, 429)


async def test_numbers_and_texts_stay_out_of_the_log(web: Gateway, outbox: Outbox) -> None:
    """What is sent, refused and decided by hand leaves no number above debug and no text at all."""
    with logged(logging.DEBUG) as log:
        message_id = await taken(web, TEXT | {"text": "PLANTED"})
        await send(web, TEXT | {"text": ["PLANTED"]})
        await settled(outbox, Unknown("no answer"))
        await web.api("POST", f"/api/messages/{message_id}/resend")
        assert log.holding("Message taken") and log.holding("Message decided by hand")
    assert not log.holding("PLANTED")
    assert [line for line in log.of(logging.INFO) if ANA in line] == []
