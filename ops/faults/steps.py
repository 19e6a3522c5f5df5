"""The steps of the way of an event, a reply or a file at which a process can be made to die or to freeze.

Each is a function of the product and the moment before or after one of its calls; the function is wrapped from outside,
so there is no crash point in the product. A step comes about only when its call did something: an empty read is none.
Where the call is a thread's, a freeze stops that thread alone.
"""

import functools
import importlib
import inspect
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ops.faults.journal import Journal
from whatshooked.keys import MEDIA_HOOK

Call = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """A place: `module`, the function's name in it, before or after its call, and the kind of process it is in.

    `counts` is given the call's arguments and its result (None before the call), and says whether it did something.
    """

    module: str
    name: str
    before: bool
    counts: Callable[[tuple[Any, ...], Any], bool]
    process: str = "worker"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at a step when it comes about for the `nth` time: a freeze of `seconds`, or a kill (0).

    `stop`: the process is told to stop (SIGTERM) just before it freezes, and Redis dies while it is frozen.
    """

    step: str
    nth: int = 1
    seconds: float = 0.0
    stop: bool = False

    @property
    def ends(self) -> bool:
        """Whether the process is gone after it."""
        return self.stop or not self.seconds

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Return the fault of "STEP[:NTH[:SECONDS[:stop]]]"; raises ValueError."""
        step, *rest = text.split(":")
        if step not in _ALL:
            raise ValueError(f"unknown step {step!r}, known: {', '.join(_ALL)}")
        return cls(step, int(rest[0]) if rest else 1, float(rest[1]) if len(rest) > 1 else 0.0, rest[2:] == ["stop"])

    def __str__(self) -> str:
        return f"{self.step}:{self.nth}:{self.seconds:g}" + (":stop" if self.stop else "")


def _some(_: tuple[Any, ...], result: Any) -> bool:
    return bool(result)


def _always(_: tuple[Any, ...], __: Any) -> bool:
    return True


def _accepted(_: tuple[Any, ...], result: Any) -> bool:
    return type(result).__name__ == "Delivered"


def _outcome(kind: str) -> Callable[[tuple[Any, ...], Any], bool]:
    """Match a flush of the settler that holds an outcome of this kind: `accepted`, or NotTaken's own words."""

    def counts(arguments: tuple[Any, ...], _: Any) -> bool:
        return any(getattr(outcome, "kind", "accepted") == kind for outcome in arguments[1])

    return counts


def _leases(_: tuple[Any, ...], result: Any) -> bool:
    return any(claimed.leases for claimed in result.values())


def _asks(_: tuple[Any, ...], result: Any) -> bool:
    return b"send_message" in getattr(result, "answer", b"")


def _keeps(arguments: tuple[Any, ...], _: Any) -> bool:
    return any(getattr(outcome, "reply", b"") for outcome in arguments[1])


def _sent(arguments: tuple[Any, ...], result: Any) -> bool:
    return str(arguments[3]).endswith("/messages") and isinstance(result, dict)


def _routes_file(arguments: tuple[Any, ...], result: Any) -> bool:
    routed = [route for route in arguments[1] if route.id in result.ids]
    return any(want.hook_id == MEDIA_HOOK for route in routed for want in route.wants)


def _claims_file(_: tuple[Any, ...], result: Any) -> bool:
    return MEDIA_HOOK in result and bool(result[MEDIA_HOOK].leases)


def _is(kind: str) -> Callable[[tuple[Any, ...], Any], bool]:
    """Match a result by the name of its type."""
    return lambda _, result: type(result).__name__ == kind


def _half_written(arguments: tuple[Any, ...], _: Any) -> bool:
    return bool(arguments[0]._written)


def _fetched_again(arguments: tuple[Any, ...], _: Any) -> bool:
    return any(one.hook_id == MEDIA_HOOK and getattr(one, "kind", "") == "again" for one in arguments[1])


def _tells_of_file(arguments: tuple[Any, ...], result: Any) -> bool:
    return b'"media":' in arguments[5] and (result is None or _accepted(arguments, result))


