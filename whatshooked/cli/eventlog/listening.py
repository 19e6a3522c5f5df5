"""What happens, as rows: from Redis, whether the event log is on or off."""

import time

from whatshooked.config import Config
from whatshooked.eventlog.compose import Composer
from whatshooked.eventlog.row import Row
from whatshooked.keys import Keys
from whatshooked.stream import activity
from whatshooked.stream.follow import Live, Record, shards
from whatshooked.stream.link import Link
from whatshooked.stream.registry import known_accounts

#: Seconds between two times that we say that somebody watches, and look for new accounts.
_SAY_EVERY = activity.WATCH_SECONDS / 4


class Listening:
    """Hears all shards from `back_ms` ago on; an account that is new is heard from its first message on."""

    def __init__(self, link: Link, keys: Keys, config: Config, back_ms: int = 0) -> None:
        self._link = link
        self._keys = keys
        self._accounts = {account.id for account in config.whatsapp}
        self._composer = Composer(link, keys, config.event_logger)
        self._back_ms = back_ms
        self._lives: list[Live] = []
        self._heard: set[str] = set()
        #: Read, and not made rows yet: Redis may go between the two.
        self._records: list[Record] = []
        self._say_at = 0.0

    async def rows(self) -> list[Row]:
        """Return what happened since the last call, in order; raises StreamUnavailable, and then nothing is lost."""
        if time.monotonic() >= self._say_at:
            await activity.watch(self._link, self._keys)
            await self._begin()
            self._say_at = time.monotonic() + _SAY_EVERY
        for live in self._lives:
            self._records += await live.look()
        rows = await self._composer.rows(self._records)
        self._records = []
        return sorted(rows, key=lambda row: row.at)

    async def _begin(self) -> None:
        """Hear the shards that there are by now."""
        known = set(await known_accounts(self._link, self._keys))
        streams = shards(self._keys, known | self._accounts)
        fresh = {shard: streams[shard] for shard in streams.keys() - self._heard}
        if fresh:
            live = Live(self._link, fresh)
            await live.begin(round(_SAY_EVERY * 1000) if self._lives else self._back_ms)
            self._lives.append(live)
            self._heard |= fresh.keys()
