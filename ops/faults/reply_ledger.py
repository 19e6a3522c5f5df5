"""The ledger of replies: what customers asked for against Meta's own record and what the outbox lists; pure.

missing    asked for, and neither in Meta's record nor listed as failed or unknown: nobody would ever know
doubled    more than once in Meta's record: never in `hold`; in `resend` no more often than leases were taken
stuck      listed as new or sending although everything has come to rest, or never moved into the outbox
wrong      the list says other than the record: twice there, not there, sent or failed and it was not, or unknown
           although Meta has told what became of it
disordered the replies of one message came in another order; a process that stood still may put one back into its line
           behind the others, when in `hold` it had been set aside meanwhile: then order is not judged
throttled  Meta said that we send too fast: to one user (131056), or with the number (130429)
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

#: Codes by which Meta says that messages come too fast.
TOO_FAST = (131056, 130429)
#: The states in which nobody sends a message any more.
FINISHED = ("sent", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply that a hook's answer asks for: its text, and the id of the message that it answers."""

    label: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A message that Meta took, by its text, with the statuses that it has told since."""

    label: str
    statuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A message of the outbox as its lists show it: `leases` were taken on it."""

    label: str
    state: str
    leases: int = 1
    status: str = ""


_REASONS = ("missing", "doubled", "stuck", "wrong", "disordered", "throttled", "faults")


@dataclass
class Verdict:
    """What the ledger found; green when no reply is missing, doubled, stuck, wrong or disordered."""

    replies: int = 0
    states: Counter[str] = field(default_factory=Counter)
    #: The hook never took the message, which is in the cache for it.
    parked: int = 0
    #: Sent more than once, as `resend` allows.
    twice: int = 0
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    #: Unknown, and Meta took them: a status that it has yet to tell settles them.
    untold: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    throttled: list[int] = field(default_factory=list)
    #: What is wrong with the run itself: a step that did not fire, a process that died by itself.
    faults: list[str] = field(default_factory=list)

    @property
    def green(self) -> bool:
        """Whether every reply was sent once, or is known not to be."""
        return not any(getattr(self, name) for name in _REASONS)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left that time alone might mend."""
        return not (self.missing or self.stuck or self.wrong)

    def __str__(self) -> str:
        counts = {"replies": self.replies, **self.states, "parked": self.parked, "twice": self.twice}
        head = ", ".join(f"{name} {count}" for name, count in counts.items())
        said = [f"{name} {found[:8]}" for name in _REASONS if (found := getattr(self, name))]
        return "; ".join([f"{'GREEN' if self.green else 'RED'}: {head}", *said])


def judge(
    asked: Sequence[Asked],
    passed: Iterable[Passed],
    listed: Iterable[Listed],
    parked: Collection[str] = (),
    *,
    resend: bool,
    ordered: bool = True,
) -> Verdict:
    """Return the verdict over all replies that customers want.

    `parked` are messages that the cache keeps as given up, `ordered` says whether order is judged.
    """
    record: dict[str, list[Passed]] = defaultdict(list)
    for one in passed:
        record[one.label].append(one)
    lists: dict[str, list[Listed]] = defaultdict(list)
    for row in listed:
        lists[row.label].append(row)
    verdict = Verdict(replies=len(asked))
    for reply in asked:
        taken, kept = record.get(reply.label, []), lists.get(reply.label, [])
        if reply.message_id in parked and not (taken or kept):
            verdict.parked += 1
        else:
            _reply(verdict, reply.label, taken, kept, resend=resend)
    verdict.disordered = _disordered(asked, record) if ordered else []
    return verdict


def _reply(verdict: Verdict, label: str, passed: list[Passed], listed: list[Listed], *, resend: bool) -> None:
    """Judge one reply by what Meta has of it and what the outbox says."""
    if not listed:
        (verdict.wrong if passed else verdict.missing).append(label)
        return
    one = listed[0]
    verdict.states[one.state] += 1
    if len(passed) > (max(one.leases, 1) if resend else 1):
        verdict.doubled.append(label)
    verdict.twice += len(passed) > 1
    if one.state not in FINISHED:
        verdict.stuck.append(label)
    elif one.state == "sent" and not passed:
        verdict.missing.append(label)
    elif len(listed) > 1 or _is_wrong(one, passed):
        verdict.wrong.append(label)
    elif one.state == "unknown" and passed:
        verdict.untold.append(label)


def _is_wrong(one: Listed, passed: list[Passed]) -> bool:
    if one.state == "failed":
        return bool(passed) and one.status != "failed"
    return one.state == "unknown" and any(message.statuses for message in passed)


def _disordered(asked: Iterable[Asked], record: Iterable[str]) -> list[str]:
    """Return the replies that came before an earlier one of the same message; `record` names each by its first time."""
    places = {label: place for place, label in enumerate(record)}
    last: dict[str, int] = {}
    found = []
    for reply in asked:
        place = places.get(reply.label)
        if place is None:
            continue
        if place < last.get(reply.message_id, -1):
            found.append(reply.label)
        last[reply.message_id] = place
    return found


def busiest(times: Sequence[float], seconds: float) -> float:
    """Return the messages a second of the busiest stretch of so many seconds; `times` are in seconds, in order."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most / seconds
