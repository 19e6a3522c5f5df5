"""Reads config.json: parse, walk, rules, Structs; every fault in one error (contract section 1)."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from whatshooked.config.environment import fill
from whatshooked.config.model import Config, Document
from whatshooked.config.rules import cautions, refusals, without_credentials
from whatshooked.config.walk import Object, Place, Report, Walk
from whatshooked.errors import ConfigError


class Loaded(msgspec.Struct, frozen=True):
    """A usable configuration and one line for each thing its operator should know."""

    config: Config
    warnings: tuple[str, ...]


def load(path: Path | str, *, environ: Mapping[str, str] | None = None, today: date | None = None) -> Loaded:
    """Return the file's configuration with every `env:` and `file:` value, and the variables that fill gaps, read anew.

    `environ` is the process's own unless given, `today` (for the end of Graph API versions) the UTC day.
    Raises ConfigError with all faults, each "config.json: hooks[2].url: expected ..., got ...".
    """
    file = Path(path)
    variables = os.environ if environ is None else environ
    raw = _parsed(file)
    report = Report(file.name, fill(raw, variables))
    found = Walk(report, variables).value(raw, DOCUMENT, Place())
    if isinstance(found, dict):
        for place, text in refusals(found):
            report.fault(place, text)
    if report.faults:
        raise ConfigError(*report.faults)
    config = _built(found, file)
    for place, text in cautions(config, today or datetime.now(UTC).date()):
        report.warn(place, text)
    return Loaded(config, tuple(report.warnings))


DOCUMENT = msgspec.inspect.type_info(Document)


def _built(found: Mapping[str, Any], file: Path) -> Config:
    document = msgspec.convert(found, Document)
    hooks = tuple(map(without_credentials, document.hooks))
    return Config(path=file, **(msgspec.structs.asdict(document) | {"hooks": hooks}))


def _parsed(file: Path) -> Any:
    text = _text(file)
    try:
        return json.loads(text, object_pairs_hook=Object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{file.name}: {place}: not valid JSON ({error.msg}); correct it") from error
    except RecursionError as error:
        raise ConfigError(f"{file.name}: not a configuration: nested too deeply") from error
    except ValueError as error:  # NaN, Infinity or a number of thousands of digits
        raise ConfigError(f"{file.name}: not valid JSON: it holds a number that is none; correct it") from error


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")  # editors on Windows put a byte order mark in front
    except FileNotFoundError as error:
        remedy = "create it, or name another with -c FILE or WHATSHOOKED_CONFIG"
        raise ConfigError(f"{file}: no such file; {remedy}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file.name}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigError(f"{file}: cannot be read ({reason}); correct the path or its permissions") from error
