"""The log: `LEVEL message key=value ...` lines, or JSON lines; customers' numbers masked above debug.

log = logs.get("hooks")
log.info("Hook manager started and subscribed to events", event_types=13)
"""

import json
import logging
import os
import re
import sys
import time
from math import inf
from typing import Literal

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NAMES = {"WARNING": "WARN", "CRITICAL": "ERROR"}
_ROOT = "whatshooked"
#: Fields that hold a customer's number or user id.
_PEOPLE = frozenset({"from_", "to", "recipient", "user_id", "conversation"})

Value = str | int | float | bool | None


class Log:
    """Writes a message with fields; a trailing underscore in a field's name (`from_`) is not shown."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{name}")
        self._said: dict[str, tuple[float, int]] = {}

    @property
    def debugs(self) -> bool:
        """Whether debug lines are written: ask before building costly fields on the path of every event."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, message: str, **fields: Value) -> None:
        """Write what helps to follow one event; numbers are shown here."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Value) -> None:
        """Write what an operator wants to know."""
        self._write(logging.INFO, message, fields)

    def warn(self, message: str, **fields: Value) -> None:
        """Write what an operator should look at."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Value) -> None:
        """Write what somebody must mend."""
        self._write(logging.ERROR, message, fields)

    def seldom(self, level: Literal["warn", "error"], message: str, *, every: float = 1.0, **fields: Value) -> None:
        """Write a line that strangers or an outage could repeat without end: at most once in `every` seconds.

        How many were left out since the last one stands in `left_out`.
        """
        now = time.monotonic()
        last, left_out = self._said.get(message, (-inf, 0))
        if now - last < every:
            self._said[message] = (last, left_out + 1)
            return
        self._said[message] = (now, 0)
        if left_out:
            fields["left_out"] = left_out
        self._write(LEVELS[level], message, fields)

    def bug(self, message: str, error: BaseException) -> None:
        """Write an error of ours with its traceback."""
        self._logger.error(message, extra={"fields": {}}, exc_info=error)

    def _write(self, level: int, message: str, fields: dict[str, Value]) -> None:
        if self._logger.isEnabledFor(level):
            if level > logging.DEBUG:
                fields = {key: mask(str(value)) if key in _PEOPLE else value for key, value in fields.items()}
            self._logger.log(level, message, extra={"fields": fields})


def get(name: str) -> Log:
    """Return the log of one part."""
    return Log(name)


def mask(person: str) -> str:
    """Return a number or user id with all but its last two characters hidden."""
    return "*" * max(len(person) - 2, 0) + person[-2:]


def setup(level: str = "info", style: Literal["text", "json"] = "text") -> None:
    """Send everything to standard error; `WHATSHOOKED_LOG_LEVEL` overrides the config's level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sqlalchemy").setLevel(logging.ERROR)  # what it says of a server that is away, we say ourselves
    logging.getLogger(_ROOT).setLevel(LEVELS.get(os.environ.get("WHATSHOOKED_LOG_LEVEL", level), logging.INFO))


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = _NAMES.get(record.levelname, record.levelname)
        fields = "".join(f" {key.rstrip('_')}={_quoted(value)}" for key, value in _fields(record).items())
        line = f"{_stamp(record.created)} {level:<5} {_one_line(record.getMessage())}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Value] = {
            "time": _stamp(record.created),
            "level": _NAMES.get(record.levelname, record.levelname).lower(),
            "message": record.getMessage(),
        }
        line |= {key.rstrip("_"): value for key, value in _fields(record).items()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _fields(record: logging.LogRecord) -> dict[str, Value]:
    return getattr(record, "fields", {})


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def _quoted(value: Value) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if text and not re.search(r'[\s"=\x00-\x1f]', text) else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """No line of ours can be forged by what stands in it."""
    return text.replace("\r", "\\r").replace("\n", "\\n")
