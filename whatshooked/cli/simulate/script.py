"""`simulate script FILE`: a conversation as data, carried out step by step, and the first step that does not hold."""

import argparse
import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from whatshooked.cli.simulate.command import carried_out
from whatshooked.cli.simulate.news import News, news_of
from whatshooked.cli.simulate.target import Misused, Object, Refused, StandIn, Target, opened, read

#: News that a person reading a failure wants to see of what came instead.
_SHOWN = ("kind", "type", "text", "status", "codes", "error")


class Expected(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """News that must come within so many seconds; or, with `none`, that must not."""

    #: "" is what the other keys say: `status` as text is a status, as a number a webhook's answer; else `sent`.
    kind: str = ""
    text: str | None = None
    #: A regular expression that the text must hold.
    matches: str | None = None
    type: str | None = None
    status: str | int | None = None
    code: int | None = None
    #: User id that the business writes to.
    to: str | None = None
    within: float = 10.0
    none: bool = False


class Changed(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A status to make; `last` is the message that was expected last."""

    status: str
    message_id: str = "last"
    code: int = 0


class Told(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A field to tell of."""

    field: str
    event: str = ""
    value: Object | None = None


class Step(Struct, forbid_unknown_fields=True):
    """One step: a single verb, and a note for people."""

    say: str | Object | UnsetType = UNSET
    expect: str | Expected | UnsetType = UNSET
    wait: float | UnsetType = UNSET
    status: Changed | UnsetType = UNSET
    notify: str | Told | UnsetType = UNSET
    advance: float | UnsetType = UNSET
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.told) != 1:
            raise ValueError("a step has exactly one of say, expect, wait, status, notify, advance")

    @property
    def told(self) -> dict[str, Any]:
        """What is to be done: one verb, and what it is done with."""
        verbs = {
            "say": self.say,
            "expect": self.expect,
            "wait": self.wait,
            "status": self.status,
            "notify": self.notify,
            "advance": self.advance,
        }
        return {verb: value for verb, value in verbs.items() if value is not UNSET}


def script(options: argparse.Namespace) -> int:
    """Carry out a script; 1 when a step does not hold."""
    return carried_out(_script(options))


def parse(text: str, name: str) -> list[Step]:
    """Return the steps of a script; raises Misused with every step that is none."""
    steps, faults = [], []
    for number, row in enumerate(_rows(text, name), 1):
        try:
            steps.append(msgspec.convert(row, Step))
        except (msgspec.ValidationError, ValueError) as error:
            faults.append(f"{name}: step {number}: {error}")
    if faults or not steps:
        raise Misused("\n".join(faults) or f"{name}: no step in it; see whatshooked simulate script --help")
    return steps


def _rows(text: str, name: str) -> list[Any]:
    """Return the steps as data: of one JSON document, or of one in each line."""
    try:
        found = json.loads(text)
    except ValueError:
        return [_row(line, number, name) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if isinstance(found, dict) and "steps" in found:
        found = found["steps"]
    return found if isinstance(found, list) else [found]


def _row(line: str, number: int, name: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise Misused(f"{name}: line {number} is no JSON ({error}), and neither is the whole file") from error


async def _script(options: argparse.Namespace) -> int:
    path = Path(options.file)
    steps = parse(read(path).decode("utf-8", "replace"), path.name)
    async with contextlib.AsyncExitStack() as stack:
        target = await stack.enter_async_context(opened(options))
        news = await stack.enter_async_context(news_of(target)) if isinstance(target, StandIn) else None
        player = Player(target, news)
        for number, step in enumerate(steps, 1):
            try:
                await player.play(step)
            except Refused as error:
                print(f"{path.name}: step {number} ({shown(step)}): {error}", file=sys.stderr)
                return 1
            print(f"ok {number}  {shown(step)}", flush=True)
    return 0


def shown(step: Step) -> str:
    """Return a step as one short line."""
    ((verb, value),) = step.told.items()
    told = msgspec.json.encode(value).decode()
    line = f"{verb} {told}" if len(told) < 100 else f"{verb} {told[:97]}..."
    return f"{line}  # {step.note}" if step.note else line


class Player:
    """Carries out steps; each raises Refused when it does not hold."""

    def __init__(self, target: Target, news: News | None) -> None:
        self._target = target
        self._news = news
        self._last = ""

    async def play(self, step: Step) -> None:
        """Carry out one step."""
        ((verb, value),) = step.told.items()
        match verb, value:
            case "say", said:
                await self._target.write({"text": said} if isinstance(said, str) else said)
            case "expect", wanted:
                await self._expect(Expected(text=wanted) if isinstance(wanted, str) else wanted)
            case "status", changed:
                named = self._last if changed.message_id == "last" else changed.message_id
                if not named:
                    raise Refused("no message was expected before, so none is the last: name its message_id")
                await self._target.status(named, changed.status, changed.code)
            case "notify", told:
                told = Told(told) if isinstance(told, str) else told
                await self._target.notify(told.field, told.event, told.value)
            case "advance", seconds:
                await self._advance(seconds)
            case _, seconds:
                await asyncio.sleep(seconds)

    async def _advance(self, seconds: float) -> None:
        if not isinstance(self._target, StandIn):
            raise Refused("a gateway's clock cannot be set: use --sim")
        await self._target.ask("POST", "clock", json={"advance": seconds})

    async def _expect(self, wanted: Expected) -> None:
        if self._news is None:
            raise Refused("what a gateway sends goes to its own Graph and is not seen here: use --sim")
        found = await self._news.take(matcher(wanted, self._last), wanted.within)
        if wanted.none and found is not None:
            raise Refused(f"this came: {_news(found)}")
        if not wanted.none and found is None:
            kind = _kind(wanted)
            others = [_news(item) for item in self._news.waiting if item.get("kind") == kind]
            instead = "; ".join(others[-5:]) or f"nothing of kind {kind}"
            raise Refused(f"nothing like it within {wanted.within:g} s; there came {instead}")
        if found is not None and found["kind"] == "sent":
            self._last = found["message_id"]


def matcher(wanted: Expected, last: str) -> Callable[[Object], bool]:
    """Return what says whether news is what was expected; a status must be one of the message that came last."""
    kind = _kind(wanted)
    exact = {"type": wanted.type, "text": wanted.text, "to": wanted.to, "status": wanted.status}
    try:
        pattern = re.compile(wanted.matches or "")
    except re.error as error:
        raise Refused(f"{wanted.matches!a} is no regular expression: {error}") from error

    def fits(item: Object) -> bool:
        return (
            item.get("kind") == kind
            and all(item.get(name) == value for name, value in exact.items() if value is not None)
            and (wanted.code is None or wanted.code in item.get("codes", ()))
            and (kind != "status" or not last or item.get("message_id") == last)
            and pattern.search(str(item.get("text", ""))) is not None
        )

    return fits


def _kind(wanted: Expected) -> str:
    by_status = {str: "status", int: "webhook"}
    return wanted.kind or by_status.get(type(wanted.status), "sent")


def _news(item: Object) -> str:
    return " ".join(str(item[key]) for key in _SHOWN if item.get(key) not in (None, "", []))
