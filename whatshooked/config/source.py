"""Where a value really stands: in the file itself, in an environment variable or in another file.

A string `env:NAME` or `file:/path` is replaced by what it names, so that no secret stands in config.json.
"""

from collections.abc import Mapping
from pathlib import Path

from whatshooked.errors import TheirsError

#: A value file is a secret or a URL; more than this is the wrong file.
MAX_BYTES = 1 << 20


class SourceError(TheirsError):
    """A variable or file that a value names cannot be used; says which and the remedy, never its content."""


def is_reference(text: str) -> bool:
    """Return whether the string names a place instead of being the value."""
    return text.startswith(("env:", "file:"))


def resolve(reference: str, environ: Mapping[str, str]) -> str:
    """Return what `env:NAME` or `file:/path` stands for; raises SourceError when it is missing or empty."""
    origin, _, name = reference.partition(":")
    value = _variable(name, environ) if origin == "env" else _content(name)
    if not value:
        # An empty secret would quietly switch a check off, so it is no value.
        raise SourceError(f"{_told(reference)} is empty; fill it or remove the key")
    return value


def _variable(name: str, environ: Mapping[str, str]) -> str:
    try:
        return environ[name]
    except (KeyError, ValueError) as error:  # ValueError: a name that no variable can have
        raise SourceError(f"environment variable {name!a} is not set; set it or write the value here") from error


def _content(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            blob = file.read(MAX_BYTES + 1)
        text = blob.decode()
    except UnicodeDecodeError as error:
        raise SourceError(f"file {name!a} is not UTF-8 text; correct the path or the file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise SourceError(f"file {name!a} cannot be read ({reason}); create it or correct the path") from error
    if len(blob) > MAX_BYTES:
        raise SourceError(f"file {name!a} is larger than {MAX_BYTES} bytes; correct the path")
    return text.rstrip("\r\n")


def _told(reference: str) -> str:
    origin, _, name = reference.partition(":")
    return f"{'environment variable' if origin == 'env' else 'file'} {name!a}"
