"""The ledger: what we acknowledged against what receivers accepted and what the cache still holds; pure.

lost      acknowledged with 200, yet not accepted at a hook and not in the cache for it
stuck     in the cache as waiting although everything has come to rest: nobody would ever deliver it
doubled   accepted more than once at one hook without a fault as its reason: of all acceptances at most one may be of
          an attempt that no fault cut off (journal.cut_off); an attempt that was cut off is its own reason.
twice_in  one message has two events in the stream: dedupe let it through. No fault explains that.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request at a receiver: Meta's message id, our event id, the attempt's name, and whether it got a 2xx."""

    hook_id: str
    message_id: str
    event_id: str
    attempt: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """One event of the cache's listing: its state, and the hooks that have not taken it."""

    event_id: str
    message_id: str
    state: str
    hooks: frozenset[str]

    def holds_for(self, hook_id: str) -> bool:
        """Return whether the cache still keeps the event for this hook; no hooks means it was never routed."""
        return not self.hooks or hook_id in self.hooks


_REASONS = ("lost", "stuck", "doubled", "twice_in", "disagreements", "faults")


@dataclass
class Verdict:
    """What the ledger found; green when nothing is lost, stuck, doubled or twice in."""

    events: int = 0
    accepted: int = 0
    explained: int = 0
    parked: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    stuck: list[tuple[str, str]] = field(default_factory=list)
    doubled: list[tuple[str, str]] = field(default_factory=list)
    twice_in: list[str] = field(default_factory=list)
    #: What fsck finds at the end.
    disagreements: list[str] = field(default_factory=list)
    #: What is wrong with the run itself: a step that did not fire, a process that died by itself.
    faults: list[str] = field(default_factory=list)

    @property
    def green(self) -> bool:
        """Whether everything was kept and nothing doubled without a reason."""
        return not any(getattr(self, name) for name in _REASONS)

    def __str__(self) -> str:
        counts = {name: len(getattr(self, name)) for name in _REASONS}
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        head = (
            f"{self.events} events, {self.accepted} accepted, {self.parked} parked, {self.explained} doubles explained"
        )
        return "; ".join([f"{'GREEN' if self.green else 'RED'}: {head}; {said}", *self.disagreements, *self.faults])


def judge(
    acked: Iterable[str],
    hooks: Sequence[str],
    receipts: Iterable[Receipt],
    kept: Iterable[Kept],
    cut_off: frozenset[str] | set[str],
) -> Verdict:
    """Return the verdict over acknowledged message ids; each should be at each of `hooks`.

    `cut_off` names the attempts that a fault cut off.
    """
    by_pair: dict[tuple[str, str], list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        by_pair[receipt.message_id, receipt.hook_id].append(receipt)
    held: dict[str, list[Kept]] = defaultdict(list)
    for one in kept:
        held[one.message_id].append(one)
    verdict = Verdict()
    for message_id in acked:
        verdict.events += 1
        for hook_id in hooks:
            _pair(verdict, (message_id, hook_id), by_pair, held)
    for pair, found in by_pair.items():
        _doubles(verdict, pair, [receipt for receipt in found if receipt.accepted], cut_off)
    verdict.twice_in = _twice_in(by_pair, held)
    return verdict


def _pair(
    verdict: Verdict,
    pair: tuple[str, str],
    by_pair: Mapping[tuple[str, str], list[Receipt]],
    held: Mapping[str, list[Kept]],
) -> None:
    """Count one message at one hook as accepted, parked, stuck or lost."""
    message_id, hook_id = pair
    keeps = [one for one in held.get(message_id, ()) if one.holds_for(hook_id)]
    if any(one.state == "waiting" for one in keeps):
        verdict.stuck.append(pair)
    elif any(receipt.accepted for receipt in by_pair.get(pair, ())):
        verdict.accepted += 1
    elif keeps:
        verdict.parked += 1
    else:
        verdict.lost.append(pair)


def _doubles(verdict: Verdict, pair: tuple[str, str], accepted: list[Receipt], cut_off: Iterable[str]) -> None:
    if len(accepted) < 2:
        return
    clean = [receipt for receipt in accepted if receipt.attempt not in cut_off]
    verdict.explained += len(accepted) - max(len(clean), 1)
    if len(clean) > 1:
        verdict.doubled.append(pair)


def _twice_in(by_pair: Mapping[tuple[str, str], list[Receipt]], held: Mapping[str, list[Kept]]) -> list[str]:
    events: dict[str, set[str]] = defaultdict(set)
    for (message_id, _), receipts in by_pair.items():
        events[message_id] |= {receipt.event_id for receipt in receipts}
    for message_id, kept in held.items():
        events[message_id] |= {one.event_id for one in kept}
    return [message_id for message_id, ids in events.items() if len(ids) > 1]
