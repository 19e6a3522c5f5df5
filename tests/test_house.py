"""The house's walls: sizes, names, keys, metrics and locks; import order and dead code are held by `make check`."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from ops import docs
from tests.conftest import REPO
from whatshooked import keys as key_names
from whatshooked.metrics import facts

FOLDERS = ("whatshooked", "workers", "ops", "grafana", "tests")
MODULES = sorted(path for folder in FOLDERS for path in (REPO / folder).rglob("*.py"))
PRODUCT = [path for path in MODULES if path.relative_to(REPO).parts[0] in ("whatshooked", "workers")]
METRICS = [REPO / "whatshooked/metrics" / name for name in ("__init__.py", "facts.py")]
FACTS = [value for value in vars(facts).values() if isinstance(value, facts.Fact)]
LOCKS = sorted(REPO.glob("requirements*.txt"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Every function of a module, inner ones too."""
    tree = ast.parse(path.read_text())
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """The lines of a function from its def to its end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_module_is_longer_than_400_lines() -> None:
    """A module that grows over the wall has become two."""
    assert [path for path in MODULES if len(path.read_text().splitlines()) > 400] == []


def test_no_function_is_longer_than_50_lines() -> None:
    """And nine in ten of the product's are under 30."""
    long = [f"{path.relative_to(REPO)}: {f.name}" for path in MODULES for f in functions(path) if length(f) > 50]
    assert long == []
    lengths = [length(f) for path in PRODUCT for f in functions(path)]
    assert sum(lines < 30 for lines in lengths) >= 0.9 * len(lengths)


def test_every_module_says_what_it_is() -> None:
    """Each file opens with a docstring, and so does every public function of the product."""
    assert [path for path in MODULES if ast.get_docstring(ast.parse(path.read_text())) is None] == []
    bare = [
        f"{path.relative_to(REPO)}: {f.name}"
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef)
        for f in node.body
        if isinstance(f, Function) and not f.name.startswith("_") and ast.get_docstring(f) is None
        if not (isinstance(node, ast.ClassDef) and node.name.startswith("_"))
    ]
    assert bare == []


def test_the_walk_through_the_house_names_files_that_are_there() -> None:
    """Whoever follows one event by `whatshooked/__init__.py` finds each file it names."""
    text = ast.get_docstring(ast.parse((REPO / "whatshooked/__init__.py").read_text())) or ""
    named = re.findall(r"[\w/]+\.(?:py|lua)\b", text)
    assert len(named) > 15
    missing = [n for n in named if not any((REPO / base / n).exists() for base in (".", "whatshooked"))]
    assert missing == []


def test_every_ignored_finding_has_a_code() -> None:
    """A `noqa` or `type: ignore` says which finding it means."""
    blanket = re.compile(r"#\s*noqa(?!:\s*[A-Z]+\d)|#\s*type:\s*ignore(?!\[)")
    found = [
        f"{path.relative_to(REPO)}:{number}"
        for path in MODULES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if blanket.search(line)
    ]
    assert found == []


def test_every_key_stands_under_the_prefix() -> None:
    """Two installations share one Redis by their prefixes alone; keys of a shard carry its hash tag."""
    keys = key_names.Keys("here")
    names = [name for name in dir(keys) if not name.startswith(("_", "of_")) and name not in ("prefix", "shard")]
    arguments = {"seen": (1, 2), "account": ("a",), "account_check": ("a",)}
    found = {}
    for name in names:
        key = getattr(keys, name)
        found[name] = key(*arguments.get(name, ("x",))) if callable(key) else key
    outbox = found.pop("outbox")
    assert isinstance(outbox, key_names.OutboxKeys)
    assert outbox.tag == "{here:out:x}"
    assert all(key.startswith(outbox.tag) for key in (outbox.due, outbox.message("m"), outbox.line("49"), outbox.hold))
    ours = {"switches", "account", "accounts", "account_traffic", "account_check", "account_slower", "media_totals"}
    whole = ours | {"log_writer", "forgetting", "arq", "link_key", "sweep", "media_calls", "layout"}
    assert {name for name, key in found.items() if key.startswith("here:")} == whole
    assert all(key.startswith("{here:0}:") for name, key in found.items() if name not in whole)
    assert keys.of_hooks(["x"]) == [found["due"], found["dead"]]
    assert keys.of_entries(["x"]) == [found["open"], found["taken"]]


