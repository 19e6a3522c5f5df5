"""Known mistakes of the event log, put into the product's code on purpose, each of which the ledger must see."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ops.faults.steps import Call, wrap


@dataclass(frozen=True, slots=True)
class LogMutant:
    """A mistake: how it is made, and what the verdict must call it (log.LogVerdict)."""

    apply: Callable[[], None]
    shows: str
    #: The step (steps.LOG_STEPS) at which a worker has to die for it.
    step: str


def _written_before_it_is() -> None:
    """Tell the group that records are written, and only then write them."""

    def reading(call: Call) -> Call:
        @functools.wraps(call)
        async def read(self: Any, streams: Any, count: int, *, own: bool) -> Any:
            records = await call(self, streams, count, own=own)
            if records:
                await self.written(streams, records)
            return records

        return read

    wrap("whatshooked.stream.follow", "Group.read", reading)


def _nothing_is_left_out() -> None:
    """Append what comes again, as if the file had no memory."""

    def leaving(call: Call) -> Callable[..., Any]:
        def fresh(rows: Any, _: Any) -> Any:
            return call(rows, {})

        return fresh

    wrap("whatshooked.eventlog.files.lines", "fresh", leaving)


LOG_MUTANTS: Mapping[str, LogMutant] = {
    "log_acked_first": LogMutant(_written_before_it_is, "missing", "log_composed"),
    "log_file_forgets": LogMutant(_nothing_is_left_out, "doubled", "log_filed"),
}
