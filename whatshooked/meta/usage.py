"""How much of Meta's call limits is used up, by the headers of its answers; pure, times are given in seconds.

X-App-Usage counts an app, X-Business-Use-Case-Usage a WABA, both in percent of an hour's calls. Above `SLOW_FROM` calls
are spaced out, at 100 % they wait: Meta counts calls that it refuses, too.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

SLOW_FROM = 75.0
#: Seconds between two calls just below 100 %.
WIDEST = 2.0
#: Seconds until the next call when the limit is reached and Meta does not say how long.
UNTOLD = 60.0
#: Seconds a percentage is believed: the limits are an hour's.
BELIEVED = 3600.0
#: Seconds that a wait is believed at most, however long a header says.
LONGEST = 86_400.0
#: Accounts and apps remembered at most; a reload may bring new ones without end.
_MOST = 1000


@dataclass
class _Budget:
    percent: float = 0.0
    seen: float = 0.0
    #: No call before this moment.
    until: float = 0.0
    #: The moment of the last call that was let through.
    last: float = 0.0


class Budgets:
    """What is known of each limit; a name is an app's or an account's."""

    def __init__(self) -> None:
        self._budgets: dict[str, _Budget] = {}

    def pause(self, names: Iterable[str], now: float) -> float:
        """Return the seconds until a call may go that counts against all these limits; `book` it then."""
        found = [budget for name in names if (budget := self._budgets.get(name)) is not None]
        return max((_next(budget, now) - now for budget in found), default=0.0)

    def book(self, names: Iterable[str], moment: float) -> None:
        """Note that a call goes at this moment: the next one keeps its distance from it."""
        for name in names:
            if (budget := self._budgets.get(name)) is not None:
                budget.last = max(budget.last, moment)

    def note(self, name: str, percent: float, regain: float, now: float) -> None:
        """Note an answer's percentage; `regain` is the seconds until calls are allowed again, 0 when not told."""
        budget = self._budget(name)
        budget.percent, budget.seen = percent, now
        if regain > 0 or percent >= 100:
            budget.until = now + min(regain or UNTOLD, LONGEST)

    def hold(self, name: str, seconds: float, now: float) -> None:
        """Let no call through for some seconds."""
        budget = self._budget(name)
        budget.until = max(budget.until, now + seconds)

    def _budget(self, name: str) -> _Budget:
        if name not in self._budgets and len(self._budgets) >= _MOST:
            del self._budgets[min(self._budgets, key=lambda one: self._budgets[one].seen)]
        return self._budgets.setdefault(name, _Budget())


def _next(budget: _Budget, now: float) -> float:
    """Return the moment of the next call."""
    moment = max(now, budget.until)
    if budget.percent > SLOW_FROM and now - budget.seen < BELIEVED:
        gap = WIDEST * (min(budget.percent, 100.0) - SLOW_FROM) / (100.0 - SLOW_FROM)
        moment = max(moment, budget.last + gap)
    return moment


def read(headers: Mapping[str, str]) -> tuple[float, float, float]:
    """Return an answer's percentages of the app and of the account, and the seconds until the account regains access.

    Percentages are 0 where a header is missing or no JSON: the worst of its counts and objects.
    """
    app = max(_percentages(_decoded(headers.get("x-app-usage", ""))), default=0.0)
    account = regain = 0.0
    of_objects = _decoded(headers.get("x-business-use-case-usage", ""))
    for rows in of_objects.values() if isinstance(of_objects, dict) else ():
        for row in rows if isinstance(rows, list) else ():
            account = max(account, *_percentages(row), 0.0)
            regain = max(regain, _number(row.get("estimated_time_to_regain_access")) * 60 if _is(row) else 0.0)
    return app, account, regain


def _percentages(row: Any) -> Iterator[float]:
    for name in ("call_count", "total_cputime", "total_time"):
        yield _number(row.get(name)) if _is(row) else 0.0


def _is(row: Any) -> bool:
    return isinstance(row, dict)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _decoded(header: str) -> Any:
    try:
        return msgspec.json.decode(header) if header else {}
    except (msgspec.MsgspecError, RecursionError):
        return {}
