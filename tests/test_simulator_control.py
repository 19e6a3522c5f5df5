"""`/_sim/`: what can be turned and read, who may do so, and that Graph knows nothing of it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.receiver import status
from tests.simulated import START, Meta, callback
from whatshooked.simulator.app import create_app
from whatshooked.simulator.world.clock import Clock
from whatshooked.simulator.world.model import User


def text(body: str = "hi") -> dict[str, Any]:
    """A text message as it is sent."""
    return {"messaging_product": "whatsapp", "to": "+15550100002", "type": "text", "text": {"body": body}}


async def error(sim: Meta, method: str, path: str, **more: Any) -> tuple[int, str]:
    """The status and the line that a control call is refused with."""
    answer = await sim.client.request(method, f"/_sim/{path}", **more)
    found = answer.json()
    assert answer.status_code >= 400 and list(found) == ["error"], answer.text
    assert "\n" not in found["error"]
    return answer.status_code, found["error"]


@asynccontextmanager
async def news(sim: Meta) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Listen to what happens."""
    async with sim.client.stream("GET", "/_sim/news", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("application/x-ndjson")

        async def lines() -> AsyncIterator[dict[str, Any]]:
            async for line in answer.aiter_lines():
                yield json.loads(line)

        yield lines()


async def test_the_overview_names_what_other_calls_take(sim: Meta) -> None:
    """The world's ids, its users, its clock and where its webhooks go stand in one answer."""
    found = await sim.control("GET", "")
    assert found["address"] == sim.url
    assert found["numbers"][0] == {"id": sim.number.id, "phone": sim.number.phone, "waba_id": sim.waba.id}
    assert found["apps"][0]["callback_url"] == sim.receiver.url("/webhook")
    assert [user["id"] for user in found["users"]] == [user.id for user in sim.users]
    assert found["speed"] == sim.world.clock.speed
    assert sim.secret not in json.dumps(found)


async def test_somebody_writes(sim: Meta) -> None:
    """A message of a user's arrives as a webhook, under the id that is told, from whom and with what was asked."""
    told = await sim.control("POST", "inbound", json={"kind": "text", "text": "Hello", "from": sim.users[1].phone})
    (message,) = await sim.items("messages")
    assert (message["id"], message["text"]["body"]) == (told["message_id"], "Hello")
    assert message["from"] == sim.users[1].phone
    assert told["webhooks"] == 1
    assert (await sim.control("GET", "messages"))["messages"][0]["id"] == told["message_id"]
    assert (await error(sim, "POST", "inbound", json={"kind": "nonsense"}))[0] == 400


async def test_a_status_on_command(sim: Meta) -> None:
    """Any status of a sent message can be made, a failure with its code; nothing else has one."""
    await sim.control("PATCH", "knobs", json={"sent_after": None, "delivered_after": None, "read_after": None})
    inbound = (await sim.control("POST", "inbound", json={}))["message_id"]
    sent = (await sim.ask("POST", f"{sim.number.id}/messages", json=text())).json()["messages"][0]["id"]
    await sim.control("POST", "status", json={"message_id": sent, "status": "read"})
    await sim.control("POST", "status", json={"message_id": sent, "status": "failed", "code": 131026})
    first, second = await sim.items("statuses", 2)
    assert (first["id"], first["status"]) == (sent, "read")
    assert (second["status"], second["errors"][0]["code"]) == ("failed", 131026)
    for wrong in (inbound, "wamid.unknown"):
        code, line = await error(sim, "POST", "status", json={"message_id": wrong, "status": "read"})
        assert code == 400 and wrong in line


async def test_a_notice_of_any_field(sim: Meta) -> None:
    """A webhook of a field is sent with a plausible value, one of an event's, or one's own."""
    assert await sim.control("POST", "notify", json={"field": "account_update"}) == {"webhooks": 1}
    await sim.control("POST", "notify", json={"field": "a_field_of_the_future", "value": {"x": 1}})
    assert (await sim.changes(field="account_update"))[0]["value"]["event"]
    assert sim.app.subscription
    sim.app.subscription.fields.append("a_field_of_the_future")
    told = await sim.control("POST", "notify", json={"field": "a_field_of_the_future", "value": {"x": 1}})
    assert told == {"webhooks": 1}
    assert (await sim.changes(field="a_field_of_the_future"))[0]["value"] == {"x": 1}
    assert "no field" in (await error(sim, "POST", "notify", json={"field": "nonsense"}))[1]
    assert "no number '5'" in (await error(sim, "POST", "notify", json={"field": "security", "number": "5"}))[1]


async def test_a_notice_that_nobody_wants_says_so(sim: Meta) -> None:
    """Without a subscribed app 0 webhooks are told: the caller can say why nothing arrives."""
    sim.waba.subscribed.clear()
    assert await sim.control("POST", "notify", json={"field": "security"}) == {"webhooks": 0}


async def test_a_template_is_decided_on(sim: Meta) -> None:
    """A decision changes the template and is told as a webhook; unknown ones are named."""
    template = next(iter(sim.state.templates.values()))
    await sim.control("POST", f"templates/{template.id}", json={"status": "REJECTED", "reason": "SCAM"})
    assert template.status == "REJECTED"
    (change,) = await sim.changes(field="message_template_status_update")
    assert (change["value"]["event"], change["value"]["reason"]) == ("REJECTED", "SCAM")
    assert template.id in (await error(sim, "POST", "templates/1", json={"status": "APPROVED"}))[1]
    assert (await error(sim, "POST", f"templates/{template.id}", json={"status": "LOVED"}))[0] == 400


async def test_a_file_of_a_users(sim: Meta) -> None:
    """A file is kept as one that a user sends; its downloads can be made to misbehave."""
    content = base64.b64encode(b"%PDF-1.4 of ours").decode()
    told = await sim.control("POST", "media", json={"mime_type": "application/pdf", "content": content})
    await sim.control("POST", "inbound", json={"kind": "document", "media": told["id"]})
    (message,) = await sim.items("messages")
    assert message["document"]["id"] == told["id"]
    url = (await sim.ask("GET", told["id"])).json()["url"]
    assert (await sim.client.get(url)).content == b"%PDF-1.4 of ours"
    await sim.control("POST", f"media/{told['id']}", json={"fault": "short", "times": 1})
    assert len((await sim.client.get(url)).content) < len(b"%PDF-1.4 of ours")
    assert (await error(sim, "POST", "media/1", json={"fault": "short"}))[0] == 400
    assert (await error(sim, "POST", f"media/{told['id']}", json={"fault": "odd"}))[0] == 400
    assert (await error(sim, "POST", "media", json={"mime_type": "a/b", "content": "?"}))[0] == 400


async def test_knobs(sim: Meta) -> None:
    """Some switches are turned and the others stay; a wrong one is named and turns nothing."""
    assert (await sim.control("GET", "knobs"))["batch"] == 1
    found = await sim.control("PATCH", "knobs", json={"batch": 5, "read_after": None})
    assert (found["batch"], found["read_after"], found["sent_after"]) == (5, None, 0.2)
    assert sim.world.knobs.batch == 5
    for wrong in ({"batch": 0}, {"batch": 1001}, {"duplicates": 1.5}, {"sent_after": -1}, {"signature": "odd"}):
        (name,) = wrong
        assert (await error(sim, "PATCH", "knobs", json=wrong))[1].startswith(f"{name}: ")
    assert "`btch`" in (await error(sim, "PATCH", "knobs", json={"btch": 1}))[1]
    assert sim.world.knobs.batch == 5


async def test_rules_are_checked(sim: Meta) -> None:
    """A rule with an unknown fault or key is refused, and one whose path no call of Graph has."""
    assert "fault" in (await error(sim, "POST", "rules", json={"fault": "odd"}))[1]
    assert "pth" in (await error(sim, "POST", "rules", json={"fault": "reset", "pth": "x"}))[1]
    assert (await error(sim, "POST", "rules", content=b"{"))[0] == 400
    for path, said in (
        ("/_files/*", "POST /_sim/media/ID"),
        ("/_sim/*", "no rule touches"),
        ("messages", "*/messages"),
    ):
        assert said in (await error(sim, "POST", "rules", json={"fault": "reset", "path": path}))[1]
    assert sim.world.rules == []


async def test_the_clock(sim: Meta) -> None:
    """The clock is set forward, stopped and sped up; backwards it does not run."""
    await sim.control("POST", "clock", json={"speed": 0})
    before = (await sim.control("GET", "clock"))["now"]
    assert before >= START
    found = await sim.control("POST", "clock", json={"advance": 3600})
    assert found == {"now": before + 3600, "speed": 0}
    for wrong in ({"advance": -1}, {"speed": -1}, {"advance": "x"}, {"sped": 1}):
        assert (await error(sim, "POST", "clock", json=wrong))[0] == 400
    assert (await sim.control("GET", "clock"))["now"] == before + 3600


async def test_the_log_of_webhooks(sim: Meta) -> None:
    """Each attempt is shown with its status and its body as text."""
    sim.receiver.behave = callback(status(500))
    sim.world.clock.run(0)
    told = await sim.control("POST", "inbound", json={"text": "ä"})
    await sim.world.webhooks.tried()
    found = await sim.control("GET", "webhooks")
    (attempt,) = found["attempts"]
    assert (attempt["status"], attempt["number"], attempt["messages"]) == (500, 1, [told["message_id"]])
    assert attempt["body"].encode() == sim.posts()[0].body
    assert attempt["headers"]["x-hub-signature-256"] == sim.posts()[0].headers["x-hub-signature-256"]
    assert found["dropped"] == 0


async def test_the_state_is_read_and_replaced(sim: Meta) -> None:
    """The whole state goes out as a file has it, and another comes in; a wrong one is refused by its place."""
    found = await sim.control("GET", "state")
    sim.state.users["DE.1"] = User(id="DE.1", phone="491")
    assert await sim.control("PUT", "state", json=found) == {"success": True}
    assert "DE.1" not in sim.state.users and len(sim.users) == 3
    found["numbers"][sim.number.id]["waba_id"] = "7"
    line = f"the state: numbers.{sim.number.id}.waba_id: no such entry in wabas"
    assert await error(sim, "PUT", "state", json=found) == (400, line)


async def test_the_news(sim: Meta) -> None:
    """Whoever listens is told, line by line, what arrives, what is sent, its statuses and each webhook."""
    async with news(sim) as lines:
        inbound = (await sim.control("POST", "inbound", json={}))["message_id"]
        sent = (await sim.ask("POST", f"{sim.number.id}/messages", json=text())).json()["messages"][0]["id"]
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            async for line in lines:
                found.append(line)
                if line["kind"] == "webhook" and [one["kind"] for one in found].count("webhook") == 4:
                    break
    first = {kind: next(one for one in found if one["kind"] == kind) for kind in ("inbound", "sent", "status")}
    assert first["inbound"]["message_id"] == inbound
    assert (first["sent"]["message_id"], first["sent"]["text"]) == (sent, "hi")
    assert [one["status"] for one in found if one["kind"] == "status"] == ["sent", "delivered", "read"]
    webhooks = [one for one in found if one["kind"] == "webhook"]
    assert [one["messages"] for one in webhooks] == [[inbound], [sent], [sent], [sent]]
    assert all(one["status"] == 200 for one in webhooks)


async def test_the_news_end_with_the_world(sim: Meta) -> None:
    """When the simulator stops, those who listen find the end of the stream."""
    async with news(sim) as lines:
        sim.world.stop()
        assert [line async for line in lines] == []


async def test_a_listener_that_does_not_read_is_left(sim: Meta, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that falls too far behind loses its place, and the simulator loses no memory to it."""
    monkeypatch.setattr("whatshooked.simulator.world.world._UNREAD", 2)
    slow, quick = sim.world.watch(), sim.world.watch()
    for count in range(3):
        sim.world.tell({"count": count})
        while quick.qsize() > 1:
            quick.get_nowait()
    assert [slow.get_nowait() for _ in range(slow.qsize())][-1] is None
    assert quick.get_nowait() == {"count": 2}


async def test_only_this_machine_is_answered(sim: Meta) -> None:
    """A call that somebody passed on, of another host's name or of another page is refused, unless control is open."""
    strange = [{"x-forwarded-for": "1.2.3.4"}, {"forwarded": "for=1.2.3.4"}, {"host": "evil.example"}]
    strange.append({"sec-fetch-site": "cross-site"})
    for headers in strange:
        code, line = await error(sim, "GET", "state", headers=headers)
        assert code == 403 and "--host" in line
    assert (await sim.client.get("/_sim/state", headers={"host": "localhost:80"})).status_code == 200
    sim.world.open_control = True
    for headers in strange:
        assert (await sim.client.get("/_sim/state", headers=headers)).status_code == 200


async def test_a_caller_from_elsewhere_is_refused(sim: Meta) -> None:
    """It is the caller's own address that counts."""
    transport = httpx.ASGITransport(app=create_app(sim.world), client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as far:
        assert (await far.get("/_sim/knobs")).status_code == 403


async def test_control_stands_outside_of_graph(sim: Meta) -> None:
    """What is no control call is answered as such, versions do not lead there, and Graph's log has none of it."""
    assert await error(sim, "GET", "nonsense") == (404, "Not Found")
    assert await error(sim, "DELETE", "knobs") == (405, "Method Not Allowed")
    assert (await sim.refused("GET", "_sim/knobs"))[1]["code"] == 2500
    assert [call.path for call in sim.world.calls] == ["/v25.0/_sim/knobs"]


async def test_a_clock_that_is_set_forward_wakes_whoever_sleeps() -> None:
    """Sleepers wake when their time has come, not before, however the clock came there."""
    clock = Clock(speed=0, start=START)
    sleeper = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    clock.advance(9.7)
    await asyncio.sleep(0.01)
    assert not sleeper.done()
    for _ in range(3):
        clock.advance(0.1)
    await asyncio.wait_for(sleeper, 1)
    sleeper = asyncio.create_task(clock.sleep(100))
    await asyncio.sleep(0)
    clock.run(100_000)
    await asyncio.wait_for(sleeper, 1)
    assert clock.now() >= START + 110
    assert clock.stamp().isdigit()
    await clock.sleep(-5)
