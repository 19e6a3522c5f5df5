"""What the rows of all tables have in common: a run in a folder of its own, held against what is expected of it."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar


class _Verdict(Protocol):
    @property
    def green(self) -> bool: ...


class _Result(Protocol):
    fired: Counter[str]

    @property
    def verdict(self) -> _Verdict: ...


_R = TypeVar("_R", bound=_Result)
_P = TypeVar("_P")


def carry_out(run: Callable[[_P, Path], Coroutine[Any, Any, _R]], plan: _P, shows: str) -> tuple[_R, bool, str]:
    """Carry a plan out; return what came of it, whether that was as expected, and the verdict as a row has it.

    Expected is green, or red by what a mutant `shows`.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        result = asyncio.run(run(plan, Path(folder)))
    is_green = result.verdict.green
    as_expected = bool(getattr(result.verdict, shows)) if shows else is_green
    return result, as_expected, ("green" if is_green else "red") + ("" if as_expected else " !!")


def print_fired(results: Iterable[_Result]) -> None:
    """Print how often each step came about."""
    fired = sum((result.fired for result in results), Counter[str]())
    print("steps that fired: " + ", ".join(f"{step} {count}" for step, count in sorted(fired.items())))
