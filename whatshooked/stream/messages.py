"""Messages of the outbox as the API and the command show them: one, a page of them, and why an account sends none."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from whatshooked.meta import codes, phone
from whatshooked.meta.send import READ
from whatshooked.stream.outbox import STATES, Outbox, Place, Record, State
from whatshooked.stream.views import rfc3339

#: Messages of one page at most.
MOST = 500
#: Passes over so many messages that a page takes to find those of one recipient; the next page goes on from there.
_PASSES, _A_PASS = 4, 500

_place = re.compile(r"([0-9]{1,15})\.(.{1,500})", re.DOTALL)


class MessageView(msgspec.Struct):
    """A message as shown; `message_id` is Meta's id, `times` when each status came, `cause` the event it replies to."""

    id: str
    account_id: str
    state: State
    to: str | None
    kind: str
    created: str
    attempts: int
    message_id: str | None
    status: str | None
    times: dict[str, str]
    code: int | None
    error: str | None
    retry: str | None
    hint: str | None
    cause: str | None
    hook_id: str | None
    callback_data: str | None
    body: Any


class Owned(msgspec.Struct, frozen=True):
    """A message and the account that sends it."""

    account_id: str
    record: Record


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages to list: of these states (none: all) and recipients (none: all), created from `since` to before
    `until` (unix ms, -1 = now), behind the place `after`, at most `limit`."""

    states: tuple[State, ...] = ()
    recipients: frozenset[str] = frozenset()
    since: int = 0
    until: int = -1
    after: Place | None = None
    limit: int = 100


def view(found: Owned) -> MessageView:
    """Return a message as it is shown."""
    record = found.record
    return MessageView(
        id=record.id,
        account_id=found.account_id,
        state=record.state,
        to=record.to if record.kind != READ else None,
        kind=record.kind,
        created=rfc3339(record.at),
        attempts=record.attempts,
        message_id=record.wamid or None,
        status=record.status or None,
        times={status: rfc3339(at) for status, at in sorted(record.times.items(), key=_when)},
        code=record.code or None,
        error=record.error or None,
        # The status of the answer is not kept: of a code that nobody knows it is not said that it may pass.
        retry=codes.retry(record.code, 400).value if record.code else None,
        hint=(codes.hint(record.code) if record.code else None) or None,
        cause=record.cause or None,
        hook_id=record.hook or None,
        callback_data=record.callback or None,
        body=msgspec.Raw(record.body),
    )


#: Statuses of one second in the order in which they come about: Meta tells no finer time.
_RANKS = {status: rank for rank, status in enumerate(("sent", "delivered", "read", "played", "failed"))}


def _when(told: tuple[str, int]) -> tuple[int, int]:
    status, at = told
    return at, _RANKS.get(status, len(_RANKS))


def cursor(place: Place) -> str:
    """Return a place as a page's `next` names it."""
    return f"{place[0]}.{place[1]}"


def place_of(text: str) -> Place | None:
    """Return the place that a page's `next` named, None when it is none."""
    found = _place.fullmatch(text)
    return (int(found[1]), found[2]) if found else None


def recipients(to: str, country_code: str) -> frozenset[str]:
    """Return the names under which the outbox may have a recipient that somebody asks for."""
    known = {to, phone.bare(to)}
    try:
        known.add(phone.normalise(to, country_code))
    except ValueError:
        return frozenset(known)
    return frozenset(known)


def unix_ms(moment: datetime) -> int:
    """Return a time as the outbox counts it; one without a zone is taken as UTC."""
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


async def find(outbox: Outbox, account_ids: Sequence[str], message_id: str) -> Owned | None:
    """Return a message of any of these accounts, None when there is none (any more); raises StreamUnavailable."""
    for account_id in account_ids:
        record = await outbox.get(account_id, message_id)
        if record is not None:
            return Owned(account_id, record)
    return None


async def listing(outbox: Outbox, account_ids: Sequence[str], wanted: Wanted) -> tuple[list[Owned], Place | None]:
    """Return a page of these accounts' messages, newest first, and the place behind which the next one begins.

    Looking for recipients ends after some thousand messages: a page may then have few, or none, and still a next one.
    Raises StreamUnavailable.
    """
    found: list[Owned] = []
    after = wanted.after
    at_once = _A_PASS if wanted.recipients else wanted.limit + 1
    for _ in range(_PASSES):
        rows = await _newest(outbox, account_ids, wanted, after, at_once)
        found += [row for row in rows if _is_wanted(row.record, wanted)]
        if len(found) > wanted.limit:
            return found[: wanted.limit], _of(found[wanted.limit - 1])
        if len(rows) < at_once:
            return found, None
        after = _of(rows[-1])
    return found, after


async def counted(outbox: Outbox, account_ids: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Return how many messages are in each state, and why an account that sends nothing at the moment does not."""
    counts: Counter[str] = Counter(dict.fromkeys(STATES, 0))
    held = {}
    for account_id, (sizes, reason) in (await outbox.overview(account_ids)).items():
        counts.update(sizes)
        if reason:
            held[account_id] = reason
    return dict(counts), held


async def _newest(
    outbox: Outbox, account_ids: Sequence[str], wanted: Wanted, after: Place | None, limit: int
) -> list[Owned]:
    found: list[Owned] = []
    for account_id in account_ids:
        records = await outbox.page(
            account_id, *wanted.states, since=wanted.since, until=wanted.until, after=after, limit=limit
        )
        found += [Owned(account_id, record) for record in records]
    return sorted(found, key=_of, reverse=True)[:limit]


def _is_wanted(record: Record, wanted: Wanted) -> bool:
    """Whether a message is one of those asked for; its state may have changed since it was found in a list."""
    fits = not wanted.states or record.state in wanted.states
    return fits and (not wanted.recipients or record.to in wanted.recipients)


def _of(found: Owned) -> Place:
    return found.record.at, found.record.id