def test_every_metric_has_help_with_its_unit_and_advice() -> None:
    """Each metric says what it counts and in which unit, and the comment above it what to do; its name is ours."""
    made = r"\w+ = (?:Counter|Gauge|Histogram|Fact)\("
    bare, names = [], []
    for path in METRICS:
        lines = path.read_text().splitlines()
        starts = [number for number, line in enumerate(lines) if re.match(made, line)]
        assert len(starts) > 20
        bare += [lines[number] for number in starts if not lines[number - 1].startswith("#:")]
        names += re.findall(made + r'\s*"(\w+)",\s+"([^"]{10,})"', path.read_text())
        assert len(starts) == len(re.findall(r"(?:Counter|Gauge|Histogram|Fact)\(\s*\"", path.read_text()))
    assert bare == []
    assert dict(names) == {**{m._name: m._documentation for m in counted()}, **{f.name: f.help for f in FACTS}}
    assert [name for name, _ in names if not name.startswith("whatshooked_")] == []
    units = {"_seconds": "seconds)", "_bytes": "ytes", "_days_left": "Days", "_hours": "Hours", "_info": "1"}
    told = [(unit in text) for name, text in names for end, unit in units.items() if name.endswith(end)]
    assert len(told) > 20 and all(told)


def counted() -> list[MetricWrapperBase]:
    """What processes count: the library's registry, less what it counts of itself."""
    found = set(REGISTRY._collector_to_names)
    return [one for one in found if isinstance(one, MetricWrapperBase)]


def test_labels_are_from_fixed_sets() -> None:
    """No metric is labelled with what comes from outside: a number, a text, an id of Meta's."""
    labels = {name for metric in counted() for name in metric._labelnames} | {n for f in FACTS for n in f.labels}
    of_config = {"hook", "account", "target"}
    fixed = {
        "type",
        "cause",
        "result",
        "part",
        "reason",
        "kind",
        "code",
        "status",
        "bound",
        "state",
        "by",
        "of",
        "loop",
    }
    assert labels == of_config | fixed | {"version"}


def test_the_runbook_names_every_metric_and_no_other() -> None:
    """An alert on a metric leads to a line of the runbook, and none of its lines is about a metric that is gone."""
    known = {name for path in METRICS for name in re.findall(r'"(whatshooked_\w+)"', path.read_text())}
    told = {name.removesuffix("_total") for name in re.findall(r"\bwhatshooked_\w+", runbook())}
    assert told == known


def runbook() -> str:
    """The text of the runbook."""
    return (REPO / "ops/RUNBOOK.md").read_text()


def test_the_config_reference_is_what_the_model_says() -> None:
    """docs/configuration.md is `make docs`, not a memory of it."""
    assert docs.PAGE.read_text() == docs.render()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_hashes_and_no_address(lock: Path) -> None:
    """Every package is pinned by hash, and no registry's name stands in the file."""
    text = lock.read_text()
    assert "://" not in text and "index-url" not in text
    pins = re.split(r"\n(?=\S)", text.strip())
    assert pins and all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_the_locks_agree() -> None:
    """Each environment holds what the smaller ones hold, in the same versions."""
    run, test, ci = (
        dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", (REPO / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt", "requirements-ci.txt")
    )
    assert run.items() <= test.items() <= ci.items()


def test_what_is_packaged_brings_the_scripts() -> None:
    """Every script that the link loads lies in the package, and no other."""
    from whatshooked.stream.link import Scripts

    files = {path.stem for path in (REPO / "whatshooked/stream/scripts").glob("*.lua")}
    assert files == {script.name for script in Scripts().all()}
    packages = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert packages["packages"] == ["whatshooked", "workers"]