_STREAM = "whatshooked.stream"
STEPS: dict[str, Step] = {
    # The web process, between ADD and its answer to Meta.
    "add": Step(f"{_STREAM}.intake", "Intake._flush", False, _some, "web"),
    "read": Step(f"{_STREAM}.consume", "Consumer.read", False, _some),
    # Routed in Redis, and nobody here knows yet.
    "route": Step(f"{_STREAM}.consume", "Consumer.route", False, lambda _, result: bool(result.ids)),
    "before_post": Step("whatshooked.hooks.delivery", "Sender.post", True, _always),
    # The hook has it, and DONE was not sent yet.
    "after_post": Step("whatshooked.hooks.delivery", "Sender.post", False, _accepted),
    # The hook refused, and RETRY was not sent yet.
    "refused": Step("whatshooked.hooks.delivery", "Sender.post", False, lambda *call: not _accepted(*call)),
    "done": Step(f"{_STREAM}.settle", "Settler._flush", False, _outcome("accepted")),
    "retry": Step(f"{_STREAM}.settle", "Settler._flush", False, _outcome("again")),
    "claim": Step("workers.due", "claim", False, _leases),
    "recover": Step(f"{_STREAM}.consume", "Consumer.recover", False, lambda _, result: bool(result.entries)),
    # Only in a mutant that has such a gap: after the first of the two commands that ADD is.
    "gap": Step("ops.faults.mutants", "gap", False, _always, "web"),
}
REPLY_STEPS: dict[str, Step] = {
    # The hook has asked for a reply, and DONE was not sent yet.
    "reply_asked": Step("whatshooked.hooks.delivery", "Sender.post", False, _asks),
    # DONE keeps it, and nobody here knows yet.
    "reply_kept": Step(f"{_STREAM}.settle", "Settler._flush", False, _keeps),
    "reply_read": Step(f"{_STREAM}.outbox", "Outbox.replies", False, _some),
    # In the outbox, and kept beside it still: whoever reads it next puts it there again.
    "reply_added": Step(f"{_STREAM}.outbox", "Outbox.add", False, _some),
    "reply_moved": Step(f"{_STREAM}.outbox", "Outbox.moved", False, _always),
    "send_claimed": Step(f"{_STREAM}.outbox", "Outbox.claim", False, lambda _, result: bool(result.leases)),
    # Meta has it, and SETTLE was not sent yet.
    "send_accepted": Step("whatshooked.meta.graph", "Graph.ask", False, _sent),
    "send_settled": Step(f"{_STREAM}.outbox", "Outbox.settle", False, _some),
    # A status is noted, and its event not routed yet: it is noted again.
    "send_told": Step(f"{_STREAM}.outbox", "Outbox.statuses", False, _always),
    # Only in mutants that have such a gap: between the two halves of what should be one step, or in another order.
    "reply_gap": Step("ops.faults.reply_mutants", "gap", False, _always),
}
MEDIA_STEPS: dict[str, Step] = {
    # Leased or due at `_media`, its hooks are held, and nobody here knows yet.
    "media_routed": Step(f"{_STREAM}.consume", "Consumer.route", False, _routes_file),
    "media_claimed": Step("workers.due", "claim", False, _claims_file),
    # Meta has answered, and the call's mark still says that it may have failed.
    "media_looked_up": Step("workers.fetch", "look_up", False, _is("Place")),
    # Some of the bytes are on the disk, and more are to come.
    "media_begun": Step("whatshooked.media.part", "Part.write", False, _half_written),
    "media_downloaded": Step("whatshooked.meta.media", "Downloads.fetch", False, _is("Downloaded")),
    # Something else came in place of the file, and nobody was told.
    "media_refused": Step("whatshooked.meta.media", "Downloads.fetch", False, _is("DownloadFailure")),
    # Inside of keep: the description is there; the content too; the name too.
    "media_described": Step("whatshooked.media.local", "LocalStore._describe", False, _always),
    "media_offered": Step("whatshooked.media.local", "LocalStore._offer", False, _always),
    "media_named": Step("whatshooked.media.local", "LocalStore._share", False, _always),
    # Anybody can see it, and MEDIA_DONE was not sent yet.
    "media_kept": Step("whatshooked.media.part", "Part.keep", False, _always),
    # Its hooks are due, and nobody here knows yet.
    "media_done": Step(f"{_STREAM}.media", "Findings._flush", False, lambda _, result: any(result)),
    "media_again": Step(f"{_STREAM}.settle", "Settler._flush", False, _fetched_again),
    "media_before_post": Step("whatshooked.hooks.delivery", "Sender.post", True, _tells_of_file),
    "media_after_post": Step("whatshooked.hooks.delivery", "Sender.post", False, _tells_of_file),
    # Only in mutants that have such a gap.
    "media_gap": Step("ops.faults.file_mutants", "gap", False, _always),
}
LOG_STEPS: dict[str, Step] = {
    # A target's group has the records, and nobody wrote them.
    "log_read": Step(f"{_STREAM}.follow", "Group.read", False, _some),
    "log_composed": Step("whatshooked.eventlog.compose", "Composer.rows", False, _some),
    # In the file, and nothing but the file says so.
    "log_appended": Step("whatshooked.eventlog.files.disk", "write_all", False, _always),
    # A target has them, and its group does not know.
    "log_filed": Step("whatshooked.eventlog.files.target", "FileTarget.write", False, _always),
    "log_inserted": Step("whatshooked.eventlog.sql.target", "SqlTarget.write", False, _always),
    "log_acked": Step(f"{_STREAM}.follow", "Group.written", False, _always),
}
_ALL = STEPS | REPLY_STEPS | MEDIA_STEPS | LOG_STEPS


def arm(fault: Fault, journal: Journal) -> None:
    """Make this process die or freeze by `fault`."""
    step = _ALL[fault.step]
    left = fault.nth

    def strike(arguments: tuple[Any, ...], result: Any) -> None:
        nonlocal left
        if left and step.counts(arguments, result):
            left -= 1
            if not left:
                _strike(fault, journal)

    def wrapping(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def in_thread(*arguments: Any, **named: Any) -> Any:
            result = call(*arguments, **named)
            strike(arguments, result)
            return result

        @functools.wraps(call)
        async def wrapped(*arguments: Any, **named: Any) -> Any:
            if step.before:
                strike(arguments, None)
                return await call(*arguments, **named)
            result = await call(*arguments, **named)
            strike(arguments, result)
            return result

        return wrapped if inspect.iscoroutinefunction(call) else in_thread

    wrap(step.module, step.name, wrapping)


def _strike(fault: Fault, journal: Journal) -> None:
    journal.fault(fault.step)
    if not fault.seconds:
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.stop:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(fault.seconds)  # the whole process stands still, as in a paused machine
    journal.thawed(fault.step)


def wrap(module: str, name: str, wrapping: Callable[[Any], Any]) -> None:
    """Replace a function ("f" or "Class.f") of a module; raises AttributeError when the product has no such thing."""
    owner: Any = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, last, wrapping(getattr(owner, last)))
