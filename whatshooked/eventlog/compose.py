"""Records of the activity stream -> rows: what was noted, with what is known of its event or message at this moment.

A record names its event only. Who was erased meanwhile, or left history before the row was written, is not in it.
"""

import functools
import re
import time
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from whatshooked import events, logs
from whatshooked.config import Config, EventLogger
from whatshooked.errors import NewerEntry
from whatshooked.eventlog.row import Place, Row, id_of
from whatshooked.keys import FIRST_SHARD, Keys
from whatshooked.meta import brief, phone
from whatshooked.meta.brief import Brief
from whatshooked.stream.follow import Record, account_of
from whatshooked.stream.link import Link, checked

#: Type of the record behind which no row names a person who was erased.
FORGOTTEN = "person.forgotten"
#: Events that are read in one look: each may have 4 MB.
_A_LOOK = 64
#: Events from which on reading them together is cheaper.
_TOGETHER = 4
#: Events whose brief is kept at hand: an attempt soon follows what it delivers.
_AT_HAND = 20_000
_FIELDS = ("to", "kind", "cause", "hook", "wamid", "body")
_MARKS_OF_READ = "read:"
#: States of what has just come into being.
_NEWS = frozenset(("received", "new"))
_NUMBER = re.compile(r"wamid\.\S+|[0-9]{7,}")
log = logs.get("eventlog")


class Composer:
    """Makes rows; `logger` tells what of a person a row may show."""

    def __init__(self, link: Link, keys: Keys, logger: EventLogger) -> None:
        self._link = link
        self._keys = keys
        self._payloads = logger.payloads and not logger.mask
        self._hides_numbers, self._hides_texts = "numbers" in logger.mask, "texts" in logger.mask
        self._briefs: OrderedDict[str, Brief] = OrderedDict()

    async def rows(self, records: Sequence[Record]) -> list[Row]:
        """Return a row for each record; raises StreamUnavailable."""
        if any(record.told.note.type == FORGOTTEN for record in records):
            self._briefs.clear()  # what was erased before this was noted must not come back from here
        of_events = [record for record in records if record.told.subject and not _is_out(record)]
        news = {record.told.subject for record in of_events if record.told.note.state in _NEWS}
        fresh = await self._learn({record.told.subject for record in of_events}, news)
        messages = await self._messages([record for record in records if _is_out(record)])
        return [self._row(record, fresh, messages) for record in records]

    async def _learn(self, event_ids: set[str], news: set[str]) -> dict[str, Brief]:
        """Return the briefs of events that are told of for the first time, whole; without their words keep them all."""
        wanted = sorted((i for i in event_ids if i in news or i not in self._briefs), key=events.place)
        fresh: dict[str, Brief] = {}
        for start in range(0, len(wanted), _A_LOOK):
            for event_id, blob in (await self._blobs(wanted[start : start + _A_LOOK])).items():
                found = fresh[event_id] = _brief(blob, event_id, payload=self._payloads)
                bare = not (found.text or found.payload)
                self._briefs[event_id] = found if bare else msgspec.structs.replace(found, text="", payload="")
        while len(self._briefs) > _AT_HAND:
            self._briefs.popitem(last=False)
        return fresh

    async def _blobs(self, event_ids: list[str]) -> dict[str, bytes]:
        """Return what the stream has of these events (in order); some were deleted, or their history is over.

        What came in together stands together: it is read in one go, at a fourth of the cost of one by one.
        """
        events_key, found = self._keys.events, dict[str, bytes]()
        if len(event_ids) >= _TOGETHER:
            near = ("XRANGE", events_key, event_ids[0], event_ids[-1], "COUNT", 2 * len(event_ids))
            wanted = set(event_ids)
            for row in await self._link.call(*near):
                if (event_id := row[0].decode()) in wanted:
                    found[event_id] = row[1][1]
        rest = [event_id for event_id in event_ids if event_id not in found]
        if rest:
            replies = checked(await self._link.batch([("XRANGE", events_key, i, i) for i in rest]))
            found |= {event_id: reply[0][1][1] for event_id, reply in zip(rest, replies, strict=True) if reply}
        return found

    async def _messages(self, records: Sequence[Record]) -> dict[tuple[str, str], dict[str, str]]:
        names = list({(record.shard, record.told.subject): None for record in records})
        commands = [
            ("HMGET", self._keys.outbox(account_of(shard)).message(message_id), *_FIELDS) for shard, message_id in names
        ]
        replies = checked(await self._link.batch(commands)) if commands else []
        return {
            name: {
                field: (value or b"").decode("utf-8", "replace") for field, value in zip(_FIELDS, reply, strict=True)
            }
            for name, reply in zip(names, replies, strict=True)
        }

    def _row(self, record: Record, fresh: dict[str, Brief], messages: dict[tuple[str, str], dict[str, str]]) -> Row:
        told = record.told
        if record.shard != FIRST_SHARD:
            found = messages[record.shard, told.subject]
            known = _of_message(record, found, payload=self._payloads)
            event_id, hook_id = found["cause"], found["hook"]
        else:
            known = fresh.get(told.subject) or self._briefs.get(told.subject, _NOTHING)
            event_id, hook_id = told.subject, ""
        row = _assembled(record, known, event_id, hook_id)
        return self._masked(row) if self._hides_numbers or self._hides_texts else row

    def _masked(self, row: Row) -> Row:
        if self._hides_numbers:
            # Meta's ids of messages hold the number in base64, and its errors may quote it.
            shown = "" if row.message_id.startswith("wamid.") else row.message_id
            hidden, error = logs.mask(row.conversation), _NUMBER.sub("(number)", row.error)
            row = msgspec.structs.replace(row, conversation=hidden, message_id=shown, error=error)
        return msgspec.structs.replace(row, text="") if self._hides_texts else row


