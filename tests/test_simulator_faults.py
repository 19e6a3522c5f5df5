"""Faults by rule: which calls go wrong, and how the connection looks then."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.simulated import Meta
from whatshooked.simulator.rules import Rule, chosen


def text() -> dict[str, Any]:
    """A text message as it is sent."""
    return {"messaging_product": "whatsapp", "to": "+15550100002", "type": "text", "text": {"body": "hi"}}


async def send(sim: Meta, **more: Any) -> httpx.Response:
    """Send a text message to a user whose window is open."""
    sim.state.windows[f"{sim.number.id}/{sim.users[0].id}"] = sim.world.clock.now()
    return await sim.ask("POST", f"{sim.number.id}/messages", json=text(), **more)


def outgoing(sim: Meta) -> int:
    """How many messages the business has sent."""
    return sum(message.outgoing for message in sim.state.messages.values())


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("error_2", 500, 2), ("error_131016", 500, 131016), ("error", 403, 368)],
)
async def test_row_21_an_error_in_place_of_an_answer(sim: Meta, fault: Any, status: int, code: int) -> None:
    """A rule answers with Graph's error and nothing of the call is done; the next call is a good one."""
    sim.world.rules.append(Rule(fault=fault, path="*/messages", status=403, code=368, text="Temporarily blocked"))
    answer = await send(sim)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error.get("is_transient", False) is (fault == "error_2")
    assert error["fbtrace_id"] and f"(#{code})" in error["message"]
    assert (sim.world.calls[-1].status, sim.world.calls[-1].code) == (status, code)
    assert outgoing(sim) == 0
    assert (await send(sim)).status_code == 200


async def test_row_21_a_page_of_html(sim: Meta) -> None:
    """A 503 may be a page of HTML, as load balancers answer."""
    sim.world.rules.append(Rule(fault="html_503"))
    answer = await send(sim)
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


async def test_row_21_a_reset(sim: Meta, caplog: pytest.LogCaptureFixture) -> None:
    """The connection breaks before an answer, and nothing was done; the server sees no fault of its own in it."""
    sim.world.rules.append(Rule(fault="reset"))
    with pytest.raises(httpx.ReadError):
        await send(sim)
    assert outgoing(sim) == 0
    assert sim.world.calls[-1].status == 0
    assert (await send(sim)).status_code == 200
    assert caplog.records == []


async def test_row_21_a_reset_after_acceptance(sim: Meta, caplog: pytest.LogCaptureFixture) -> None:
    """The connection breaks when the call is done: the message is sent, and its statuses come."""
    sim.world.rules.append(Rule(fault="reset_after"))
    with pytest.raises(httpx.ReadError):
        await send(sim)
    assert outgoing(sim) == 1
    assert await sim.items("statuses", 3)
    assert caplog.records == []


async def test_row_21_a_hang_after_acceptance(sim: Meta, caplog: pytest.LogCaptureFixture) -> None:
    """The answer never comes though the message is sent: to send it again makes a second one."""
    sim.world.rules.append(Rule(fault="hang_after", path="*/messages"))
    with pytest.raises(httpx.ReadTimeout):
        await send(sim, timeout=0.3)
    assert (await send(sim)).status_code == 200
    assert outgoing(sim) == 2
    assert len({row["id"] for row in await sim.items("statuses", 6)}) == 2
    assert caplog.records == []


async def test_row_21_a_hang_that_ends(sim: Meta) -> None:
    """After the rule's seconds the connection breaks by itself."""
    sim.world.rules.append(Rule(fault="hang_after", seconds=0.05))
    with pytest.raises(httpx.ReadError):
        await send(sim)


async def test_row_21_a_slow_body(sim: Meta) -> None:
    """The answer drips: whole in the end for those who wait, too late for those with a deadline."""
    sim.world.rules.append(Rule(fault="slow_body", seconds=0.3))
    start = time.monotonic()
    assert (await send(sim)).json()["messages"]
    assert time.monotonic() - start >= 0.3
    sim.world.rules.append(Rule(fault="slow_body", seconds=60))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await send(sim)


async def test_row_21_which_calls_are_hit(sim: Meta) -> None:
    """A rule hits from the nth matching call on, so many times, by method and path; control is never hit."""
    sim.world.rules.append(Rule(fault="error_2", method="POST", path="/v*/messages", nth=2, count=2))
    found = [(await send(sim)).status_code for _ in range(5)]
    assert found == [200, 500, 500, 200, 200]
    sim.world.rules.append(Rule(fault="error_2", count=0))
    assert [(await sim.ask("GET", sim.number.id)).status_code for _ in range(3)] == [500] * 3
    assert (await sim.control("GET", "rules"))["rules"][0]["seen"] == 5
    assert await sim.control("DELETE", "rules") == {"rules": []}
    assert (await sim.ask("GET", sim.number.id)).status_code == 200


def test_row_21_every_rule_counts_what_it_matches() -> None:
    """The first rule that hits decides; those behind it count the call all the same."""
    rules = [
        Rule(fault="reset", nth=2),
        Rule(fault="error_2", method="GET"),
        Rule(fault="html_503", path="/x", count=0),
    ]
    asked = [("GET", "/x"), ("GET", "/x"), ("POST", "/x"), ("POST", "/y")]
    hit = [found.fault if (found := chosen(rules, method, path)) else "" for method, path in asked]
    assert hit == ["error_2", "reset", "html_503", ""]
    assert [rule.seen for rule in rules] == [4, 2, 3]
