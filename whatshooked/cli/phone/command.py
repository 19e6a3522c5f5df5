"""`simulate phone`: a chat in the terminal, in which you are the customer."""

import argparse
import asyncio
import contextlib
import io
import shutil
import sys

from whatshooked.cli.phone.chat import Me, Phone
from whatshooked.cli.phone.input import Input, Keyboard, Piped, terminal_kept
from whatshooked.cli.phone.screen import Lines, Screen, Terminal
from whatshooked.cli.simulate.command import carried_out
from whatshooked.cli.simulate.news import news_of
from whatshooked.cli.simulate.target import Misused, Refused, StandIn, Target, opened
from whatshooked.meta.items import digits


def phone(options: argparse.Namespace) -> int:
    """Chat until /quit or the end of input; 1 when a line from a pipe could not be done."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return carried_out(_chat(options, Piped(sys.stdin.fileno()), Lines(sys.stdout)))
    keyboard = Keyboard()
    screen = Terminal(sys.stdout, keyboard.typed, shutil.get_terminal_size)
    try:
        with terminal_kept():
            return carried_out(_chat(options, keyboard, screen))
    except KeyboardInterrupt:
        print()  # the prompt's line ends here
        raise


async def _chat(options: argparse.Namespace, lines: Input, screen: Screen) -> int:
    async with contextlib.AsyncExitStack() as stack:
        target = await stack.enter_async_context(opened(options))
        chat = Phone(target, screen, await who(target, options.from_))
        screen.note(f"You are {chat.me.name} and write to {chat.me.business}. /help lists what you can do.")
        if not isinstance(target, StandIn):
            screen.note("What the business sends goes to its own Graph and is not seen here.")
            return await _type(chat, lines, screen, 0.0)
        news = await stack.enter_async_context(news_of(target))
        hearing = asyncio.create_task(chat.hear(news))
        typing = asyncio.create_task(_type(chat, lines, screen, options.linger))
        try:
            await asyncio.wait((hearing, typing), return_when=asyncio.FIRST_COMPLETED)
            if not typing.done():
                hearing.result()  # raises: the stand-in has stopped
            return await typing
        finally:
            hearing.cancel()
            typing.cancel()
            await asyncio.gather(hearing, typing, return_exceptions=True)


async def _type(chat: Phone, lines: Input, screen: Screen, linger: float) -> int:
    """Do what each line says; at the end of a pipe wait until nothing has happened for `linger` seconds."""
    failed = False
    while (line := await lines.line()) is not None:
        if isinstance(screen, Terminal):
            screen.entered(line)
        try:
            if not await chat.enter(line.strip()):
                return 0
        except (Refused, Misused) as error:
            failed = True
            screen.note(str(error), bad=True)
    if not isinstance(lines, Piped):
        return 0
    await chat.silence(linger)
    return int(failed)


async def who(target: Target, named: str) -> Me:
    """Return who types: the user of a phone or user id, by default the first one, else somebody new."""
    if not isinstance(target, StandIn):
        return Me(named, named or "Ana Silva", "the gateway")
    world = await target.ask("GET", "")
    number = next((one for one in world["numbers"] if target.number_id in ("", one["id"])), None)
    if number is None:
        known = ", ".join(one["id"] for one in world["numbers"]) or "none"
        raise Misused(f"there is no number {target.number_id!a}; there are {known}: correct --number-id")
    business = f"+{number['phone']}"
    for user in world["users"]:
        if not named or named == user["id"] or digits(named) == user["phone"] != "":
            return Me(user["id"], user["name"] or user["phone"] or user["id"], business, user["id"])
    return Me(named, named, business, named if named[2:3] == "." else "")
