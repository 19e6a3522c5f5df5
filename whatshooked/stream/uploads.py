"""Meta's ids of stored files that were uploaded: the same file is uploaded once while its id is good."""

from collections.abc import Iterable

from whatshooked.keys import Keys
from whatshooked.meta.send.stored import AtMeta
from whatshooked.stream.link import Link

#: Seconds that an id is used: Meta keeps an uploaded file for 30 days.
_LIFE = 29 * 86_400


class Uploaded:
    """Remembers ids by account, number and file: an id is good at the number that it was uploaded for alone."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def find(self, account_id: str, number_id: str, filename: str) -> AtMeta | None:
        """Return a file as Meta has it, None when it was not uploaded; raises StreamUnavailable."""
        found = await self._link.call("GET", self._keys.outbox(account_id).uploaded(number_id, filename))
        return AtMeta(*found.decode().split("\n", 1)) if found else None

    async def remember(self, account_id: str, number_id: str, filename: str, at_meta: AtMeta) -> None:
        """Remember a file as Meta has it; raises StreamUnavailable."""
        key = self._keys.outbox(account_id).uploaded(number_id, filename)
        await self._link.call("SET", key, "\n".join(at_meta), "EX", _LIFE)

    async def forget(self, account_id: str, number_id: str, filenames: Iterable[str]) -> None:
        """Forget files that Meta may not have: they are uploaded again; raises StreamUnavailable."""
        box = self._keys.outbox(account_id)
        await self._link.call("DEL", *(box.uploaded(number_id, filename) for filename in filenames))
