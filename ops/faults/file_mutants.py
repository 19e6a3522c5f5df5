"""Known mistakes on a file's way, put into the product's code on purpose, and the run that brings each to light."""

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from msgspec import structs

from ops.faults.mutants import in_script
from ops.faults.steps import Call, wrap


@dataclass(frozen=True, slots=True)
class Habits:
    """How files come: seconds between two pieces of a large one, and how Meta spoils a first download.

    One in so many is spoiled, and one is large; `spoil_every` 0: only the first, which is as large as a file may be.
    """

    pause: float = 0.04
    spoil: Literal["truncated", "oversize"] = "truncated"
    spoil_every: int = 11
    large_every: int = 3


@dataclass(frozen=True, slots=True)
class FileMutant:
    """A mistake: how it is made, what the ledger must call it, and the run that shows it (files.FilePlan)."""

    apply: Callable[[], None]
    shows: str
    faults: tuple[str, ...] = ()
    habits: Habits = field(default_factory=Habits)
    #: Messages.
    events: int = 40
    #: No worker is there for longer than a message waits for its file.
    away: bool = False
    #: Seconds without any change after which what is missing counts as missing.
    patience: float = 6.0


async def gap() -> None:
    """The moment between two halves of what should be one step, or stand in another order; a step of its own."""


def _kept_in_two() -> None:
    """Write the bytes under the file's own name, half of them and then the rest."""

    def add(place: Path, content: bytes) -> None:
        with place.open("ab") as file:
            file.write(content)

    def wrapping(_: Call) -> Callable[..., None]:
        def keep(self: Any, part: Path, account_id: str, filename: str, about: Any) -> None:
            self._describe(account_id, filename, about)
            place, content = self._folder / account_id / filename, part.read_bytes()
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            add(place, content[: len(content) // 2])
            asyncio.run(gap())  # in a thread of the store's
            add(place, content[len(content) // 2 :])

        return keep

    wrap("whatshooked.media.local", "LocalStore._keep", wrapping)


def _noted_before_kept() -> None:
    """Say that the file is here, and only then keep it."""
    waiting: dict[str, Callable[[], Any]] = {}

    def keeping(_: Call) -> Call:
        async def keep(self: Any, account_id: str, filename: str, about: Any) -> None:
            about = structs.replace(about, sha256=self.digest(), size=self.size)
            place, self._here = self._here, None
            await asyncio.to_thread(self._finish, self._taken(), account_id, filename, about)
            aside = self._path.with_suffix(".aside")
            aside.hardlink_to(self._path)
            waiting[filename] = functools.partial(place, aside, account_id, filename, about)

        return keep

    def noting(call: Call) -> Call:
        @functools.wraps(call)
        async def flush(self: Any, findings: Any) -> Any:
            answers = await call(self, findings)
            await gap()
            for one in findings:
                if (keep := waiting.pop(one.record.filename, None)) is not None:
                    await asyncio.to_thread(keep)
            return answers

        return flush

    wrap("whatshooked.media.part", "Part.keep", keeping)
    wrap("whatshooked.stream.media", "Findings._flush", noting)


def _never_renewed() -> None:
    """Let leases end while downloads go on."""

    def wrapping(_: Call) -> Call:
        async def nothing(self: Any) -> None:
            """Leave them alone."""

        return nothing

    wrap("workers.media", "Fetcher._renew", wrapping)


def _locks_ignored() -> None:
    """Take what was not written to for a while for something that the dead left."""
    wrap("whatshooked.media.part", "_is_left", lambda _: lambda _: True)


#: The first message's file comes too large once, and slowly when somebody else asks again.
_FIRST_SPOILED = Habits(pause=0.5, spoil="oversize", spoil_every=0, large_every=0)
_ELSE = "acks[#acks + 1] = id\n    else\n"
_ACKED = f"{_ELSE} if redis.call('HEXISTS', open, media) == 1 then acks[#acks + 1] = id end\n"

FILE_MUTANTS: Mapping[str, FileMutant] = {
    # A frozen worker wakes with what it found, while the one that took over is fetching the file.
    "done_without_token": FileMutant(
        in_script("media_done", "score and tonumber(score) == token and ", ""),
        "bare",
        ("media_refused:1:6",),
        _FIRST_SPOILED,
        events=12,
    ),
    "not_held": FileMutant(in_script("route", "start == 2 and now + hold or now", "now"), "bare", events=25),
    "not_held_again": FileMutant(
        in_script("claim", "elseif not hold_again(open, id, tonumber(score)) then", "else"),
        "bare",
        habits=Habits(pause=0.1),
        events=12,
        away=True,
    ),
    "kept_in_two": FileMutant(_kept_in_two, "torn", ("media_gap",), events=25),
    "noted_before_kept": FileMutant(_noted_before_kept, "missing", ("media_gap",), events=25),
    # What waits for its file is nobody's any more when a hook gives it up.
    "acked_while_open": FileMutant(in_script("route", _ELSE, _ACKED), "lost", events=12),
    # Upkeep comes by while a download has had nothing to write for longer than a temporary file is spared.
    "locks_ignored": FileMutant(
        _locks_ignored,
        "repeated",
        habits=Habits(pause=3.2, spoil_every=1000, large_every=1000),
        events=4,
        patience=35.0,
    ),
    "never_renewed": FileMutant(_never_renewed, "repeated", habits=Habits(pause=0.6), events=12),
}
