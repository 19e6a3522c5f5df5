"""The targets that a config names; nothing is made or asked before a target's first call."""

from pathlib import Path
from typing import Protocol

from whatshooked.config import Database, EventLogger
from whatshooked.config.model import Target as Name
from whatshooked.eventlog.target import Target

#: Which target is asked when several are there: the one that finds quickest.
ASKED: tuple[Name, ...] = ("postgres", "sqlite", "file")


class Logged(Protocol):
    """What of a config names the targets."""

    @property
    def event_logger(self) -> EventLogger:
        """The section of this name."""
        ...

    @property
    def database(self) -> Database | None:
        """The section of this name, which the target postgres needs."""
        ...


def open_target(name: Name, config: Logged) -> Target:
    """Return one target of a config."""
    logger = config.event_logger
    if name == "file":
        from whatshooked.eventlog.files.target import FileTarget

        return FileTarget(Path(logger.file_dir), logger.file)
    if name == "sqlite":
        from whatshooked.eventlog.sql.sqlite import SqliteTarget

        return SqliteTarget(Path(logger.sqlite_path), logger.table_name, logger.sqlite)
    from whatshooked.eventlog.sql.postgres import PostgresTarget

    if config.database is None:  # the config's rules have seen to it
        raise ValueError("the target postgres needs the section database")
    return PostgresTarget(config.database, logger.table_name, logger.postgres)


def asked_target(config: Logged, name: str = "") -> Name | None:
    """Return the target that answers questions, or the one of that name; None when the config has no such."""
    targets = config.event_logger.targets if config.event_logger.enabled else ()
    return next((one for one in ASKED if one in targets and name in ("", one)), None)
