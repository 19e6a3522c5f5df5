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

from ops.faults.file_mutants import FILE_MUTANTS
from ops.faults.journal import VARIABLE, Journal
from ops.faults.log_mutants import LOG_MUTANTS
from ops.faults.mutants import MUTANTS
from ops.faults.reply_mutants import REPLY_MUTANTS
from ops.faults.steps import LOG_STEPS, Call, Fault, arm, wrap
from whatshooked.keys import MEDIA_HOOK
from workers.eventlog import keeper

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
#: A file's lease (ms), seconds between two renewals, and between tries; seconds for which no temporary file is removed,
#: longer than any process stands still here, and between two looks for what has to go.
FILE_LEASE_MS = 3_000
FILE_RENEWED = 0.6
FILE_TRIES = (0.3, 0.3, 0.6, 1.0, 2.0)
FILE_YOUNG = 10.0
FILE_SWEEP = 2.0
#: What a line of the journal is about beside attempts at hooks: a fetch of an event's file, a look-up for an account's.
FETCH, LOOK_UP = MEDIA_HOOK, "_look_up"
_ALL_MUTANTS = dict(MUTANTS) | dict(REPLY_MUTANTS) | dict(FILE_MUTANTS) | dict(LOG_MUTANTS)


def main() -> int:
    """Read the arguments, change this process's code, and be the command."""
    parser = argparse.ArgumentParser("ops.faults.launch", description=__doc__)
    parser.add_argument("--fault", type=Fault.parse, metavar="STEP[:NTH[:SECONDS[:stop]]]")
    parser.add_argument("--mutant", action="append", default=[], choices=sorted(_ALL_MUTANTS))
    parser.add_argument("--log-process", action="store_true", help="be the process that writes the event log")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    journal = Journal(Path(os.environ[VARIABLE]))
    hasten()
    for name in options.mutant:
        _ALL_MUTANTS[name].apply()
    observe(journal)
    # Its steps are another process's, which this one starts with the same fault and mutants in it.
    if options.fault is not None and (options.fault.step in LOG_STEPS) == options.log_process:
        arm(options.fault, journal)
    if options.log_process:
        from workers.eventlog.process import main as process

        return process()
    keeper.COMMAND = [sys.executable, "-m", "ops.faults.launch", *sys.argv[1 : sys.argv.index("--")], "--log-process"]
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
        ("workers.media", "LEASE_MS", FILE_LEASE_MS),
        ("workers.consumer", "LEASE_MS", FILE_LEASE_MS),
        ("workers.media", "RENEW_EVERY", FILE_RENEWED),
        ("workers.fetch_retry", "SCHEDULE", FILE_TRIES),
        ("workers.files", "SWEEP_EVERY", FILE_SWEEP),
        ("whatshooked.media.local", "YOUNG", FILE_YOUNG),
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
    _observe_files(journal)


def _observe_files(journal: Journal) -> None:
    """Write every lease on a file with its recorded end to the journal, and every look-up that cannot have failed."""
    _observe_leases(journal)

    def noting(call: Call) -> Call:
        @functools.wraps(call)
        async def flush(self: Any, findings: Any) -> Any:
            answers = await call(self, findings)
            for finding, noted in zip(findings, answers, strict=True):
                if noted:
                    journal.settled((finding.event_id, FETCH))
            return answers

        return flush

    def asking(call: Call) -> Call:
        @functools.wraps(call)
        async def look_up(self: Any, account: Any, told: Any) -> Any:
            pair = (f"{account.id}/{told.message_id}", LOOK_UP)
            journal.post(pair)
            found = await call(self, account, told)
            if hasattr(found, "url") or found.why == "budget":  # there, or not asked for
                journal.settled(pair)
            return found

        return look_up

    wrap("whatshooked.stream.media", "Findings._flush", noting)
    wrap("workers.fetch", "Fetch._look_up", asking)


def _observe_leases(journal: Journal) -> None:
    def routing(call: Call) -> Call:
        @functools.wraps(call)
        async def route(self: Any, routes: Any, *rest: Any, **named: Any) -> Any:
            routed = await call(self, routes, *rest, **named)
            for one in routes:
                if one.id in routed.ids and any(want.leased for want in one.wants if want.hook_id == FETCH):
                    journal.post((one.id, FETCH))
            return routed

        return route

    def claiming(call: Call) -> Call:
        @functools.wraps(call)
        async def claim(*arguments: Any, **named: Any) -> Any:
            claimed = await call(*arguments, **named)
            for lease in claimed[FETCH].leases if FETCH in claimed else ():
                journal.post((lease.event_id, FETCH))
            return claimed

        return claim

    wrap("whatshooked.stream.consume", "Consumer.route", routing)
    wrap("workers.due", "claim", claiming)


if __name__ == "__main__":
    sys.exit(main())
