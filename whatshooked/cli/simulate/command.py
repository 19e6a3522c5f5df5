"""`simulate serve|send|status|notify`: the stand-in, and one thing at a time that Meta tells."""

import argparse
import asyncio
import json
import shlex
import shutil
import sys
import textwrap
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from whatshooked.cli.simulate.target import Misused, Object, Refused, opened
from whatshooked.simulator.people.offline import FIELDS, KINDS, VARIANTS

#: Options of `send` that stand in the message under their own name.
_SAID = ("kind", "variant", "text", "fault", "about", "choice", "emoji", "group", "new_phone")
#: Where the variants stand in a list, behind the longest name.
_COLUMN = 35


def carried_out(work: Coroutine[Any, Any, int]) -> int:
    """Run a command and return its exit code; raises StartError when nobody answers."""
    try:
        return asyncio.run(work)
    except (Refused, Misused) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, Misused) else 1


def serve(options: argparse.Namespace) -> int:
    """Start the stand-in, which reads its own options."""
    from whatshooked.simulator.__main__ import main

    return main(options.rest)


def send(options: argparse.Namespace) -> int:
    """Let a user write, once or several times."""
    if options.kind == "list":
        return _listed({**KINDS, "any type": VARIANTS})
    return carried_out(_send(options))


def status(options: argparse.Namespace) -> int:
    """Make a status of a message."""
    return carried_out(_status(options))


def notify(options: argparse.Namespace) -> int:
    """Tell of a field."""
    if options.field == "list":
        return _listed(FIELDS)
    return carried_out(_notify(options))


async def _send(options: argparse.Namespace) -> int:
    message = {name: getattr(options, name) for name in _SAID if getattr(options, name)}
    message |= {"from": options.from_} if options.from_ else {}
    async with opened(options) as target:
        if options.file:
            path = Path(options.file)
            message |= {"media": await target.keep(path), "filename": path.name}
        for _ in range(options.count):
            print(await target.write(message))
    return 0


async def _status(options: argparse.Namespace) -> int:
    async with opened(options) as target:
        await target.status(options.message_id, options.status, options.code)
    print(f"{options.message_id} {options.status}")
    return 0


async def _notify(options: argparse.Namespace) -> int:
    async with opened(options) as target:
        await target.notify(options.field, options.event, _value(options.value))
    print(f"told of {options.field}")
    return 0


def _value(text: str) -> Object | None:
    try:
        found = json.loads(text) if text else None
    except ValueError as error:
        raise Misused(f"--value is no JSON: {error}") from error
    if found is not None and not isinstance(found, dict):
        raise Misused("--value must be a JSON object")
    return found


def _listed(names: Mapping[str, Sequence[str]]) -> int:
    width = shutil.get_terminal_size((100, 24)).columns
    for name, variants in names.items():
        print(row(name, variants, width))
    return 0


def row(name: str, variants: Sequence[str], width: int) -> str:
    """Return a name and its variants as a shell takes them, wrapped in a column of their own."""
    whole = [shlex.quote(variant).replace(" ", "\N{NO-BREAK SPACE}") for variant in variants]
    wrapped = textwrap.fill(
        " ".join(whole),
        max(width, _COLUMN + 20),
        initial_indent=f"{name:<{_COLUMN}}",
        subsequent_indent=" " * _COLUMN,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return (wrapped or name).replace("\N{NO-BREAK SPACE}", " ")
