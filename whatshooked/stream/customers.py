"""Customers whom it concerns that something waits or failed, as a look finds them and as they are shown; pure.

Metrics cannot say it, for a label has few values. Nothing of it is stored, so nobody has to be forgotten here.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from whatshooked import events
from whatshooked.meta import brief, flatten
from whatshooked.stream.cache import HookState, read
from whatshooked.stream.message import State as OfMessage
from whatshooked.stream.peek import Peeked
from whatshooked.stream.views import rfc3339

#: Letters that are shown of a customer's number or id, of their name, and of an error: strangers chose them.
_CUSTOMER, _NAME, _ERROR = 128, 64, 200
#: What is said where a look was cut.
BEYOND = "there is more than one look takes in, so these are not all: `whatshooked customers --all` tells all"
#: Who sent what cannot be read, and what is larger than anything that a customer writes.
UNREADABLE, TOO_LARGE = "(unreadable)", "(too large to say)"
#: States of hooks that nothing moves any more.
_SHOWN: Mapping[str, "State"] = {"dead": "dead", "poison": "poison"}
#: States of messages that concern somebody, and what they are called beside those of events.
OF_MESSAGES: Mapping[OfMessage, "State"] = {
    "new": "unsent",
    "sending": "unsent",
    "unknown": "unknown",
    "failed": "failed",
}

#: Of events: no worker has looked at them; a hook has not taken them, or they were given up at it; they killed their
#: workers; the hook is off, and did not get them; handed on without their file. Of messages to the customer: the rest.
State = Literal["unread", "waiting", "dead", "poison", "off", "no_file", "unsent", "unknown", "failed"]


class Concerned(NamedTuple):
    """A customer, and how it stands with what came of them or is to go to them; `hook` is "" where it is about none."""

    customer: str
    account: str
    hook: str
    state: State


class One(NamedTuple):
    """One event at one hook, or one message; `ms` is when it came (unix)."""

    who: Concerned
    ms: int
    name: str = ""
    error: str = ""


class Case(msgspec.Struct):
    """How many events or messages it is about, since when (unix ms), and what was last said against one of them."""

    since: int
    count: int = 0
    error: str = ""
    #: What the customer calls themselves.
    name: str = ""
    #: When the last of those came that are counted here.
    last: int = 0


class Found(NamedTuple):
    """Whom it concerns, who has waited longest first; `is_all` unless there was more than one look takes in."""

    cases: dict[Concerned, Case]
    is_all: bool


class CustomerView(msgspec.Struct):
    """A customer as shown: how many events or messages of one kind wait or failed, since when, and why."""

    customer: str
    name: str | None
    account_id: str
    hook_id: str | None
    state: State
    count: int
    since: str
    error: str | None


class Author(NamedTuple):
    """Whom an event is of, and by what it is wanted; of one that cannot be read nobody knows."""

    customer: str = UNREADABLE
    account: str = ""
    name: str = ""
    type: str = ""

    def at(self, event_id: str, hook: str, state: State, error: str = "") -> One:
        """Return how it stands with their event."""
        return One(Concerned(self.customer, self.account, hook, state), events.received_ms(event_id), self.name, error)


def authors(entries: Iterable[Peeked]) -> list[Author]:
    """Return whom entries are of; of a large one nobody looks who."""
    return [_author(entry) for entry in entries]


def _author(entry: Peeked) -> Author:
    if entry.blob is None:
        return Author(TOO_LARGE, entry.account, "", entry.type)
    event, event_id = read(entry.blob), entry.id
    if event is None:
        return Author()
    told = brief.of(event, event_id)
    return Author(told.conversation[:_CUSTOMER], told.account_id, plain(flatten.name(event), _NAME), event.type)


def plain(text: str, most: int) -> str:
    """Return the letters of a text that stand in one line and steer nothing, so many at most."""
    head = " ".join(text[: 4 * most].split())
    return "".join(letter for letter in head if letter.isprintable())[:most].strip()


def owing(
    author: Author, event_id: str, hooks: Mapping[str, HookState], usual: int, *, is_poison: bool
) -> Iterator[One]:
    """Yield one for each hook that has not taken an event; none while it is on its way: it came after `usual` (ms)."""
    if is_poison and not hooks:
        yield author.at(event_id, "", "poison")
    for hook, state in hooks.items():
        shown = _SHOWN.get(state.state, "waiting")
        is_tried = bool(state.last_status or state.last_error)
        if shown != "waiting" or is_tried or events.received_ms(event_id) <= usual:
            yield author.at(event_id, hook, shown, state.last_error or "")


class Collection:
    """Counts what one look finds, by whom it concerns: as large as there are customers, however much they wrote."""

    def __init__(self) -> None:
        self._cases: dict[Concerned, Case] = {}

    def add(self, ones: Iterable[One]) -> None:
        """Count these; what nobody is known of is left out."""
        for one in ones:
            if not (customer := plain(one.who.customer, _CUSTOMER)):
                continue
            case = self._cases.setdefault(one.who._replace(customer=customer), Case(one.ms))
            case.count += 1
            case.since = min(case.since, one.ms)
            if one.ms >= case.last:
                case.last = one.ms
                case.name, case.error = one.name or case.name, plain(one.error, _ERROR) or case.error

    def sorted(self) -> dict[Concerned, Case]:
        """Return the customers, who has waited longest first."""
        return dict(sorted(self._cases.items(), key=lambda row: row[1].since))


def among(found: Found, wanted: Mapping[str, str]) -> list[tuple[Concerned, Case]]:
    """Return those whose fields have the wanted values."""
    return [
        (who, case)
        for who, case in found.cases.items()
        if all(getattr(who, name) == value for name, value in wanted.items())
    ]


def view(who: Concerned, case: Case) -> CustomerView:
    """Return a customer as the API and the command show them."""
    return CustomerView(
        who.customer,
        case.name or None,
        who.account,
        who.hook or None,
        who.state,
        case.count,
        rfc3339(case.since),
        case.error or None,
    )
