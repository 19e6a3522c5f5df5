"""Known mistakes on a reply's way, put into the product's code on purpose, and what brings each to light."""

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ops.faults.mutants import in_script
from ops.faults.steps import Call, wrap


@dataclass(frozen=True, slots=True)
class ReplyMutant:
    """A mistake: how it is made, what the ledger must call it, and the run that shows it.

    `faults` kill processes (steps.Fault.parse), `trouble` befalls sends at Meta; so many `messages` ask for so many
    replies each.
    """

    apply: Callable[[], None]
    shows: str
    faults: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    messages: int = 30
    asks: int = 1
    #: All replies go to one user.
    one_user: bool = False


async def gap() -> None:
    """The moment between two commands that should be one, or stand in another order; a step of its own."""


def _kept_after_done() -> None:
    """Keep the reply in a command of its own, behind DONE."""

    def wrapping(call: Call) -> Call:
        @functools.wraps(call)
        async def flush(self: Any, outcomes: Any) -> Any:
            from msgspec.structs import replace

            bare = [replace(one, reply=b"") if getattr(one, "reply", b"") else one for one in outcomes]
            answers = await call(self, bare)
            for one in outcomes:
                if getattr(one, "reply", b""):
                    await gap()
                    name = f"{one.event_id}.{one.hook_id}.1"
                    await self._link.call("HSET", self._keys.replies, name, one.reply)
            return answers

        return flush

    wrap("whatshooked.stream.settle", "Settler._flush", wrapping)


def _forgotten_before_added() -> None:
    """Forget replies as soon as they are read."""

    def wrapping(call: Call) -> Call:
        @functools.wraps(call)
        async def replies(self: Any, most: int) -> Any:
            found = await call(self, most)
            if found:
                await self.moved([name for name, _ in found])
                await gap()
            return found

        return replies

    wrap("whatshooked.stream.outbox", "Outbox.replies", wrapping)


def _unknown_is_again() -> None:
    """Take a time-out for a message that was not sent."""

    def wrapping(judge: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(judge)
        def judged(*arguments: Any, **named: Any) -> Any:
            from whatshooked.stream.outbox import Again, Unknown

            found = judge(*arguments, **named)
            return Again(500, found.error) if isinstance(found, Unknown) else found

        return judged

    wrap("workers.outcome", "judge", wrapping)


def _both(*mistakes: Callable[[], None]) -> Callable[[], None]:
    """Return a mutant that makes several mistakes."""

    def apply() -> None:
        for mistake in mistakes:
            mistake()

    return apply


def _constant(module: str, name: str, value: float) -> Callable[[], None]:
    """Return a mutant that changes a constant of a module."""

    def apply() -> None:
        found = importlib.import_module(module)
        if not hasattr(found, name):
            raise SystemExit(f"{module}.{name} is gone: its mutant must learn the new place")
        setattr(found, name, value)

    return apply


REPLY_MUTANTS: Mapping[str, ReplyMutant] = {
    "reply_after_done": ReplyMutant(_kept_after_done, "missing", ("reply_gap",)),
    "forget_then_add": ReplyMutant(_forgotten_before_added, "missing", ("reply_gap",)),
    # OUTBOX_CLAIM would pass over most of them: it looks as well whether a message in a line is over.
    "add_without_look": ReplyMutant(
        _both(
            in_script("outbox_add", "if redis.call('EXISTS', message) == 1 then return { name, 0 } end", ""),
            in_script("outbox_claim", "or state == 'sent' or state == 'failed' or state == 'unknown'", ""),
        ),
        "doubled",
        ("reply_added",),
    ),
    "timeout_is_again": ReplyMutant(_unknown_is_again, "doubled", trouble=("hang_after",)),
    # Whoever held the lease is dead; Meta may have the message.
    "claim_sends_again": ReplyMutant(
        in_script("outbox_claim", "not (resend and tonumber(attempts) < leases)", "false"),
        "doubled",
        ("send_accepted",),
    ),
    "no_pair_limit": ReplyMutant(
        _constant("whatshooked.stream.outbox", "PAIR_BURST", 1000), "throttled", messages=3, asks=25, one_user=True
    ),
    "no_throughput": ReplyMutant(_constant("workers.throughput", "STANDARD", 1000), "throttled", messages=12, asks=40),
}
