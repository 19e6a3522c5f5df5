"""One person forgotten everywhere: Redis and its files, stored media, every target of the event log.

The order is what makes it hold. First what the person has in Redis goes, so that nothing new is made of it; then a mark
in the activity stream, behind which no row can name them any more; once every target has written up to it, the targets;
and Redis' own files last, since what erased the person stands in them too. What came in meanwhile begins it once more.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from whatshooked import logs
from whatshooked.config import Config
from whatshooked.config.model import Target as Name
from whatshooked.embedded import folder
from whatshooked.errors import LogUnavailable
from whatshooked.eventlog.compose import FORGOTTEN
from whatshooked.eventlog.targets import open_target
from whatshooked.keys import Keys
from whatshooked.media import person as files
from whatshooked.media.store import Store
from whatshooked.meta.person import Person
from whatshooked.stream.activity import Activity, Note
from whatshooked.stream.follow import has_written, newest, shards
from whatshooked.stream.link import Link
from whatshooked.stream.person import RUN_AGAIN, Erased, drop_remembered, erase, names_of, remember, remembered
from whatshooked.stream.person_files import purge_files
from whatshooked.stream.registry import known_accounts, known_hooks

log = logs.get("people")

#: Seconds that a target may take to write what was noted before the mark.
PATIENCE = 60.0
#: Times that it begins once more at most: somebody who writes all the time is not waited for.
_ROUNDS = 8
#: Seconds between two rounds, for who writes just now to come to an end.
_BETWEEN = 1.0
_GLANCE = 0.25


class Receipt(msgspec.Struct, kw_only=True):
    """What was touched, in counts; `left` says, a sentence each, what may still hold bytes of the person.

    `person` is the name asked for, masked; `names` how many names they had (number, user id).
    """

    person: str
    names: int = 0
    events: int = 0
    events_of_others: int = 0
    messages: int = 0
    replies: int = 0
    other_keys: int = 0
    files: int = 0
    log_rows: dict[str, int] = msgspec.field(default_factory=dict)
    left: list[str] = msgspec.field(default_factory=list)


class Forgetting:
    """Forgets people; one installation's, from a process that reaches its Redis, its files and its log's targets."""

    def __init__(self, config: Config, link: Link, keys: Keys, store: Store, activity: Activity) -> None:
        self._config = config
        self._link = link
        self._keys = keys
        self._store = store
        self._activity = activity

    async def forget(self, name: str, *, actor: str) -> Receipt:
        """Forget the person of this number (digits with country code) or user id, and return what was touched.

        To be called again after a crash, or when the receipt says so: what is gone is not counted twice. Raises
        ValueError for what has the form of neither, StreamUnavailable and StoreUnavailable.
        """
        person = await names_of(self._link, self._keys, name)
        person = Person(person.names | await remembered(self._link, self._keys, name))
        await self._check(person)
        await remember(self._link, self._keys, name, person)
        receipt = Receipt(person=logs.mask(name), names=len(person.names))

        async def remove(found: set[tuple[str, str]]) -> None:
            receipt.files += await files.remove(self._store, found)

        # What is left of the last round: what was so in one before may be settled by now.
        masked, left, of_log, event_ids = False, list[str](), list[str](), set[str]()
        for _ in range(_ROUNDS):
            erased = await erase(self._link, self._keys, person, remove)
            removed = await files.forget(self._store, person)
            receipt.files += removed
            _add(receipt, erased)
            left = [one for one in erased.left if RUN_AGAIN in one]
            if masked and not (erased.total or removed):
                break
            if masked:
                await asyncio.sleep(_BETWEEN)
            event_ids |= erased.event_ids
            known = Person(person.names, event_ids if self._is_masked else ())
            names, of_log = await self._log(known, receipt, actor)
            if more := names - person.names:
                person = Person(person.names | more)
                receipt.names = len(person.names)
                await remember(self._link, self._keys, name, person)
            masked = not more
        else:
            receipt.left.append("This person keeps writing: run this again")
        receipt.left += left + of_log
        if not receipt.left:
            await drop_remembered(self._link, self._keys, name)
        receipt.left += self._unknown()
        receipt.left += await purge_files(self._link, self._folder())
        receipt.left = list(dict.fromkeys(receipt.left))
        log.warn("Person forgotten", person=receipt.person, actor=actor, events=receipt.events, left=len(receipt.left))
        return receipt

    @property
    def _is_masked(self) -> bool:
        return "numbers" in self._config.event_logger.mask

    async def _check(self, person: Person) -> None:
        """Raise ValueError for names of this installation: keys that hold them would go, and they are no person's."""
        ours = [account.id for account in self._config.whatsapp] + [hook.id for hook in self._config.hooks]
        for account in self._config.whatsapp:
            ours.append("".join(filter(str.isdecimal, account.phone_number)))
            if (api := account.business_api) is not None:
                ours += [api.phone_number_id, api.business_account_id or ""]
        ours += await known_accounts(self._link, self._keys)
        ours += await known_hooks(self._link, self._keys, ())
        if any(person.is_named(one) for one in (*ours, self._keys.prefix)):
            raise ValueError("this is the number or id of an account or hook of yours, and no customer's")

    def _unknown(self) -> list[str]:
        """Return what nobody can know from here, a sentence each."""
        if not self._is_masked or "texts" in self._config.event_logger.mask:
            return []
        return [
            "Event log: its mask hides numbers, so rows of events that Redis has no more cannot be told to be theirs; "
            "the texts in them go with event_logger.*.max_age_days"
        ]

    def _folder(self) -> Path | None:
        """Return the folder of our own server, None of one that somebody else runs."""
        return None if self._config.redis.url else folder.inside(Path(self._config.message_cache.data_path))

    async def _log(self, person: Person, receipt: Receipt, actor: str) -> tuple[set[str], list[str]]:
        """Mask the person in every target, once nothing can write of them any more.

        Returns other names found there, and what is left, a sentence each.
        """
        names, told = set[str](), list[str]()
        await self._activity.tell(self._link, self._keys, Note(FORGOTTEN, state="forgotten", actor=actor))
        behind = await self._behind() if self._config.event_logger.enabled else set()
        for target in await asyncio.to_thread(self._targets, told):
            if target in behind:
                waits = f"Event log: {target} has yet to write what happened before"
                told.append(f"{waits}; see that a worker runs, and run this again")
            try:
                rows, left, learned = await asyncio.to_thread(self._forget_in, target, person)
            except LogUnavailable as error:
                receipt.log_rows.setdefault(target, 0)
                told.append(f"Event log: {target} could not be reached, run this again: {error}")
                continue
            receipt.log_rows[target] = receipt.log_rows.get(target, 0) + rows
            told += left
            names |= learned
        return names, told

    def _targets(self, told: list[str]) -> list[Name]:
        """Return the config's targets, and those that were some time ago and left rows in its places.

        What cannot be known of them is added to `told`.
        """
        from whatshooked.eventlog.sql.postgres import PostgresTarget  # it brings what costs a start half a second

        logger, database = self._config.event_logger, self._config.database
        found: dict[Name, None] = dict.fromkeys(logger.targets) if logger.enabled else {}
        if Path(logger.file_dir).exists():
            found["file"] = None
        if Path(logger.sqlite_path).exists():
            found["sqlite"] = None
        if "postgres" not in found and database is not None and database.host:
            try:
                if PostgresTarget(database, logger.table_name, logger.postgres).is_there():
                    found["postgres"] = None
            except LogUnavailable as error:
                told.append(f"Event log: nobody knows whether this database has rows of it: {error}")
        return list(found)

    def _forget_in(self, name: Name, person: Person) -> tuple[int, Sequence[str], frozenset[str]]:
        target = open_target(name, self._config)
        try:
            return target.forget(person), target.leaves(), target.learned()
        finally:
            target.close()

    async def _behind(self) -> set[str]:
        """Wait until all targets have written what was noted until now; return those that have not after a while."""
        accounts = {account.id for account in self._config.whatsapp if account.business_api is not None}
        streams = shards(self._keys, accounts.union(await known_accounts(self._link, self._keys)))
        until = await newest(self._link, streams)
        waiting, deadline = set[str](self._config.event_logger.targets), time.monotonic() + PATIENCE
        while waiting:
            waiting = {one for one in waiting if not await has_written(self._link, streams, one, until)}
            if not waiting or time.monotonic() > deadline:
                break
            await asyncio.sleep(_GLANCE)
        return waiting


def _add(receipt: Receipt, erased: Erased) -> None:
    receipt.events += erased.events
    receipt.events_of_others += erased.finished + erased.moved
    receipt.messages += erased.messages
    receipt.replies += erased.replies + erased.refused
    receipt.other_keys += erased.names + erased.texts
    receipt.left += [one for one in erased.left if RUN_AGAIN not in one]
