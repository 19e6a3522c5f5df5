"""One fetch of a message's file: ask where it is, download it, hold it against what was told of it, keep it."""

import asyncio
import time
from dataclasses import dataclass

from whatshooked.config import Account, Media
from whatshooked.errors import StoreUnavailable, StreamUnavailable
from whatshooked.media import names, person
from whatshooked.media.store import About, Store
from whatshooked.meta import attachment
from whatshooked.meta.attachment import Attachment
from whatshooked.meta.codes import Retry
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.media import Downloaded, DownloadFailure, Downloads, Place, Source, look_up
from whatshooked.stream.budget import LONGEST_MS, Budget
from whatshooked.stream.record import Record

#: Seconds one look-up may take; its mark in the budget is believed to be of a call under way for longer.
_LOOK_UP = LONGEST_MS / 1000 - 5
#: Attempts after which a file that is not what was told of it is given up.
_WRONG_TWICE = 2
_NO_TYPE = frozenset(("", "application/octet-stream", "binary/octet-stream"))


@dataclass(frozen=True, slots=True)
class Stored:
    """The file is here."""

    record: Record


@dataclass(frozen=True, slots=True)
class Gone:
    """The file cannot be had; `why` is what it is counted as."""

    error: str
    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """The file may be had by another try, in `wait` seconds at least."""

    error: str
    why: str
    wait: float = 0.0


Fetched = Stored | Gone | Later


class Fetch:
    """Fetches files, for any account."""

    def __init__(self, graph: Graph, downloads: Downloads, store: Store, budget: Budget) -> None:
        self._graph = graph
        self._downloads = downloads
        self._store = store
        self._budget = budget

    async def __call__(
        self, account: Account | None, told: Attachment, settings: Media, *, attempt: int, seconds: float
    ) -> Fetched:
        """Return what came of it within `seconds`; never raises for what Meta, the network, the store or Redis does."""
        if account is None or account.business_api is None:
            return Later("this process knows no access to Meta for its account", "no_account")  # another one may
        try:
            async with asyncio.timeout(seconds):
                place = _of_webhook(account, told, settings, attempt) or await self._look_up(account, told)
                if not isinstance(place, Place):
                    return place
                return await self._download(account, told, settings, place, attempt, seconds)
        except TimeoutError:
            return Later("the file did not come in time", "late")
        except StoreUnavailable as error:
            return Later(str(error), "store")
        except StreamUnavailable as error:
            return Later(str(error), "redis")

    async def remove(self, record: Record) -> None:
        """Remove a file that was fetched for an event that is gone by now; raises StoreUnavailable."""
        await person.remove(self._store, [(record.account_id, record.filename)])

    async def _look_up(self, account: Account, told: Attachment) -> Place | Gone | Later:
        if (gone := _hopeless(told, time.time())) is not None:
            return gone
        async with self._budget.turn(account.id):
            mark, wait = await self._budget.enter(account.id)
            while 0 < wait < 1:  # calls of other processes are on their way
                await asyncio.sleep(wait)
                mark, wait = await self._budget.enter(account.id)
            if wait:
                text = f"five look-ups failed within an hour, and Meta allows no more: again in {wait / 60:.0f} min"
                return Later(text, "budget", wait)
            found = await look_up(self._graph, Access.of(account), told.media_id, seconds=_LOOK_UP)
            if isinstance(found, Place) or _never_left(found):
                await self._budget.went_well(account.id, mark)
            else:
                await self._budget.failed(account.id, mark)
        return found if isinstance(found, Place) else _refused(found)

    async def _download(
        self, account: Account, told: Attachment, settings: Media, place: Place, attempt: int, seconds: float
    ) -> Fetched:
        if place.size > settings.max_bytes:
            return Gone(f"the file is larger than media.max_bytes ({settings.max_bytes})", "too_large")
        source = Source(settings.hosts, Access.of(account))
        async with self._store.part() as part:
            done = await self._downloads.fetch(place.url, source, part.write, most=settings.max_bytes, seconds=seconds)
            if isinstance(done, DownloadFailure):
                return _failed(done)
            sha256 = part.digest()
            if (wrong := verdict(told, place, done, sha256, part.size)) is not None:
                return Gone(wrong.error, wrong.why) if wrong.why == "wrong_hash" and attempt >= _WRONG_TWICE else wrong
            mime_type = told.mime_type or place.mime_type or done.content_type or "application/octet-stream"
            filename = names.filename(told.message_id, sha256, mime_type, told.original)
            await part.keep(account.id, filename, About(mime_type, told.original, sha256, part.size))
            return Stored(Record(filename, mime_type, sha256, part.size, account.id))


def verdict(told: Attachment, place: Place, done: Downloaded, sha256: str, size: int) -> Later | None:
    """Return what is wrong with the bytes that came, None when they are the file; pure.

    A hash that fits proves the file, whatever its headers say; without one its type and size have to fit.
    """
    hashes = {told.sha256, place.sha256} - {""}
    if hashes:
        wrong = "the bytes that came are not the file: its sha256 differs"
        return None if sha256 in hashes else Later(wrong, "wrong_hash")
    if done.strayed:
        return Later("it came from a host that is none of Meta's, and no hash proves it", "redirect")
    if place.size and size != place.size:
        return Later(f"{size} bytes came of {place.size}", "network")
    expected, came = (attachment.base_type(kind) for kind in (told.mime_type or place.mime_type, done.content_type))
    if came not in _NO_TYPE and expected not in _NO_TYPE and came != expected:
        return Later(f"{came} came in place of {expected}", "wrong_type")
    return None


def _of_webhook(account: Account, told: Attachment, settings: Media, attempt: int) -> Place | None:
    """Return where the webhook says that the file is, while that holds.

    Only when Meta's signature proves the webhook: a stranger's URL would be called with our token.
    """
    api = account.business_api
    if api is None or not api.app_secret or attempt > 1 or not told.url:
        return None
    if not -60 < time.time() - told.sent < attachment.URL_LIFE:  # the clocks of both may differ a little
        return None
    if not attachment.is_trusted(told.url, settings.hosts, api.graph_url):
        return None
    return Place(told.url, "", "", 0)


def _hopeless(told: Attachment, now: float) -> Gone | None:
    """Return why no look-up can find the file: one that is bound to fail would count against the number."""
    if not told.can_be_looked_up:
        return Gone("its id is none of Meta's", "gone")
    if told.sent and now - told.sent > attachment.FILE_LIFE:
        return Gone("Meta keeps a file for seven days, which are over", "gone")
    return None


def _never_left(found: GraphFailure) -> bool:
    return not found.reached and not found.uncertain


def _refused(found: GraphFailure) -> Gone | Later:
    text = f"{found.line}; {found.hint}" if found.hint else found.line
    if found.code == 100 and found.subcode == 33:
        return Gone(f"Meta has no such file, or not for this number: {found.line}", "gone")
    if found.reached and found.retry is Retry.NEVER:
        return Gone(text, "graph")
    return Later(text, "graph", found.wait)


def _failed(done: DownloadFailure) -> Gone | Later:
    if done.why == "too_large":
        return Gone(done.text, done.why)
    return Later(done.text, done.why)
