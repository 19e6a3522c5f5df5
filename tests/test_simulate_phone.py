"""`whatshooked simulate phone`: you are the customer, in a pipe or in a terminal."""

import asyncio
import io
import os
import pty
import re
import sys
from typing import Any

import pytest

from tests import meta
from tests.conftest import REPO, Gateway
from tests.echo import BUTTONS, Echo
from tests.simulated import Meta
from whatshooked.cli.phone import words as phone_words
from whatshooked.cli.phone.chat import Me, Phone
from whatshooked.cli.phone.messages import Choice, choices, shown
from whatshooked.cli.phone.screen import Lines, Terminal
from whatshooked.cli.phone.words import Chat
from whatshooked.cli.simulate.target import Misused

COMMAND = [sys.executable, "-m", "whatshooked", "simulate", "phone"]


async def chat(sim: Meta, typed: str, *arguments: str, linger: str = "1") -> tuple[int, list[str]]:
    """Type lines into the phone of a simulator; return its exit code and what it showed."""
    return await typed_in(typed, "--sim", sim.url, "--linger", linger, *arguments)


async def typed_in(typed: str, *arguments: str) -> tuple[int, list[str]]:
    """Type lines into the phone through a pipe; return its exit code and what it showed."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(REPO), "PYTHONIOENCODING": "utf-8"},
    )
    out, _ = await asyncio.wait_for(process.communicate(typed.encode()), 20)
    return process.returncode or 0, out.decode().splitlines()


async def test_what_is_typed_arrives_and_what_comes_back_appears_with_its_ticks(sim: Meta) -> None:
    """A line is a webhook; the business's answer appears, then sent, delivered and read, each once."""
    Echo(sim)
    code, lines = await chat(sim, "hello\n")
    business = f"+{sim.number.phone}"
    assert code == 0
    assert lines[0].strip().startswith(f"You are Ana Silva and write to {business}.")
    assert f"{business}: echo: hello" in lines
    assert f"  {business} is typing ..." in lines
    ticks = [line.split()[:2] for line in lines if line.endswith(": echo: hello") and line.startswith("  ")]
    assert ticks == [["✓", "sent"], ["✓✓", "delivered"], ["✓✓", "read"]]
    assert "  ✓✓ read      You: hello" in lines
    (message,) = await sim.items("messages")
    assert (message["text"]["body"], message["from"]) == ("hello", sim.users[0].phone)


async def test_commands_write_messages_of_their_kind(sim: Meta) -> None:
    """Files, places, reactions and quotes; what is wrong is said and fails a pipe at its end; /quit ends at once."""
    Echo(sim)
    typed = "hello\n/image\n/location 52.5 13.4 Office\n/nope\n/press 1\n//slash\n/quit\nnever\n"
    code, lines = await chat(sim, typed, "--from", "+49 30 777")
    assert code == 0  # /quit
    told = "\n".join(lines)
    assert "  ! there is no /nope" in told
    assert "  ! /press takes the number of a button, but no message with buttons came yet" in told
    messages = await sim.items("messages", 4)
    assert sorted(row["type"] for row in messages) == ["image", "location", "text", "text"]
    assert {row["from"] for row in messages} == {"4930777"}
    (place,) = [row["location"] for row in messages if row["type"] == "location"]
    assert (place["latitude"], place["longitude"], place["name"]) == (52.5, 13.4, "Office")
    assert {row["text"]["body"] for row in messages if row["type"] == "text"} == {"hello", "/slash"}


async def test_a_stranger_sees_the_answer(sim: Meta) -> None:
    """Somebody new has a user id from the first message on, and gets the answers to it."""
    Echo(sim)
    _, lines = await chat(sim, "menu\n", "--from", "+49 30 777")
    start = lines.index(f"+{sim.number.phone}: Fruit")
    assert lines[start + 1 : start + 4] == ["Pick one", "  1) Apples", "  2) Pears"]


async def test_a_gateway_that_refuses_is_seen(sim: Meta) -> None:
    """When the webhook is not answered with 200 the phone says so; a line that failed is exit code 1."""
    Echo(sim, code=503)
    sim.world.clock.run(1)
    code, lines = await chat(sim, "silence\n/nope\n", linger="0.2")
    assert code == 1
    assert any("the gateway did not take the webhook (HTTP 503)" in line for line in lines)


async def test_a_gateway_s_answer_is_seen(gateway: Gateway) -> None:
    """Straight to a gateway a message has a tick once the gateway has answered 200, and its reason when it did not."""
    target = ["--gateway", f"{gateway.base}/webhooks/whatsapp/business", "--number-id", meta.number_id()]
    code, lines = await typed_in("hello\n", *target, "--app-secret", meta.SECRET)
    assert code == 0
    assert lines[-1].split() == ["✓", "200", "You:", "hello"]
    code, lines = await typed_in("hello\n", *target, "--app-secret", "another")
    assert code == 1
    assert lines[-1].startswith("  ! the gateway answered 403")


