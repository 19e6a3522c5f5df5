"""Stored files of messages that go out: uploaded to Meta before the message is sent, once for all messages.

An upload belongs to no message's lease: it goes on in the background for as long as a file of its size may take, and a
message that it keeps waiting goes back into its line meanwhile. So nothing of a message ever leaves with its file, and
whatever becomes of an upload, the message is not unknown.
"""

import asyncio
import time
from typing import Any

from whatshooked import logs
from whatshooked.config import Account
from whatshooked.errors import StoreUnavailable, StreamUnavailable
from whatshooked.media.names import sendable_type, shown
from whatshooked.media.store import About, Store
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.media import upload
from whatshooked.meta.send import stored
from whatshooked.meta.send.stored import AtMeta
from whatshooked.stream.outbox import Again, Failed, Outcome, Record
from whatshooked.stream.uploads import Uploaded
from workers import outcome

log = logs.get("outbox")

#: Uploads at once in this process, and those that may wait behind them.
_AT_ONCE, _MOST = 4, 100
#: Seconds that a message waits for an upload before it goes back into its line, and ms until it is looked at again.
WAITS = 5.0
AGAIN_MS = 5_000
#: An upload's time: so many seconds, and one more for so many bytes.
_SECONDS, _A_SECOND = 20.0, 1_000_000

#: Account, phone_number_id and file.
_Name = tuple[str, str, str]
#: What came of an upload; a message is told of a fault, nobody else.
_Found = AtMeta | GraphFailure | StoreUnavailable | StreamUnavailable | None


class Uploads:
    """Makes messages ready whose files lie in our store; one per process, `close` ends what goes on."""

    def __init__(self, store: Store, graph: Graph, uploaded: Uploaded) -> None:
        self._store = store
        self._graph = graph
        self._uploaded = uploaded
        self._turn = asyncio.Semaphore(_AT_ONCE)
        #: Uploads that go on, and those that failed until a message has learnt it.
        self._tasks: dict[_Name, asyncio.Task[_Found]] = {}

    async def close(self) -> None:
        """Break off what goes on: the messages wait in their lines, whoever claims them uploads anew."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def fill(self, account: Account, message: Record, body: dict[str, Any], *, until: float) -> Outcome | None:
        """Put Meta's ids into a message's body; return None, or what comes of it when that cannot be done now.

        Waits for uploads until a time of `time.monotonic`, and no longer than some seconds.
        """
        known: dict[str, AtMeta] = {}
        until = min(until, time.monotonic() + WAITS)
        try:
            for use in stored.uses(body):
                found = known.get(use.filename) or await self._at_meta(account, use, until)
                if not isinstance(found, AtMeta):
                    return self._outcome(found, message)
                known[use.filename] = found
        except (StoreUnavailable, StreamUnavailable) as error:
            return self._outcome(error, message)
        except Exception as error:  # nothing of the message has left: it is not unknown
            log.bug("A file could not be made ready by an error of ours", error)
            return outcome.of_wait(
                "its file cannot be uploaded now: an error of ours, see the log", AGAIN_MS, outcome.age_ms(message)
            )
        stored.fill(body, known)
        return None

    async def forget(self, account: Account, body: bytes) -> None:
        """Forget the ids of a message's files, which Meta refused, so that the next one uploads them anew.

        Raises StreamUnavailable.
        """
        if found := stored.read(body):
            await self._uploaded.forget(account.id, _number(account), {use.filename for use in found})

    async def _at_meta(self, account: Account, use: stored.Use, until: float) -> _Found | Outcome:
        number = _number(account)
        if known := await self._uploaded.find(account.id, number, use.filename):
            return known
        about = await self._store.about(account.id, use.filename)
        if about is None:
            return Failed(0, f"there is no stored file {use.filename}")
        if fault := stored.fault(use.kind, about.mime_type, about.size):
            return Failed(0, f"the stored file {use.filename} cannot be sent: {fault}")
        name = (account.id, number, use.filename)
        if (task := self._task(account, name, about)) is None:
            return Again(AGAIN_MS, "other files are uploaded first", tried=False)
        await asyncio.wait([task], timeout=max(until - time.monotonic(), 0.0))
        if not task.done():
            return Again(AGAIN_MS, "its file is being uploaded", tried=False)
        if self._tasks.get(name) is task:
            del self._tasks[name]
        return task.result()

    def _task(self, account: Account, name: _Name, about: About) -> "asyncio.Task[_Found] | None":
        """Return the upload of a file, begun now unless it goes on; None when too many wait."""
        if name not in self._tasks and len(self._tasks) >= _MOST:
            self._tasks = {name: task for name, task in self._tasks.items() if not task.done()}
            if len(self._tasks) >= _MOST:
                return None
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._upload(account, name, about))
        return self._tasks[name]

    async def _upload(self, account: Account, name: _Name, about: About) -> _Found:
        """Upload a file and remember its id; what fails is returned, for there may be nobody to raise it to."""
        try:
            async with self._turn:
                # Asked again: it may have come to its end between a message's question and its look at what goes on.
                found = await self._uploaded.find(*name) or await self._sent(account, name, about)
                if isinstance(found, AtMeta):
                    await self._uploaded.remember(*name, found)
        except (StoreUnavailable, StreamUnavailable) as error:
            return error
        if isinstance(found, AtMeta):
            self._tasks.pop(name, None)
        return found

    async def _sent(self, account: Account, name: _Name, about: About) -> AtMeta | GraphFailure | None:
        """Send a file to Meta; returns None when it is no longer there."""
        account_id, number, filename = name
        async with self._store.opened(account_id, filename) as file:
            if file is None:
                return None
            mime_type, seconds = sendable_type(about.mime_type), _SECONDS + about.size / _A_SECOND
            found = await upload(
                self._graph, Access.of(account), number, file.content, mime_type, filename, seconds=seconds
            )
        log.debug("File uploaded", account_id=account_id, filename=filename, done=isinstance(found, str))
        return AtMeta(found, shown(about.original)) if isinstance(found, str) else found

    def _outcome(self, found: _Found | Outcome, message: Record) -> Outcome:
        match found:
            case GraphFailure():
                return outcome.of_upload(found, message.attempts, outcome.age_ms(message))
            case StoreUnavailable() | StreamUnavailable():
                return outcome.of_wait(f"its file cannot be uploaded now: {found}", AGAIN_MS, outcome.age_ms(message))
            case AtMeta() | None:
                return Failed(0, "its stored file was removed")
        return found


def _number(account: Account) -> str:
    return account.business_api.phone_number_id if account.business_api else ""
