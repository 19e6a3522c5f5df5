"""Run one of our commands with a fault or mutants in it.

    python -m ops.faults.launch [--fault STEP[:NTH[:SECONDS[:stop]]]] [--mutant NAME ...] -- worker

Times are made short (leases, heartbeats, retries), and every attempt is written to the journal. The product's modules
are changed from outside, before its command starts.
"""

import argparse
import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from ops.faults.journal import VARIABLE, Journal
from ops.faults.mutants import MUTANTS
from ops.faults.reply_mutants import REPLY_MUTANTS
from ops.faults.steps import Call, Fault, arm, wrap

#: Header by which a receiver knows which attempt it sees.
ATTEMPT_HEADER = "x-fault-attempt"
#: Seconds of a lease beyond the hook's timeout, of a heartbeat's validity and between two, and between tries.
LEASE_MARGIN = 1.0
ALIVE = 2
BEAT = 0.4
RETRIES = (0.3, 0.3, 0.6)
#: Seconds that one send may take, seconds in which it must begin, and its lease (ms).
SEND_TIMEOUT = 1.5
SEND_BEGINS = 1.5
SEND_LEASE_MS = 4_000
_ALL_MUTANTS = dict(MUTANTS) | dict(REPLY_MUTANTS)


def main() -> int:
    """Read the arguments, change this process's code, and be the command."""
    parser = argparse.ArgumentParser("ops.faults.launch", description=__doc__)
    parser.add_argument("--fault", type=Fault.parse, metavar="STEP[:NTH[:SECONDS[:stop]]]")
    parser.add_argument("--mutant", action="append", default=[], choices=sorted(_ALL_MUTANTS))
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    journal = Journal(Path(os.environ[VARIABLE]))
    hasten()
    for name in options.mutant:
        _ALL_MUTANTS[name].apply()
    observe(journal)
    if options.fault is not None:
        arm(options.fault, journal)
    from whatshooked.cli import main as command

    return command(options.command)


def hasten() -> None:
    """Make the waits of the product short."""
    for module, name, value in (
        ("workers.attempt", "LEASE_MARGIN", LEASE_MARGIN),
        ("whatshooked.stream.consume", "ALIVE_SECONDS", ALIVE),
        ("workers.recover", "ALIVE_SECONDS", ALIVE),
        ("workers.recover", "BEAT", BEAT),
        ("whatshooked.hooks.retry", "SCHEDULE", RETRIES),
        ("workers.outbox", "TIMEOUT", SEND_TIMEOUT),
        ("workers.outbox", "BEGINS_WITHIN", SEND_BEGINS),
        ("workers.outbox", "LEASE_MS", SEND_LEASE_MS),
    ):
        found = importlib.import_module(module)
        if not hasattr(found, name):
            raise SystemExit(f"{module}.{name} is gone: ops/faults/launch.py must learn its new place")
        setattr(found, name, value)


def observe(journal: Journal) -> None:
    """Write every POST and every recorded outcome to the journal, and name the attempt in the POST's headers."""

    def posting(call: Call) -> Call:
        @functools.wraps(call)
        async def post(
            self: Any, hook: Any, event_type: str, account_id: str, event_id: str, *rest: Any, **named: Any
        ) -> Any:
            attempt = journal.post((event_id, hook.id))
            named_hook = msgspec.structs.replace(hook, headers={**hook.headers, ATTEMPT_HEADER: attempt})
            return await call(self, named_hook, event_type, account_id, event_id, *rest, **named)

        return post

    def settling(call: Call) -> Call:
        @functools.wraps(call)
        async def flush(self: Any, outcomes: Any) -> Any:
            answers = await call(self, outcomes)
            for outcome in outcomes:
                journal.settled((outcome.event_id, outcome.hook_id))
            return answers

        return flush

    wrap("whatshooked.hooks.delivery", "Sender.post", posting)
    wrap("whatshooked.stream.settle", "Settler._flush", settling)


if __name__ == "__main__":
    sys.exit(main())
