"""Meta's ids of stored files that were uploaded: the same file is uploaded once while its id is good."""

from whatshooked.keys import Keys
from whatshooked.stream.link import Link

#: Seconds that an id is used: Meta keeps an uploaded file for 30 days.
_LIFE = 29 * 86_400


class Uploaded:
    """Remembers ids by account and file."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def id(self, account_id: str, filename: str) -> str:
        """Return Meta's id of a file, "" when it was not uploaded; raises StreamUnavailable."""
        found = await self._link.call("GET", self._keys.outbox(account_id).uploaded(filename))
        return found.decode() if found else ""

    async def remember(self, account_id: str, filename: str, media_id: str) -> None:
        """Remember Meta's id of a file; raises StreamUnavailable."""
        await self._link.call("SET", self._keys.outbox(account_id).uploaded(filename), media_id, "EX", _LIFE)