async def test_the_phone_ends_with_the_stand_in(sim: Meta) -> None:
    """When nobody answers any more the phone says so and ends, though input may still come."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--sim", sim.url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPO)},
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 10)
    async with asyncio.timeout(10):
        while not sim.world._watchers:
            await asyncio.sleep(0.01)
    sim.world.stop()
    _, error = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 69
    assert b"no answer from" in error


async def test_a_chat_in_a_terminal(sim: Meta) -> None:
    """In a terminal the tick of a message changes in its place, above what is being typed."""
    Echo(sim)
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--sim", sim.url),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"PYTHONPATH": str(REPO), "TERM": "xterm", "COLUMNS": "60", "LINES": "20", "LANG": "C.UTF-8"},
    )
    os.close(theirs)
    seen = Seen(60)
    try:
        await seen.until(ours, "> ")
        os.write(ours, b"hello\n")
        await seen.until(ours, "echo: hello  ✓✓")
        await seen.until(ours, "You: hello  ✓✓")
        rows = [row for row in seen.rows if row]
        assert [row for row in rows if "hello" in row] == [
            "You: hello  ✓✓",
            f"+{sim.number.phone}: echo: hello  ✓✓",
        ]
        os.write(ours, b"/quit\n")
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        os.close(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()


class Seen:
    """A small terminal: what stands in its rows once all that was written is obeyed."""

    def __init__(self, width: int) -> None:
        self.rows = [""]
        self._row = self._column = 0
        self._kept = (0, 0)
        self._width = width

    async def until(self, descriptor: int, text: str) -> None:
        """Read until a text stands in some row; raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(15):
            while not any(text in row for row in self.rows):
                await asyncio.sleep(0.01)
                self.write((await loop.run_in_executor(None, os.read, descriptor, 65_536)).decode(errors="replace"))

    def write(self, text: str) -> None:
        """Obey what is written."""
        for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\x1b[78]|[^\x1b]", text):
            if part[0] == "\x1b":
                self._obey(part)
            elif part == "\r":
                self._column = 0
            elif part == "\n":
                self._to(self._row + 1)
                self._column = 0
            elif part >= " ":
                row = self.rows[self._row].ljust(self._column)
                self.rows[self._row] = row[: self._column] + part + row[self._column + 1 :]
                self._column += 1
                if self._column >= self._width:
                    self._to(self._row + 1)
                    self._column = 0

    def _obey(self, part: str) -> None:
        match part[-1]:
            case "7":
                self._kept = (self._row, self._column)
            case "8":
                self._row, self._column = self._kept
            case "A":
                self._to(self._row - int(part[2:-1] or 1))
            case "K":
                self.rows[self._row] = self.rows[self._row][: self._column]
            case "J":
                self.rows[self._row] = self.rows[self._row][: self._column]
                del self.rows[self._row + 1 :]

    def _to(self, row: int) -> None:
        self._row = row
        self.rows += [""] * (row + 1 - len(self.rows))


def terminal(typed: str | None = None, columns: int = 40, lines: int = 10) -> tuple[Terminal, Seen]:
    """A screen whose output a small terminal shows."""
    seen = Seen(columns)
    out = io.StringIO()
    out.write = lambda text: seen.write(text) or len(text)  # type: ignore[method-assign,func-returns-value]
    return Terminal(out, lambda: typed, lambda: os.terminal_size((columns, lines))), seen


def test_a_tick_stands_behind_its_text() -> None:
    """Each tick replaces the one before, at the end of a text's last row, and what is being typed stays."""
    screen, seen = terminal("half a")
    seen.write("> half a")
    number = screen.say("a text of quite some length, which does not fit into one row")
    screen.say("another")
    screen.tick(number, "sent")
    screen.tick(number, "read")
    assert seen.rows == ["a text of quite some length, which", "does not fit into one row  ✓✓", "another", "> half a"]


def test_what_is_entered_makes_room_for_the_message() -> None:
    """The typed line is taken away, however many rows it has, since the message stands there instead."""
    screen, seen = terminal()
    long = "x" * 50
    seen.write(f"> {long}\n")
    screen.entered(long)
    screen.say("You: short", own=True)
    assert [row for row in seen.rows if row] == ["You: short"]


