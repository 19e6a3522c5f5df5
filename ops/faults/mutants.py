"""Known mistakes, put into the product's code on purpose: a harness that was never red proves nothing.

Each mutant names the faults that bring it to light; `campaign` runs them, and the ledger must turn red.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ops.faults.steps import Call, wrap


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: how it is made, the faults (steps.Fault.parse) that show it, and what the ledger must call it."""

    apply: Callable[[], None]
    faults: tuple[str, ...]
    shows: str


def in_script(name: str, old: str, new: str) -> Callable[[], None]:
    """Return a mutant that changes a Lua script's text."""

    def apply() -> None:
        def wrapping(init: Callable[..., None]) -> Callable[..., None]:
            @functools.wraps(init)
            def changed(self: Any, script: str) -> None:
                init(self, script)
                if script == name:
                    if old not in self.text:
                        raise SystemExit(f"{name}.lua has no {old!r} any more: its mutant must learn the new text")
                    self.text = self.text.replace(old, new)

            return changed

        wrap("whatshooked.stream.link", "Script.__init__", wrapping)

    return apply


def _settle_first() -> None:
    """Record DONE before the POST."""

    def wrapping(make: Call) -> Call:
        @functools.wraps(make)
        async def made(self: Any, attempt: Any) -> Any:
            from whatshooked.stream.settle import Taken

            await self._settler.record(Taken(attempt.event_id, attempt.hook.id))
            return await make(self, attempt)

        return made

    wrap("workers.attempt", "Attempts._make", wrapping)


def _no_deadline() -> None:
    """POST without looking whether the lease still holds."""

    def wrapping(make: Call) -> Call:
        @functools.wraps(make)
        async def made(self: Any, attempt: Any) -> Any:
            from msgspec.structs import replace

            return await make(self, replace(attempt, deadline=float("inf")))

        return made

    wrap("workers.attempt", "Attempts._make", wrapping)


async def gap() -> None:
    """The moment between two commands that should be one; a step of its own."""


def _dedupe_outside(*, remember_first: bool) -> Callable[[], None]:
    """Remember the identity in one command and append in another, in either order."""

    def wrapping(_: Call) -> Call:
        async def flush(self: Any, additions: Any) -> Any:
            return [await _add_in_two(self, addition, remember_first=remember_first) for addition in additions]

        return flush

    return lambda: wrap("whatshooked.stream.intake", "Intake._flush", wrapping)


async def _add_in_two(intake: Any, addition: Any, *, remember_first: bool) -> Any:
    from whatshooked.stream.intake import Added

    keys, args = intake._arguments([addition])
    identity, blob = args[-2:]
    known = await intake._link.call("HGET", keys[1], identity)
    if known is not None:
        return Added(known.decode(), new=False)
    commands = [("HSET", keys[1], identity, "1-0"), ("XADD", keys[0], "*", "e", blob)]
    for position, command in enumerate(commands if remember_first else reversed(commands)):
        if position:
            await gap()
        await intake._link.call(*command)
    return Added("1-0", new=True)


def _drop_on_stop() -> None:
    """Drop the own consumer at the end, whatever is pending in its name."""

    def wrapping(farewell: Call) -> Call:
        @functools.wraps(farewell)
        async def dropped(self: Any) -> None:
            from whatshooked.keys import GROUP

            await self._link.call("XGROUP", "DELCONSUMER", self._keys.events, GROUP, self.name)
            await farewell(self)

        return dropped

    wrap("whatshooked.stream.consume", "Consumer.farewell", wrapping)


def _no_recover() -> None:
    """Nobody looks for what dead workers had read."""

    def wrapping(_: Call) -> Call:
        async def nothing(self: Any) -> None:
            """Leave the dead alone."""

        return nothing

    wrap("workers.recover", "Recovery._take_over", wrapping)


MUTANTS: Mapping[str, Mutant] = {
    "ack_before_post": Mutant(_settle_first, ("before_post",), "lost"),
    "remember_then_append": Mutant(_dedupe_outside(remember_first=True), ("gap",), "lost"),
    "append_then_remember": Mutant(_dedupe_outside(remember_first=False), ("gap",), "twice_in"),
    # A frozen worker wakes, posts again although its lease is long over: the other one has delivered meanwhile.
    "no_check_before_post": Mutant(_no_deadline, ("route:1:5",), "doubled"),
    # A frozen worker's "again" makes an event due that another holds: a third attempt runs beside the second.
    "retry_without_token": Mutant(
        in_script("retry", "and tonumber(score) == token", ""), ("refused:1:3.8",), "doubled"
    ),
    "maxlen_on_add": Mutant(
        in_script("add", "'XADD', events, id,", "'XADD', events, 'MAXLEN', '=', '10', id,"), ("read",), "lost"
    ),
    # A dead worker's consumer is dropped although entries are pending in its name.
    "delconsumer": Mutant(
        in_script(
            "recover",
            "local claim, poisoned = {}, {}",
            "local claim, poisoned = {}, {}\nredis.call('XGROUP', 'DELCONSUMER', events, group, dead)",
        ),
        ("read",),
        "lost",
    ),
    # The same by a worker that stops: Redis went away between its read and its ROUTE.
    "delconsumer_on_stop": Mutant(_drop_on_stop, ("read:1:1.5:stop",), "lost"),
    "no_recover": Mutant(_no_recover, ("read",), "stuck"),
}
