"""A question in Prometheus' language -> its answer, of customers in place of series; pure.

It is the part of its HTTP API that Grafana needs: one family, matchers that are equal, an instant vector. Source:
Prometheus' documentation of its HTTP API, "Instant queries" and "Expression query result formats".
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from whatshooked.stream.customers import BEYOND, Case, Concerned, Found, among

#: Customers that one answer names: nobody reads more, and a browser would suffer.
MOST = 200
#: Seconds that a question may lie in the past, by the asker's clock: what was then, nobody knows.
OLDEST = 600.0

_question = re.compile(r"\s*(\w+)\s*(?:\{(.*)\}\s*)?", re.DOTALL)
_matcher = re.compile(r'\s*(\w+)\s*=\s*("(?:[^"\\\n]|\\.)*")\s*(?:,|$)')

Cases = list[tuple[Concerned, Case]]
Sample = tuple[Mapping[str, str], int]


def _complete(_: Cases, *, is_all: bool) -> Iterable[Sample]:
    return [({}, int(is_all))]


def _number(cases: Cases, **_: object) -> Iterable[Sample]:
    return [({}, len({(who.customer, who.account) for who, _ in cases}))]


def _total(cases: Cases, **_: object) -> Iterable[Sample]:
    return [({}, sum(case.count for _, case in cases))]


def _counts(cases: Cases, **_: object) -> Iterable[Sample]:
    return [({**who._asdict(), "name": case.name, "error": case.error}, case.count) for who, case in cases[:MOST]]


def _since(cases: Cases, **_: object) -> Iterable[Sample]:
    # Without name and error, which another look may find changed: what joins two answers has to be the same in both.
    return [(who._asdict(), case.since) for who, case in cases[:MOST]]


#: What may be asked for: whether a look saw all (1) or there is more (0), how many customers, how many events and
#: messages of theirs, and of each customer how many, and since when (unix ms).
FAMILIES: Mapping[str, Callable[..., Iterable[Sample]]] = {
    "whatshooked_customers_complete": _complete,
    "whatshooked_customers": _number,
    "whatshooked_customers_count": _total,
    "whatshooked_customer_count": _counts,
    "whatshooked_customer_since_ms": _since,
}


class Question(msgspec.Struct, frozen=True):
    """A family, "" of what asks for none (`1+1`, by which Grafana finds out whether we are there); fields as wanted."""

    family: str
    wanted: Mapping[str, str] = {}


def question(query: str) -> Question:
    """Return what a query asks; raises ValueError with what it may ask."""
    if query.replace(" ", "") == "1+1":
        return Question("")
    found = _question.fullmatch(query)
    if found is None or found[1] not in FAMILIES:
        raise ValueError(f'only one of {", ".join(FAMILIES)} can be asked here, with matchers such as hook="crm"')
    wanted: dict[str, str] = {}
    place, inside = 0, found[2] or ""
    while inside[place:].strip():
        matcher = _matcher.match(inside, place)
        if matcher is None or matcher[1] not in Concerned._fields:
            raise ValueError(f'expected matchers such as hook="crm", with = and one of {", ".join(Concerned._fields)}')
        wanted[matcher[1]] = _unquoted(matcher[2])
        place = matcher.end()
    return Question(found[1], wanted)


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise ValueError(f"{text}: expected a string with the escapes of JSON") from error


def is_of_now(asked: str, now: float) -> bool:
    """Return whether a question's `time` (unix seconds, "" for none) is about this moment; other forms are taken so."""
    try:
        return not asked or float(asked) > now - OLDEST
    except ValueError:
        return True


def answered(found: Found, asked: Question, moment: float) -> dict[str, Any]:
    """Return the answer, as of a moment (unix seconds)."""
    cases = among(found, asked.wanted)
    result = [
        {"metric": {name: value for name, value in labels.items() if value}, "value": [moment, str(value)]}
        for labels, value in FAMILIES[asked.family](cases, is_all=found.is_all)
    ]
    return _success("vector", result) | _warned(len(cases), is_all=found.is_all)


def alive(moment: float) -> dict[str, Any]:
    """Return the answer to 1+1."""
    return _success("scalar", [moment, "2"])


def _success(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def _warned(count: int, *, is_all: bool) -> dict[str, Any]:
    """Return what a panel says beside its data."""
    warnings = [f"{MOST} of {count} shown, who has waited longest first"] if count > MOST else []
    if not is_all:
        warnings.append(BEYOND)
    return {"warnings": warnings} if warnings else {}


def refused(kind: str, message: str) -> dict[str, str]:
    """Return the answer to what cannot be answered."""
    return {"status": "error", "errorType": kind, "error": message}
