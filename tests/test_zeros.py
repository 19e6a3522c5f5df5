"""Nothing that the code can count is missing in what a process shows before it has happened."""

import ast
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY

from whatshooked.metrics import zeros

ROOT = Path(__file__).parents[1]


def _calls(*folders: str) -> Iterator[ast.Call]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def _literal(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _parts(*folders: str) -> set[str]:
    """The parts under which these folders count what Redis refuses: `REDIS_ERRORS.labels("x")` and `part="x"`."""
    found: set[str] = set()
    for call in _calls(*folders):
        if ast.unparse(call.func).endswith("REDIS_ERRORS.labels"):
            found.update(_literal(call.args[0]))
        found.update(part for word in call.keywords if word.arg == "part" for part in _literal(word.value))
    return found


def test_every_part_that_speaks_to_redis_is_shown() -> None:
    """The web's and the workers' own, and no part that nothing counts under."""
    assert _parts("whatshooked/web") < set(zeros.WEB_PARTS)
    assert _parts("workers") < set(zeros.WORKER_PARTS)
    assert _parts("whatshooked", "workers") == {*zeros.WEB_PARTS, *zeros.WORKER_PARTS}


def test_every_cause_of_a_refusal_is_shown() -> None:
    """Each `_Refused("cause", ...)` of the webhooks, and no other."""
    refusals = (call for call in _calls("whatshooked/web") if ast.unparse(call.func) == "_Refused")
    assert {cause for call in refusals for cause in _literal(call.args[0])} == set(zeros.CAUSES)


def test_what_is_shown_stands_at_nothing() -> None:
    """A part and a reason that never came are there for Prometheus, at 0."""
    zeros.web(())
    zeros.worker((), (), ())
    shown = {(sample.name, *sample.labels.values()) for metric in REGISTRY.collect() for sample in metric.samples}
    assert {("whatshooked_redis_errors_total", part) for part in (*zeros.WEB_PARTS, *zeros.WORKER_PARTS)} <= shown
    assert {("whatshooked_webhooks_rejected_total", cause) for cause in zeros.CAUSES} <= shown
    assert {
        ("whatshooked_cache_removed_total", reason, state)
        for reason in ("too_old", "too_many", "cache_off")
        for state in ("dead", "unmatched", "poison")
    } <= shown
