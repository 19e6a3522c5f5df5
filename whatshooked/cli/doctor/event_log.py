"""The check of the event log: whether each of its targets can be written."""

import asyncio
import os
from pathlib import Path

from whatshooked.cli.doctor.findings import Finding
from whatshooked.config import Config
from whatshooked.config.model import Target as Name
from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.targets import open_target

_CHECK = "event log"


async def event_log(config: Config) -> list[Finding]:
    """Return a finding for each target of the config, or that there is none."""
    logger = config.event_logger
    if not (logger.enabled and logger.targets):
        return [Finding("ok", _CHECK, "it is off (event_logger.enabled); `whatshooked tail` works without it")]
    return [await asyncio.to_thread(_target, name, config) for name in dict.fromkeys(logger.targets)]


def _target(name: Name, config: Config) -> Finding:
    """Connect to a database, which makes the table; a folder is only looked at: the gateway's worker writes there."""
    logger = config.event_logger
    if name == "file":
        return _folder(Path(logger.file_dir))
    place = logger.sqlite_path if name == "sqlite" else f"table {logger.table_name}"
    target = open_target(name, config)
    try:
        target.begin()
    except LogUnavailable as error:
        return Finding("fail", _CHECK, str(error), "what happens waits for it, within event_logger.buffer_bytes")
    finally:
        target.close()
    return Finding("ok", _CHECK, f"{name} takes rows ({place})")


def _folder(folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Finding("ok", _CHECK, f"file takes rows ({folder})")
    text = f"event_logger.file_dir ({folder}): {there} is no folder that can be written"
    return Finding("fail", _CHECK, text, "make it one, or name another; what happens waits for it")
