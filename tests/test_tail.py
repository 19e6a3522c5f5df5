"""`whatshooked tail`: what happens, as it happens, a line an event."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from tests import meta
from tests.commands import simulated_account
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status
from tests.simulated import Meta
from tests.watching import Watching, watching
from whatshooked.cli.eventlog.pieces import ASCII, UNICODE, Marks, rendered
from whatshooked.cli.eventlog.story import PATIENCE, Shown, Story
from whatshooked.eventlog.row import Row

MakeGateway = Callable[..., Gateway]
_EVENT = "1790000000000-0"


def row(type_: str, at: int = 0, **more: Any) -> Row:
    """A row of the account `business`, so many seconds after the first."""
    known = {"id": f"{1790000000000 + at}-0", "at": f"2026-09-21T14:13:{20 + at:02d}.000Z", "account_id": "business"}
    return msgspec.convert(known | {"type": type_} | more, Row)


def about(type_: str, at: int = 0, **more: Any) -> Row:
    """A row about the event."""
    return row(type_, at, event_id=_EVENT, conversation=meta.CUSTOMER, **more)


CAME = about("message.received", state="received", message_type="text", text="Hello")


def began(hook_id: str, attempt: int = 1) -> Row:
    """An attempt begins."""
    return about("hook.triggered", hook_id=hook_id, state="in_flight", attempt=attempt)


def accepted(hook_id: str, attempt: int = 1, at: int = 0) -> Row:
    """A hook accepts the event, after 12 ms."""
    return about("hook.success", at, hook_id=hook_id, state="accepted", attempt=attempt, status=200, duration_ms=12.0)


def failed(hook_id: str, state: str = "retrying", attempt: int = 1, at: int = 0, **more: Any) -> Row:
    """A hook does not."""
    known = {"status": 503, "duration_ms": 8.0} | more
    return about("hook.failed", at, hook_id=hook_id, state=state, attempt=attempt, **known)


class Told:
    """A story under test, and what it printed."""

    def __init__(self, marks: Marks = UNICODE, **shown: Any) -> None:
        self._story = Story(Shown(**shown), marks)

    def at(self, now: float, *rows: Row) -> list[str]:
        """Return the lines that are printed at a time with these rows."""
        return [rendered(line, colours=False) for line in self._story.take(rows, now)]

    def rest(self) -> list[str]:
        """Return the lines that are printed at the end."""
        return [rendered(line, colours=False) for line in self._story.rest()]


CAME_LINE = '14:13:20 business  < 4915112345678 "Hello"'


def test_an_event_s_line_waits_for_the_hooks_that_began() -> None:
    """It is printed once, when each has its first outcome, in the order in which they began."""
    told = Told()
    assert told.at(0, CAME, began("crm"), began("bot")) == []
    assert told.at(0.1, accepted("crm")) == []
    assert told.at(0.2, failed("bot")) == [f"{CAME_LINE}  crm ✓12ms  bot ✗ 503 (retry 2)"]
    assert told.at(9) == []


def test_an_event_s_line_does_not_wait_long() -> None:
    """Who has no outcome by then is shown as under way, and gets a line of its own later."""
    told = Told()
    assert told.at(0, CAME, began("crm")) == []
    assert told.at(PATIENCE) == [f"{CAME_LINE}  crm …"]
    assert told.at(9, accepted("crm", at=9)) == [f"14:13:29 business  ~ 4915112345678  crm ✓12ms attempt 1  {_EVENT}"]
    assert told.at(20, began("crm", 2)) == []


def test_what_comes_later_names_event_and_hook() -> None:
    """A retry that is accepted, the end of all tries, a replay: a line each."""
    told = Told()
    told.at(0, CAME, began("crm"), failed("crm"))
    later = told.at(
        5,
        failed("crm", "dead", 2, 2, status=0, error="no answer within 10 s"),
        about("event.replayed", 3, state="replayed", actor="cli:ana@desk"),
        accepted("crm", 3, 4),
    )
    assert later == [
        f"14:13:22 business  ~ 4915112345678  crm ✗ no answer within 10 s (dead) attempt 2  {_EVENT}",
        f"14:13:23 business  * 4915112345678 event.replayed  by cli:ana@desk  {_EVENT}",
        f"14:13:24 business  ~ 4915112345678  crm ✓12ms attempt 3  {_EVENT}",
    ]


def test_a_retry_ends_the_waiting_for_a_slower_hook() -> None:
    """The event's line comes first, then the retry's."""
    told = Told()
    told.at(0, CAME, began("crm"), began("slow"), failed("crm"))
    lines = told.at(0.5, began("crm", 2), accepted("crm", 2, 1))
    assert lines == [
        f"{CAME_LINE}  crm ✗ 503 (retry 2)  slow …",
        f"14:13:21 business  ~ 4915112345678  crm ✓12ms attempt 2  {_EVENT}",
    ]


ALONE: dict[str, tuple[Row, str]] = {
    "outgoing": (
        row("outbox.new", conversation="49151", message_type="text", text="Hi", state="new", message_id="m1"),
        '> 49151 "Hi" new  m1',
    ),
    "sent": (
        row("outbox.sent", conversation="49151", message_type="image", state="sent", message_id="wamid.x", attempt=1),
        "> 49151 image sent  wamid.x",
    ),
    "not sent": (
        row("outbox.failed", conversation="49151", message_type="text", state="failed", status=131026, error="no",
            attempt=2, message_id="m1", hook_id="bot"),
        "> 49151 text failed attempt 2 131026 no  bot  m1",
    ),
    "nobody knows": (
        row("outbox.unknown", conversation="49151", message_type="text", state="unknown", message_id="m1", error="no"),
        "> 49151 text unknown no  m1",
    ),
    "file": (
        about("media.failed", state="failed", error="gone"), f"* 4915112345678 media.failed gone  {_EVENT}",
    ),
    "disconnected": (
        row("whatsapp.disconnected", state="disconnected", status=190, error="expired"),
        "* whatsapp.disconnected 190 expired",
    ),
    "reload": (row("config.reloaded", account_id="", state="loaded", actor="web:1@h"),
               "* config.reloaded by web:1@h"),
    "refused": (row("config.reloaded", account_id="", state="refused", actor="web:1@h"),
                "* config.reloaded refused  by web:1@h"),
    "switched on": (
        row("config.hook_switched", account_id="", hook_id="crm", state="on"),
        "* config.hook_switched on  crm",
    ),
    "switch": (row("config.hook_switched", account_id="", hook_id="crm", state="off", actor="cli:a@h"),
               "* config.hook_switched off  crm  by cli:a@h"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_what_is_no_event_is_a_line(name: str) -> None:
    """Outgoing messages, files, connections, operators' doings and reloads are printed at once."""
    told, expected = ALONE[name]
    (line,) = Told().at(0, told)
    assert re.sub(r"^14:13:20( business)? +", "", line).replace("  by", " by") == expected.replace("  by", " by")


