"""What the runbook and the pages tell to type can be typed: services, commands and options that there are."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPO
from whatshooked.cli.main import build
from whatshooked.embedded import Embedded

RUNBOOK = REPO / "ops" / "RUNBOOK.md"
PAGES = (RUNBOOK, REPO / "README.md", *sorted((REPO / "docs").glob("*.md")))
#: What stands in the pages for a value, and one that may stand there.
VALUES = {"ID": "1-1", "TIME": "2026-01-30", "NUMBER": "+4915112345678"}
#: Commands of compose that name services: all their words, or the first alone, behind which another program's follow.
NAME_ALL, NAME_ONE = ("kill", "logs", "ps", "restart", "start", "stop"), ("exec", "run")
#: Their options that take a word.
WITH_WORD = {"-s", "--since", "--tail"}


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the words of what a page tells to type."""
    text = page.read_text()
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield line.partition(" #")[0].split()
    for span in re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        yield span.split()


def services(words: list[str]) -> list[str]:
    """Return the services that a call of compose names."""
    if words[:2] != ["docker", "compose"]:
        return []
    rest = [word for at, word in enumerate(words) if not word.startswith("-") and words[at - 1] not in WITH_WORD][2:]
    if not rest:
        return []
    return rest[1:] if rest[0] in NAME_ALL else rest[1:2] if rest[0] in NAME_ONE else []


def test_every_service_that_is_named_is_one_of_compose() -> None:
    """Who types what a page says to the containers, reaches one."""
    known = yaml.safe_load((REPO / "compose.yaml").read_text())["services"].keys()
    named = {name: page.name for page in PAGES for words in typed(page) for name in services(words)}
    assert {"web", "worker", "valkey"} <= named.keys()
    assert {name: page for name, page in named.items() if name not in known} == {}


def commands() -> set[str]:
    """Return the commands of ours that the runbook tells."""
    told = [words for words in typed(RUNBOOK) if len(words) > 1 and words[0] == "whatshooked"]
    return {" ".join(words) for words in told if "..." not in words}


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_of_the_runbook_is_taken(command: str) -> None:
    """Its name and options are there, and fit together."""
    words = [VALUES.get(word, word) for word in shlex.split(command)[1:]]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        build().parse_args(words)
    assert said.getvalue() == ""


def test_a_replay_names_a_hook_for_one_event_alone() -> None:
    """A named hook gets what it had, and what it does not want: for many events no page may say so."""
    replays = [words for page in PAGES for words in typed(page) if "cache replay" in " ".join(words)]
    wrong = [words for words in replays if "--hook" in words and "ID" not in words[: words.index("--hook")]]
    assert replays and wrong == []


def test_the_embedded_server_is_reached_as_the_runbook_says(tmp_path: Path) -> None:
    """Its lines, typed in a clone, find the socket and the program."""
    (lines,) = re.findall(r"^```sh\n(D=.*?)^```", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    server = Embedded.open(tmp_path / "data" / "message_cache")
    try:
        done = subprocess.run(["sh", "-eu", "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        server.close()
    assert "used_memory:" in done.stdout, done.stderr
