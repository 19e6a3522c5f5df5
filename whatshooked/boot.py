"""What every process does first: read the config, set up the log, share its metrics, reach Redis.

`Boot.open` must have run before `whatshooked.metrics` is imported: the metrics library looks at its environment once,
and then.
"""

import asyncio
import gc
import hashlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from whatshooked import logs
from whatshooked.config import Config, load
from whatshooked.embedded import Embedded
from whatshooked.embedded.runtime import make_private
from whatshooked.errors import ConfigError, StartError
from whatshooked.keys import Keys
from whatshooked.stream import durability, layout

#: Names the config file for commands without `-c`, and for `arq workers.settings.WorkerSettings`.
CONFIG_VARIABLE = "WHATSHOOKED_CONFIG"
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: Set by a process that has logged the config's warnings already, for those it starts.
_WARNED_VARIABLE = "WHATSHOOKED_WARNED"
#: SIGHUPs that came before somebody followed them.
_early: list[int] = []

log = logs.get("boot")


@dataclass
class Boot:
    """A process's config and the URL of its Redis, which may be the embedded server."""

    config: Config
    url: str
    warnings: tuple[str, ...] = ()
    embedded: Embedded | None = field(default=None, repr=False)

    @classmethod
    def open(cls, path: Path | None = None) -> "Boot":
        """Begin a process that serves or delivers; raises ConfigError, EmbeddedError or StartError, with the remedy."""
        note_reloads()  # before the file is read: a SIGHUP later than this may mean a newer one
        loaded = load(path or config_path())
        config = loaded.config
        logs.setup(config.log_level, config.log_format)
        share_metrics(config)
        # Asked of the server before anything is logged: a refusal then stands alone.
        warnings = loaded.warnings + (durability.check(config.redis.url) if config.redis.url else ())
        if os.environ.get(_WARNED_VARIABLE) != str(config.path):
            os.environ[_WARNED_VARIABLE] = str(config.path)
            for warning in warnings:
                log.warn(warning)
        return cls._reach(config, warnings)

    @classmethod
    def peek(cls) -> "Boot":
        """Begin a command that only looks or switches: without the warnings that the running processes logged."""
        loaded = load(config_path())
        logs.setup("warn", loaded.config.log_format)
        return cls._reach(loaded.config, loaded.warnings)

    @classmethod
    def watch(cls) -> "Boot":
        """Begin a command that only watches, for as long as it likes: it never runs the server of the gateway."""
        loaded = load(config_path())
        config = loaded.config
        logs.setup("warn", config.log_format)
        url = config.redis.url or Embedded.address(Path(config.message_cache.data_path))
        return cls(config, url, loaded.warnings)

    @classmethod
    def _reach(cls, config: Config, warnings: tuple[str, ...]) -> "Boot":
        keys = Keys(config.redis.prefix)
        if config.redis.url:
            layout.check(config.redis.url, keys)
            return cls(config, config.redis.url, warnings)
        embedded = Embedded.open(Path(config.message_cache.data_path), on_event=_log_event)
        try:
            layout.check(embedded.url, keys)
        except StartError:
            embedded.close()
            raise
        if embedded.owner:
            for note in embedded.notes:
                log.info(note)
        return cls(config, embedded.url, warnings, embedded)

    def close(self) -> None:
        """Let go of the embedded server; it ends when it is ours."""
        if self.embedded is not None:
            self.embedded.close()


def end(error: StartError) -> None:
    """Say why this process cannot go on, and end it in order: started anew it is refused before it serves anything."""
    log.error(str(error))
    os.kill(os.getpid(), signal.SIGTERM)


def calm_collector() -> None:
    """Spare the garbage collector what start-up made and let it look seldom; once per process, when all is started.

    Events make next to no cycles: their objects go with their last reference, and looking for more costs a tenth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def config_path(given: str | None = None) -> Path:
    """Return the config file: as given, else by `WHATSHOOKED_CONFIG`, else ./config.json."""
    return Path(given or os.environ.get(CONFIG_VARIABLE) or "config.json")


def note_reloads() -> None:
    """Remember each SIGHUP until `follow_reloads`, in the main thread: it neither ends the process nor is lost."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda number, _: _early.append(number))


def follow_reloads(reload: Callable[[], None]) -> None:
    """Let the running loop call `reload` at each SIGHUP, and call it now when one was noted."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    if _early:
        _early.clear()
        reload()


def read_again(config: Config) -> Config | None:
    """Return the file as it is now, or None when it is refused: all of it or nothing. What came of it is logged."""
    try:
        loaded = load(config.path)
    except ConfigError as error:
        for fault in error.faults:
            log.error("Config not reloaded, the old one stays in force", fault=fault)
        return None
    for warning in loaded.warnings:
        log.warn(warning)
    found = loaded.config
    if _fixed(config) != _fixed(found):
        log.warn(
            "A new address, Redis, port of metrics, store of files or export of traces is used only after a restart"
        )
    logger = found.event_logger
    logged = ",".join(logger.targets) if logger.enabled and logger.targets else "off"
    log.info("Config reloaded", hooks=len(found.hooks), accounts=len(found.whatsapp), event_log=logged)
    return found


def _fixed(config: Config) -> tuple[object, ...]:
    server, media = config.server, config.media
    stored = (media.data_path, media.storage, media.storage_options)
    return config.redis, server.host, server.port, config.metrics, config.traces, *stored


def share_metrics(config: Config) -> None:
    """Name the folder in which all processes of one config on this machine count together (`metrics/folder.py`).

    Raises EmbeddedError when no folder will do.
    """
    if _METRICS_VARIABLE in os.environ:
        return
    name = hashlib.sha256(f"{os.geteuid()}:{Path(config.path).resolve()}".encode()).hexdigest()[:8]
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"whatshooked-metrics-{name}"
    make_private(folder)
    os.environ[_METRICS_VARIABLE] = str(folder)


def _log_event(level: str, line: str) -> None:
    (log.error if level == "error" else log.warn if level.startswith("warn") else log.info)(line)
