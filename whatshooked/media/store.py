"""What a store of files can do; `local` keeps them in a folder, `remote` in a bucket.

async with store.part() as part:
    await part.write(chunk)
    await part.keep(account_id, filename, About(mime_type, original, part.digest(), part.size))
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from whatshooked.config import Media

if TYPE_CHECKING:
    from whatshooked.media.part import Part

#: Seconds for which nothing is removed: a file's event may be on its way, or the file itself.
YOUNG = 3600.0
#: Seconds after which what a dead process left half-written is removed with a person: no step of a living one takes so
#: long without a lock.
ABANDONED = 60.0
#: Whether a file has to go, by its account's folder and its name; and whether a name for people says so.
ByName = Callable[[str, str], bool]
ByOriginal = Callable[[str], bool]


class About(msgspec.Struct, frozen=True):
    """What is known of a file: type, the sender's name for it ("" if none), hash of its content (hex), bytes."""

    mime_type: str
    original: str
    sha256: str
    size: int


class LocalFile(NamedTuple):
    """A file of this machine; `about.sha256` is "" when an earlier program stored it."""

    path: Path
    about: About
    #: Seconds since 1970 at which it was written.
    modified: float


class RemoteFile(NamedTuple):
    """A file of a bucket: whoever asks at this URL soon gets it, without credentials."""

    url: str


class Opened(NamedTuple):
    """A file to read from its beginning, opened in binary mode."""

    content: IO[bytes]
    about: About


class Held(NamedTuple):
    """A stored file as retention sees it; `folder` is that of its account (`names.account_folder`)."""

    folder: str
    filename: str
    size: int
    #: Seconds since 1970.
    stored_at: float
    #: Files with the same one are the same content, stored once.
    content: int | str


class Tidied(NamedTuple):
    """Bytes that were freed, and that all contents take now."""

    freed: int
    kept: int


class Store(Protocol):
    """Keeps files by account and name. Every call raises StoreUnavailable when the disk or bucket does not serve it."""

    def part(self) -> "Part":
        """Begin a file: nobody sees it before `Part.keep`."""
        ...

    async def has(self, account_id: str, filename: str) -> bool:
        """Return whether there is such a file."""
        ...

    async def find(self, account_id: str, filename: str, *, head: bool = False) -> LocalFile | RemoteFile | None:
        """Return where a file can be had, `head` for its headers alone; None when there is none."""
        ...

    async def read(self, account_id: str, filename: str, most: int) -> bytes | None:
        """Return a file's content; None when there is none, or it has more than `most` bytes."""
        ...

    async def about(self, account_id: str, filename: str) -> About | None:
        """Return what is known of a file, None when there is none."""
        ...

    def opened(self, account_id: str, filename: str) -> AbstractAsyncContextManager[Opened | None]:
        """Open a file, None when there is none; what its disk says in the block is raised as StoreUnavailable, too."""
        ...

    def held(self) -> AsyncIterator[list[Held]]:
        """Yield all that retention may remove, some at a time; an earlier program's files are not among it."""
        ...

    async def remove(self, files: list[Held]) -> int:
        """Remove files; return the bytes freed so far, the rest comes with `tidy`."""
        ...

    async def forget(self, by_name: ByName, by_original: ByOriginal | None = None) -> int:
        """Remove files at once, however young, with all that is known of them; return how many.

        A content goes with the last file that has it; what dead processes left half-written goes, too.
        """
        ...

    async def tidy(self) -> Tidied:
        """Remove what nobody has a name for: it was left by processes that died over an hour ago, or by `remove`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def open_store(media: Media) -> Store:
    """Return the store that a config names; nothing is made or asked before the first call."""
    if media.storage is None:
        from whatshooked.media.local import LocalStore

        return LocalStore(Path(media.data_path))
    from whatshooked.media.remote import RemoteStore

    return RemoteStore(media.storage, media.storage_options, Path(media.data_path))
