"""What environment variables give where config.json says nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.configs import Files, small_file
from whatshooked.config.environment import VARIABLES, fill
from whatshooked.config.walk import Object

URL = "redis://valkey:6379/0"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_variable_fills_a_gap(files: Files) -> None:
    """Without `redis.url` in the file, with a section or none, the variable gives it."""
    gaps: list[dict[str, Any]] = [{}, {"redis": None}, {"redis": {}}, {"redis": {"url": None}}]
    for gap in (*gaps, {"redis": {"url": "", "prefix": "wh"}}):
        found = files.load(small_file() | gap, environ={"WHATSHOOKED_REDIS_URL": URL}).config
        assert found.redis.url == URL, gap


def test_what_the_file_sets_stays(files: Files) -> None:
    """A file that names its Redis keeps it, whatever the environment says; so does one that names a variable."""
    environ = {"WHATSHOOKED_REDIS_URL": URL, "OWN": "redis://own:6379/1"}
    for own in ("redis://own:6379/1", "env:OWN"):
        found = files.load(small_file() | {"redis": {"url": own}}, environ=environ).config
        assert found.redis.url == "redis://own:6379/1"


def test_an_empty_variable_is_none(files: Files) -> None:
    """Compose hands on variables that nobody set as empty ones: they fill nothing."""
    assert files.load(small_file(), environ={"WHATSHOOKED_REDIS_URL": ""}).config.redis.url is None


def test_a_bad_value_names_its_variable(files: Files) -> None:
    """The fault says which variable is to be corrected, and shows nothing of what may hold a password."""
    faults = files.faults(small_file(), environ={"WHATSHOOKED_REDIS_URL": "valkey:secret@6379"})
    assert [fault.split(": ")[1] for fault in faults] == [
        "redis.url (of the environment variable WHATSHOOKED_REDIS_URL)"
    ]
    assert "secret" not in "".join(faults)


def test_every_variable_fills_its_key() -> None:
    """Each variable of the table puts a reference to itself where its key is, and nowhere else."""
    for variable, (section, key) in VARIABLES.items():
        raw = Object(())
        assert fill(raw, {variable: "x"}) == {f"{section}.{key}": variable}
        assert raw == {section: {key: f"env:{variable}"}}


@pytest.mark.parametrize("raw", [[], "text", Object([("redis", [1])]), Object([("redis", "x")])])
def test_a_wrong_shape_is_left_alone(raw: Any) -> None:
    """A file that is no object, or has something else in a section's place, is for the walk to refuse."""
    before = repr(raw)
    assert fill(raw, {"WHATSHOOKED_REDIS_URL": URL}) == {}
    assert repr(raw) == before
