"""What a gateway's state consists of on this machine, and what of it a backup cannot have; pure."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from whatshooked.config import Config
from whatshooked.embedded import folder
from whatshooked.eventlog.files import names, position

#: The form of a backup's folder.
FORMAT = 1
ABOUT = "backup.json"


class About(msgspec.Struct, kw_only=True):
    """What a backup says of itself; `at` is when it began, by which Redis is as it was then or a little later."""

    format: int = FORMAT
    version: str
    at: str
    prefix: str
    parts: list[str]


@dataclass(frozen=True, slots=True)
class Places:
    """Where each part lies here; None: it does not lie on this machine."""

    redis: Path | None
    media: Path | None
    events: Path
    sqlite: Path

    @property
    def all(self) -> dict[str, Path]:
        """Return the parts on this machine, by their names in a backup, in the order of their copying."""
        found = {"redis": self.redis, "media": self.media, "events": self.events, "events.sqlite": self.sqlite}
        return {name: place for name, place in found.items() if place is not None}


def places(config: Config) -> Places:
    """Return where the parts of a config's gateway lie."""
    log = config.event_logger
    return Places(
        None if config.redis.url else folder.inside(Path(config.message_cache.data_path)) / "appendonlydir",
        None if config.media.storage else Path(config.media.data_path),
        Path(log.file_dir),
        Path(log.sqlite_path),
    )


def elsewhere(config: Config) -> list[str]:
    """Return what has to be backed up by other means, a sentence each."""
    left = []
    if config.redis.url:
        left.append("Redis: redis.url names a server of your own; back it up where it runs, before everything else")
    if config.media.storage:
        left.append(f"media: the bucket {config.media.storage}; have its provider keep versions")
    if config.event_logger.enabled and "postgres" in config.event_logger.targets:
        left.append("event log: the PostgreSQL database; pg_dump it after this")
    return left


def is_log_file(name: str) -> bool:
    """Return whether a file in the log's folder is part of the target file: not a lock, nor what is on its way."""
    return name == position.NAME or (names.is_events(name) and not name.endswith(".part"))
