"""Which stored files have to go: by age, and the oldest contents when all take too much room.

Contents are counted once, whoever shares them, and a content goes with all its names or not at all: to remove one of
several frees nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Set
from typing import Literal, NamedTuple

from whatshooked.media.store import YOUNG, Held

Reason = Literal["too_old", "too_many_bytes"]
#: An account's folder and a file's name.
Name = tuple[str, str]


class Limits(NamedTuple):
    """How long and how much; 0 is no bound."""

    #: Seconds.
    age: float
    total_bytes: int


class Going(NamedTuple):
    """A file that has to go, and why."""

    held: Held
    reason: Reason


def interesting(held: Held, limits: Limits, now: float) -> bool:
    """Return whether a file can matter to `going`: with a bound on age alone those that are too old."""
    return limits.total_bytes > 0 or _too_old(held, limits, now)


def going(files: Iterable[Held], limits: Limits, needed: Set[Name], now: float) -> list[Going]:
    """Return the files to remove, the oldest first; none that is needed, and none younger than an hour."""
    found = sorted(files, key=lambda held: held.stored_at)
    old = [held for held in found if _too_old(held, limits, now) and _may_go(held, needed, now)]
    gone = {(held.folder, held.filename) for held in old}
    rest = [held for held in found if (held.folder, held.filename) not in gone]
    surplus = _surplus(rest, limits.total_bytes, needed, now) if limits.total_bytes else []
    return [Going(held, "too_old") for held in old] + [Going(held, "too_many_bytes") for held in surplus]


def _too_old(held: Held, limits: Limits, now: float) -> bool:
    return limits.age > 0 and now - held.stored_at > limits.age


def _may_go(held: Held, needed: Set[Name], now: float) -> bool:
    return now - held.stored_at > YOUNG and (held.folder, held.filename) not in needed


def _surplus(files: list[Held], most: int, needed: Set[Name], now: float) -> list[Held]:
    """Return whole contents, by their youngest name, until the others fit; `files` are sorted by age."""
    names: dict[int | str, list[Held]] = defaultdict(list)
    for held in reversed(files):
        names[held.content].append(held)
    over = sum(shared[0].size for shared in names.values()) - most
    surplus: list[Held] = []
    for shared in reversed(names.values()):  # the content whose youngest name is the oldest comes first
        if over <= 0:
            break
        if all(_may_go(held, needed, now) for held in shared):
            surplus += reversed(shared)
            over -= shared[0].size
    return surplus