JOINED: dict[str, tuple[Sequence[Row], str]] = {
    "nobody wants it": ([CAME, about("event.unmatched", state="unmatched")], f"{CAME_LINE}  no hook wants it"),
    "its file": (
        [CAME, about("media.stored", state="stored"), began("crm"), accepted("crm")],
        f"{CAME_LINE}  file ✓  crm ✓12ms",
    ),
    "no file": (
        [CAME, about("media.failed", state="failed", error="gone"), began("crm"), accepted("crm")],
        f"{CAME_LINE}  file ✗ gone  crm ✓12ms",
    ),
    "status": (
        [about("message.delivered", state="received", message_id="wamid.x"), began("crm"), accepted("crm")],
        "14:13:20 business  = 4915112345678 delivered  crm ✓12ms",
    ),
    "failed status": (
        [about("message.failed", state="received", status=131026, error="Undelivered"), began("crm"), accepted("crm")],
        "14:13:20 business  = 4915112345678 failed 131026 Undelivered  crm ✓12ms",
    ),
    "other": (
        [about("meta.account_update", state="received"), began("crm"), accepted("crm")],
        "14:13:20 business  * 4915112345678 meta.account_update  crm ✓12ms",
    ),
    "refused reply": (
        [CAME, began("crm"), msgspec.structs.replace(accepted("crm"), error="its reply is not sent: no text")],
        f"{CAME_LINE}  crm ✓12ms (its reply is not sent: no text)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JOINED)
def test_what_is_known_of_an_event_is_on_its_line(name: str) -> None:
    """A file, a status, an event nobody wants: one line."""
    rows, expected = JOINED[name]
    assert Told().at(0, *rows) == [expected]


def test_only_what_is_asked_for_is_shown() -> None:
    """By account, by hook, by failure: of an event's line that hook's mark alone, and no line without a reason."""
    rows = [CAME, began("crm"), began("bot"), accepted("crm"), failed("bot")]
    assert Told(account_id="other").at(0, *rows) == []
    assert Told(hook_id="crm").at(0, *rows) == [f"{CAME_LINE}  crm ✓12ms"]
    assert Told(hook_id="crm").at(9, CAME, began("bot"), failed("bot")) == []
    assert Told(failed=True).at(0, CAME, began("crm"), accepted("crm")) == []
    assert Told(failed=True).at(0, *rows) == [f"{CAME_LINE}  crm ✓12ms  bot ✗ 503 (retry 2)"]
    assert Told(failed=True, hook_id="crm").at(0, *rows) == []
    assert Told(failed=True).at(0, row("outbox.sent", state="sent"), row("whatsapp.connected")) == []


def test_marks_that_any_output_can_show() -> None:
    """Without the signs of Unicode the words do."""
    told = Told(ASCII)
    assert told.at(0, CAME, began("crm"), began("bot"), accepted("crm"), failed("bot")) == [
        f"{CAME_LINE}  crm ok 12ms  bot x 503 (retry 2)"
    ]


def test_what_waits_is_printed_at_the_end() -> None:
    """Ctrl-C within an event's patience loses nothing of it."""
    told = Told()
    told.at(0, CAME, began("crm"))
    assert told.rest() == [f"{CAME_LINE}  crm …"]
    assert told.rest() == []


async def listening(tail: Watching) -> None:
    """Return once it listens, and the gateway has noticed it."""
    await tail.until("^listening", errors=True)
    await asyncio.sleep(1.2)  # processes look twice a second whether somebody watches


async def test_an_event_and_its_hooks_are_one_line(make_gateway: MakeGateway, receiver: Receiver) -> None:
    """With the log off: the line is there within seconds, a later retry is another one, and Ctrl-C ends it cleanly."""
    receiver.behave = status(503)
    async with Receiver() as good:
        gateway = make_gateway(hook("bot", receiver.url()), hook("crm", good.url()))
        await gateway.start()
        async with watching(gateway, "tail") as tail:
            await listening(tail)
            await gateway.post(meta.webhook(meta.value(meta.text("Hello"))))
            line = await tail.until("Hello")
            assert re.fullmatch(
                rf'\d\d:\d\d:\d\d business  < {meta.CUSTOMER} "Hello"'
                r"(?=.*  crm ✓\d+ms)(?=.*  bot ✗ 503 \(retry 2\))(?:  \w+ \S+(?: 503 \(retry 2\))?){2}",
                line,
            ), line
            receiver.behave = status(200)
            assert re.search(r"~ \d+  bot ✓\d+ms attempt 2  \d+-\d+$", await tail.until("attempt 2"))
            assert await tail.interrupt() == 130
        assert len([line for line in tail.lines if "Hello" in line]) == 1
        assert tail.errors == ["listening: what happens is shown here, Ctrl-C ends it"]


async def test_a_message_on_its_way_out_and_its_statuses(
    make_gateway: MakeGateway, receiver: Receiver, sim: Meta
) -> None:
    """A reply of a hook is a line when it is new and when it is sent; its statuses are lines with their hooks."""
    receiver.behave = status(200, b'{"send_message": true, "text": "echo"}')
    gateway = make_gateway(
        hook("bot", receiver.url(), events=["message.received"]),
        accounts=[simulated_account(sim)],
        event_logger={"mask": ["numbers"]},
    )
    await gateway.start()
    assert sim.app.subscription is not None
    sim.app.subscription.callback_url = f"{gateway.base}/webhooks/whatsapp/business"
    async with watching(gateway, "tail", "--account", "business", NO_COLOR="1") as tail:
        await listening(tail)
        user = sim.users[0]
        await sim.control("POST", "inbound", json={"kind": "text", "text": "hello", "from": user.id})
        masked = re.escape("*" * (len(user.phone) - 2) + user.phone[-2:])
        assert re.search(rf'< {masked} "hello"  bot ✓\d+ms$', await tail.until('"hello"'))
        assert re.search(rf'> {masked} "echo" new  bot$', await tail.until(" new "))
        await tail.until(rf"> {masked} text sent ")
        assert re.search(rf"= {masked} delivered  no hook wants it$", await tail.until("delivered"))
        assert user.phone not in "\n".join(tail.lines)


async def test_json_is_a_row_for_each_thing_that_happens(make_gateway: MakeGateway, receiver: Receiver) -> None:
    """`--json --hook`: rows as the log keeps them, of that hook alone."""
    gateway = make_gateway(hook("crm", receiver.url()), hook("bot", receiver.url("/b")))
    await gateway.start()
    async with watching(gateway, "tail", "--json", "--hook", "crm") as tail:
        await listening(tail)
        await gateway.post(meta.webhook(meta.value(meta.text("Hello"))))
        await tail.until("hook.success")
        rows = [json.loads(line) for line in tail.lines]
        assert [one["type"] for one in rows] == ["hook.triggered", "hook.success"]
        assert {one["hook_id"] for one in rows} == {"crm"}
        assert rows[1]["status"] == 200


async def test_what_happened_a_moment_ago_is_there(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Any
) -> None:
    """`--since` begins in the past, as far as Redis has it; an output without Unicode gets other signs."""
    logged = {"enabled": True, "targets": ["file"], "file_dir": str(tmp_path / "events")}
    gateway = make_gateway(hook("crm", receiver.url()), event_logger=logged)
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text("Grüße \x1b[2J"))))
    await receiver.wait()
    async with watching(gateway, "tail", "--since", "30s", PYTHONIOENCODING="ascii") as tail:
        line = await tail.until("crm ok ")
        assert '"Gr\\xfc\\xdfe \\x1b[2J"' in line


async def test_a_redis_that_is_away_is_waited_for(
    make_gateway: MakeGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is said once, and once that it is back; a tail may begin before its Redis does."""
    from whatshooked.embedded import Embedded

    folder = tmp_path_factory.mktemp("away")
    server = Embedded.open(folder)
    gateway = make_gateway(redis={"url": server.url, "prefix": "away"})
    gateway.write()
    server.close()
    async with watching(gateway, "tail") as tail:
        await tail.until("waiting until it is back$", errors=True)
        server = await asyncio.to_thread(Embedded.open, folder)
        try:
            await tail.until("^listening", errors=True)
        finally:
            await asyncio.to_thread(server.close)
        assert await tail.interrupt() == 130
    assert tail.lines == []
    assert len([line for line in tail.errors if line.startswith("Redis")]) in (1, 2)