_NOTHING = Brief()


def _is_out(record: Record) -> bool:
    return record.shard != FIRST_SHARD


def _assembled(record: Record, known: Brief, event_id: str, hook_id: str) -> Row:
    note = record.told.note
    is_new = note.state in _NEWS  # its own error and text stand with its coming in alone
    return Row(  # by place, in the order of the class: it is made three times for an event
        _id(record),
        moment(record.ms),
        note.type,
        note.account_id or known.account_id,
        known.conversation,
        event_id,
        known.message_id,
        known.message_type,
        note.hook_id or hook_id,
        note.state,
        record.told.attempt or note.attempt,
        note.status or (known.code if is_new else 0),
        note.duration_ms or 0,
        note.error or (known.error if is_new else ""),
        note.actor,
        known.text if is_new else "",
        known.payload if is_new or _is_out(record) else "",
    )


def _id(record: Record) -> str:
    if record.shard == FIRST_SHARD:
        return f"{record.ms}-{record.seq}"
    return id_of(Place(record.ms, record.seq, record.shard))


def _brief(blob: bytes, event_id: str, *, payload: bool) -> Brief:
    try:
        return brief.of(events.decode(blob), event_id, payload=payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, NewerEntry):
        return _NOTHING
    except Exception as error:  # no event may keep the rows of all others from being written
        log.bug("What the log shows of an event could not be told", error)
        return _NOTHING


def _of_message(record: Record, found: dict[str, str], *, payload: bool) -> Brief:
    recipient = found["to"] if not found["to"].startswith(_MARKS_OF_READ) else ""
    return Brief(
        account_of(record.shard),
        recipient,
        found["wamid"] or record.told.subject,
        found["kind"],
        _said(found["body"]),
        payload=_outgoing(record.told.subject, found["body"] if payload else ""),
    )


class _Text(msgspec.Struct, frozen=True):
    body: str = ""


class _Body(msgspec.Struct, frozen=True):
    text: _Text = _Text()


def _outgoing(message_id: str, body: str) -> str:
    about: dict[str, object] = {"outbox_id": message_id}
    try:
        return msgspec.json.encode(about | ({"body": msgspec.Raw(body.encode())} if body else {})).decode()
    except msgspec.MsgspecError:
        return msgspec.json.encode(about).decode()


def _said(body: str) -> str:
    """Return what a message to send says, "" of one that is no text."""
    try:
        return msgspec.json.decode(body, type=_Body).text.body if body else ""
    except msgspec.MsgspecError:
        return ""


def conversation(who: str, config: Config) -> str:
    """Return a customer as rows name them, whom somebody names as people write numbers: masked where the log is."""
    try:
        found = phone.normalise(who, config.server.default_country_code)
    except ValueError:
        found = phone.bare(who) if phone.kind(who) == "phone" else who
    return logs.mask(found) if "numbers" in config.event_logger.mask else found


def moment(ms: int) -> str:
    """Return a time (unix ms) as a row has it."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@functools.lru_cache(maxsize=64)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
