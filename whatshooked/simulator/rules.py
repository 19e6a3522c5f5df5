"""Faults by rule: which call of Graph goes wrong, and how."""

import fnmatch
from typing import Literal

from msgspec import Struct

#: What can go wrong: an error before anything happens, or one after the call has done its work.
Fault = Literal[
    "error_2",  # HTTP 500, code 2, is_transient
    "html_503",  # a page of HTML, as load balancers answer
    "error_131016",
    "error",  # the rule's own status and code
    "reset",  # the connection breaks before an answer
    "hang_after",  # the call is done, the answer never comes
    "reset_after",  # the call is done, the connection breaks
    "slow_body",  # the call is done, its answer drips
]
#: Paths of ours, which no rule touches.
OURS = ("/_sim", "/_files")
#: What a path's pattern may begin with, beside the slash.
_WILD = ("*", "?", "[")
#: Faults that hit the answer of a call that is done.
AFTER = frozenset({"hang_after", "reset_after", "slow_body"})


class Rule(Struct, kw_only=True, forbid_unknown_fields=True):
    """Calls that match `method` and `path` (a pattern such as `*/messages`), from the `nth` on for `count` calls."""

    fault: Fault
    method: str = "*"
    path: str = "*"
    nth: int = 1
    #: Calls that are hit, 0 = all that follow.
    count: int = 1
    status: int = 500
    code: int = 1
    text: str = "An unknown error occurred"
    #: Seconds (ours) that a hang lasts, or a slow body takes.
    seconds: float = 30.0
    #: Matching calls so far.
    seen: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a path that no call of Graph has."""
        if self.path.startswith(OURS):
            raise ValueError("no rule touches /_sim and /_files: POST /_sim/media/ID spoils a file's downloads")
        if not self.path.startswith(("/", *_WILD)):
            raise ValueError("a path begins with / or a wildcard, such as */messages")


def chosen(rules: list[Rule], method: str, path: str) -> Rule | None:
    """Return the first rule that hits this call; every rule that matches counts it."""
    found = None
    for rule in rules:
        if rule.method not in ("*", method) or not fnmatch.fnmatchcase(path, rule.path):
            continue
        rule.seen += 1
        hit = rule.seen >= rule.nth and (not rule.count or rule.seen < rule.nth + rule.count)
        found = found or (rule if hit else None)
    return found