def test_a_text_that_is_gone_gets_no_tick() -> None:
    """What has left the screen above is not written to, or the tick would land elsewhere."""
    screen, seen = terminal(lines=5)
    first = screen.say("first")
    for number in range(6):
        screen.say(str(number))
    screen.tick(first, "read")
    assert seen.rows[0] == "first"
    screen.note("wide 漢字 fits")
    assert "wide 漢字 fits" in seen.rows


def test_what_is_told_late_takes_nothing_back() -> None:
    """A delivery that is told after the reading changes no tick; nor does news of other people's messages."""
    out = io.StringIO()
    chat = Phone(None, Lines(out), Me("U1", "Ana", "+1", "U1"))  # type: ignore[arg-type] # nothing is written
    sent = {"kind": "sent", "to": "U1", "message_id": "A", "type": "text", "text": "Hi", "body": {}}
    chat.on(sent | {"to": "U2", "message_id": "B"})
    chat.on(sent)
    for status in ("read", "delivered", "failed"):
        chat.on({"kind": "status", "message_id": "A", "status": status, "codes": [131026]})
        chat.on({"kind": "status", "message_id": "B", "status": status, "codes": []})
    assert out.getvalue().splitlines() == [
        "+1: Hi",
        "  ✓✓ read      +1: Hi",
        "  ✗  failed    +1: Hi",
        "  ! failed (131026)",
    ]


def test_a_new_user_id_is_learnt() -> None:
    """After a change of number the phone goes on under the new id."""
    chat = Phone(None, Lines(io.StringIO()), Me("U1", "Ana", "+1", "U1"))  # type: ignore[arg-type] # the same
    system = {"type": "user_changed_user_id", "user_id": "U9", "previous_user_id": "U1"}
    chat.on({"kind": "inbound", "user_id": "U1", "body": {"type": "system", "system": system}})
    assert (chat.me.who, chat.me.user_id) == ("U9", "U9")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Hi", {"text": "Hi"}),
        ("//x", {"text": "/x"}),
        ("/voice", {"kind": "audio", "variant": "voice", "text": ""}),
        ("/location", {"kind": "location"}),
        ("/location 1,2", {"kind": "location", "latitude": 1.0, "longitude": 2.0, "variant": "bare"}),
        ("/react 🎉", {"kind": "reaction", "emoji": "🎉", "about": "T"}),
        ("/react", {"kind": "reaction", "variant": "removed", "about": "T"}),
        ("/reply Yes", {"variant": "reply", "text": "Yes", "about": "T"}),
        ("/edit Oh", {"kind": "edit", "text": "Oh", "about": "M"}),
        ("/revoke", {"kind": "revoke", "about": "M"}),
        ("/send audio voice+group", {"kind": "audio", "variant": "voice+group"}),
    ],
)
def test_what_a_line_means(line: str, message: dict[str, Any]) -> None:
    """Each command is a message, about the last one of either side where it needs one."""
    assert phone_words.parse(line, Chat("T", "M")).message == message


def test_buttons_are_pressed_by_number() -> None:
    """A pressed button answers with its own id and title, quoting the message it stands on."""
    item = {"message_id": "A", "type": "interactive", "text": "Pick one", "body": {"interactive": BUTTONS}}
    assert shown(item) == "Fruit\nPick one\n  1) Apples\n  2) Pears"
    chat = Chat("T", "M", choices(item))
    pressed = phone_words.parse("/press 2", chat).message
    assert pressed == {
        "kind": "interactive",
        "variant": "button_reply",
        "choice": "b",
        "text": "Pears",
        "about": "A",
    }
    rows = {"sections": [{"rows": [{"id": "r1", "title": "One"}]}]}
    listed = {"message_id": "B", "type": "interactive", "text": "x", "body": {"interactive": {"action": rows}}}
    assert choices(listed) == [Choice("list_reply", "r1", "One", "B")]


@pytest.mark.parametrize(
    "line", ["/press 3", "/press", "/location here", "/send", "/react x", "/reply x", "/edit x", "/revoke", "/what"]
)
def test_what_cannot_be_done_is_refused(line: str) -> None:
    """A command without what it needs says so."""
    with pytest.raises(Misused):
        phone_words.parse(line, Chat())


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (
            {"type": "image", "text": "Look", "body": {"image": {"link": "http://x/y.jpg"}}},
            "[image] http://x/y.jpg Look",
        ),
        ({"type": "reaction", "text": "🎉", "body": {}}, "reacts 🎉"),
        ({"type": "reaction", "text": "", "body": {}}, "takes its reaction back"),
        ({"type": "hologram", "text": "", "body": None}, "[hologram]"),
    ],
)
def test_what_the_business_sends_is_shown(item: dict[str, Any], text: str) -> None:
    """Every type is one text, also those that the phone does not know."""
    assert shown(item) == text
