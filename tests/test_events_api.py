"""Pages of the event log over HTTP: what is asked for, in order, from each target, and what is said otherwise."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.event_rows import CUSTOMER, START, reloaded, row, section, write
from tests.receiver import Receiver
from whatshooked.config.model import Target as Name
from whatshooked.eventlog.compose import moment
from whatshooked.eventlog.row import Row
from whatshooked.web.events import EventRow

Make = Callable[..., Gateway]
#: One row of each kind that the filters tell apart; its place in this list is its number.
ROWS = (
    row(0),
    row(1, "hook.triggered", hook_id="crm", attempt=1),
    row(2, "hook.failed", hook_id="crm", state="failed", status=503, error="HTTP 503: Überlast", duration_ms=3.5),
    row(3, "message.delivered", account_id="other"),
    row(4, "message.read", conversation="US.1349", event_id="77-0"),
    row(5, "outbox.sent", state="sent", data='{"outbox_id": "abc",\n "body": {"n": 12345678901234567890123}}'),
    row(6, "config.reloaded", account_id="", conversation="", state="loaded", actor="web:1@here"),
)


async def served(make_gateway: Make, folder: Path, *targets: Name, **more: object) -> Gateway:
    """A gateway that is asked, without workers, whose targets have ROWS."""
    gateway = make_gateway(event_logger=section(folder, *targets, **more))
    await gateway.start(workers=0)
    write(gateway.config, ROWS, *targets)
    return gateway


async def numbers(gateway: Gateway, query: str) -> list[int]:
    """Return which of ROWS a page has."""
    answer = await gateway.api("GET", f"/api/events?{query}")
    assert answer.status_code == 200, answer.text
    ids = [one.id for one in ROWS]
    return [ids.index(one["id"]) for one in answer.json()["events"]]


async def refused(gateway: Gateway, query: str = "") -> tuple[int, str, str]:
    """Return the status, code and hint of a page that there is not."""
    answer = await gateway.api("GET", f"/api/events?{query}")
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "hint"}
    return answer.status_code, error["code"], error["hint"]


@pytest.mark.parametrize("target", ["file", "sqlite"])
async def test_pages_go_through_all_rows(make_gateway: Make, tmp_path: Path, target: Name) -> None:
    """Newest first or oldest first, each row once, and `next` is null on the last page."""
    gateway = await served(make_gateway, tmp_path, target)
    for order, expected in (("newest", [6, 5, 4, 3, 2, 1, 0]), ("oldest", [0, 1, 2, 3, 4, 5, 6])):
        found, after, pages = list[int](), "", 0
        while pages < 10:
            page = (await gateway.api("GET", f"/api/events?order={order}&limit=3&after={after}")).json()
            found += [[one.id for one in ROWS].index(one["id"]) for one in page["events"]]
            pages += 1
            if page["next"] is None:
                break
            after = page["next"]
        assert (found, pages) == (expected, 3)
    assert await numbers(gateway, "limit=7") == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("target", ["file", "sqlite"])
async def test_every_filter(make_gateway: Make, tmp_path: Path, target: Name) -> None:
    """Each alone, several together, types and states repeated or with commas, numbers as people write them."""
    gateway = await served(make_gateway, tmp_path, target)
    expected = {
        f"since={moment(START + 4000)}": [6, 5, 4],
        f"until={moment(START + 2000)}&order=oldest": [0, 1],
        "since=2026-10-01T02:00:05%2B02:00": [6, 5],
        "account_id=other": [3],
        "account_id=nobody": [],
        f"conversation={CUSTOMER}&type=hook.*": [2, 1],
        "conversation=%2B49 (0) 151-1234 5678&type=message.*": [3, 0],
        "conversation=+49 151 12345678&type=message.received": [0],
        "conversation=US.1349": [4],
        "conversation=4915199999999": [],
        "type=message.read": [4],
        "type=message.*&type=outbox.sent": [5, 4, 3, 0],
        "type=message.read, hook.failed": [4, 2],
        "type=*&limit=1": [6],
        "hook_id=crm": [2, 1],
        "state=failed&state=sent": [5, 2],
        "state=failed,loaded": [6, 2],
        "event_id=77-0": [4],
        "error=http 503": [2],
        "error=ÜBER": [2],
        "hook_id=crm&state=failed&error=503&account_id=business": [2],
        "target=": [6, 5, 4, 3, 2, 1, 0],
    }
    for query, found in expected.items():
        assert await numbers(gateway, query) == found, query


@pytest.mark.parametrize("target", ["file", "sqlite"])
async def test_a_row_is_an_object(make_gateway: Make, tmp_path: Path, target: Name) -> None:
    """What is empty is left out, `data` is JSON and no text, to the last digit; the document names every key."""
    gateway = await served(make_gateway, tmp_path, target)
    shown = (await gateway.api("GET", "/api/events?order=oldest")).json()["events"]
    assert shown[6].keys() == {"id", "at", "type", "event_id", "state", "actor", "text"}
    assert shown[2] == {
        "id": ROWS[2].id,
        "at": "2026-10-01T00:00:02.000Z",
        "type": "hook.failed",
        "account_id": "business",
        "conversation": CUSTOMER,
        "event_id": ROWS[2].event_id,
        "hook_id": "crm",
        "state": "failed",
        "status": 503,
        "duration_ms": 3.5,
        "error": "HTTP 503: Überlast",
        "text": "text 2",
    }
    assert shown[5]["data"] == {"outbox_id": "abc", "body": {"n": 12345678901234567890123}}
    assert {field.name for field in msgspec.structs.fields(EventRow)} == set(Row.__struct_fields__)


async def test_a_masked_number_is_found_by_the_whole_one(make_gateway: Make, tmp_path: Path) -> None:
    """Where the log hides numbers, what is asked for is hidden alike."""
    gateway = make_gateway(event_logger=section(tmp_path, "sqlite", mask=["numbers"]))
    await gateway.start(workers=0)
    write(gateway.config, [row(0, conversation="***********78"), row(1, conversation="***********79")], "sqlite")
    for asked in (f"%2B{CUSTOMER}", CUSTOMER, "***********78"):
        page = (await gateway.api("GET", f"/api/events?conversation={asked}")).json()
        assert [one["conversation"] for one in page["events"]] == ["***********78"]


async def test_what_cannot_be_asked_is_said(make_gateway: Make, tmp_path: Path) -> None:
    """400 with what was expected, 404 for a target that is not in the config, 401 for strangers."""
    gateway = await served(make_gateway, tmp_path, "file")
    for query, code in {
        "since=yesterday": "bad_request",
        "since=2026-10-02T00:00:00Z&until=2026-10-01T00:00:00Z": "bad_times",
        "type=Message": "bad_type",
        "type=message.received,*.x": "bad_type",
        "state=a-b": "bad_state",
        "after=x": "bad_place",
        "order=up": "bad_request",
        "limit=0": "bad_request",
        "limit=501": "bad_request",
    }.items():
        status, said, hint = await refused(gateway, query)
        assert (status, said) == (400, code), query
        assert hint
    assert await refused(gateway, "target=sqlite") == (404, "unknown_target", "event_logger.targets has file")
    assert (await refused(gateway, "target=mysql"))[0] == 404
    for path in ("", "/export", "/live"):
        assert (await gateway.client.get(f"{gateway.base}/api/events{path}")).status_code == 401


async def test_a_log_that_is_off_says_how_to_turn_it_on(make_gateway: Make, tmp_path: Path) -> None:
    """409, and a reload is enough."""
    gateway = make_gateway(event_logger=section(tmp_path, enabled=False))
    await gateway.start(workers=0)
    status, code, hint = await refused(gateway)
    assert (status, code) == (409, "log_off")
    assert "event_logger.enabled" in hint
    assert (await gateway.api("GET", "/api/events/export")).status_code == 409
    gateway.document["event_logger"]["enabled"] = True
    await reloaded(gateway)
    assert await numbers(gateway, "") == []


async def test_a_target_that_is_down_is_told_with_its_remedy(make_gateway: Make, tmp_path: Path) -> None:
    """503, and the page is there as soon as that is mended."""
    gateway = await served(make_gateway, tmp_path, "sqlite")
    place = tmp_path / "events.sqlite"
    kept = place.read_bytes()
    place.write_bytes(b"no database at all" * 1000)
    for path in ("/api/events", "/api/events/export", "/api/events/export?format=parquet"):
        answer = await gateway.api("GET", path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "log_unavailable"), path
        assert "move it away" in error["hint"]
    place.unlink()
    place.write_bytes(kept)
    write(gateway.config, ROWS, "sqlite")
    assert len(await numbers(gateway, "")) == len(ROWS)


async def test_open_targets_follow_the_config(make_gateway: Make, tmp_path: Path) -> None:
    """After a reload the new place is asked, and the quickest of the targets."""
    gateway = await served(make_gateway, tmp_path, "file")
    assert len(await numbers(gateway, "")) == len(ROWS)
    gateway.document["event_logger"] = section(tmp_path / "new", "file", "sqlite")
    await reloaded(gateway)
    write(gateway.config, ROWS[:2], "file")
    write(gateway.config, ROWS[:4], "sqlite")
    assert await numbers(gateway, "target=file") == [1, 0]
    assert await numbers(gateway, "") == [3, 2, 1, 0]


async def test_many_ask_at_once(make_gateway: Make, tmp_path: Path) -> None:
    """Each gets its own page, whichever open target it comes from."""
    gateway = await served(make_gateway, tmp_path, "file", "sqlite")
    queries = [(name, number) for name in ("file", "sqlite") for number in range(len(ROWS))] * 3
    pages = [numbers(gateway, f"target={name}&event_id={ROWS[number].event_id}") for name, number in queries]
    assert await asyncio.gather(*pages) == [[number] for _, number in queries]


async def test_what_happens_is_soon_in_a_page(make_gateway: Make, receiver: Receiver, tmp_path: Path) -> None:
    """A webhook's event and its delivery are found by the customer's number."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section(tmp_path, "sqlite"))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("Hello"))))
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while len(found) < 3:
            page = await gateway.api("GET", f"/api/events?conversation=%2B{meta.CUSTOMER}&order=oldest")
            found = page.json()["events"]
            await asyncio.sleep(0.05)
    assert [one["type"] for one in found] == ["message.received", "hook.triggered", "hook.success"]
    assert [one.get("text") for one in found] == ["Hello", None, None]
