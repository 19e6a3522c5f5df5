"""Which config, which target and which rows a command asks for."""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from whatshooked import logs
from whatshooked.boot import config_path
from whatshooked.cli.eventlog.marks import FAILED
from whatshooked.cli.program import fitting
from whatshooked.config import Config, load
from whatshooked.errors import CommandRefused, LogUnavailable
from whatshooked.eventlog.compose import conversation
from whatshooked.eventlog.row import Wanted, covers
from whatshooked.eventlog.target import Target
from whatshooked.eventlog.targets import asked_target, open_target


@dataclass(frozen=True)
class Asked:
    """A config and its target, which `name` and `place` tell people of."""

    config: Config
    target: Target
    name: str
    place: str


@contextlib.contextmanager
def opened(name: str) -> Iterator[Asked]:
    """Give the config's target of a name, or the one that finds quickest; raises ConfigError and CommandRefused."""
    config = load(config_path()).config
    logs.setup("warn", config.log_format)
    found = asked_target(config, name)
    if found is None:
        raise CommandRefused(_why_not(config, name))
    with contextlib.closing(open_target(found, config)) as target:
        try:
            yield Asked(config, target, found, _place(config, found))
        except LogUnavailable as error:
            others = [one for one in config.event_logger.targets if one != found]
            hint = f"; or ask another: --target {others[0]}" if others else ""
            raise LogUnavailable(f"{error}{hint}") from error


def wanted(options: argparse.Namespace, config: Config) -> Wanted:
    """Return the rows that options ask for, newest first; raises CommandRefused when there can be none."""
    types = tuple(part for one in options.type for part in one.split(",") if part)
    if options.failed:
        types = tuple(one for one in FAILED if not types or any(covers(pattern, one) for pattern in types))
        if not types:
            raise CommandRefused(f"no row of --type is one of --failed, which are {', '.join(FAILED)}: leave one out")
    return Wanted(
        since=options.since,
        until=options.until,
        account_id=options.account,
        conversation=conversation(options.conversation, config) if options.conversation else "",
        types=types,
        hook_id=options.hook,
        states=tuple(part for one in options.state for part in one.split(",") if part),
        event_id=options.event,
        text=options.error,
    )


def _why_not(config: Config, name: str) -> str:
    logger = config.event_logger
    if not logger.enabled:
        remedy = f"set event_logger.enabled to true in {config.path} and restart or reload"
        return fitting(f"the event log is off: {remedy}; `whatshooked tail` shows what happens without it")
    has = ", ".join(logger.targets) or "none"
    return f"event_logger.targets in {config.path} has no {name or 'target'}, it has {has}: add it, or ask another"


def _place(config: Config, name: str) -> str:
    logger = config.event_logger
    database = f"the database's table {logger.table_name}"
    return {"file": logger.file_dir, "sqlite": logger.sqlite_path}.get(name, database)
