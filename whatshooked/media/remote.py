"""The store in a bucket of S3, GCS or Azure.

<prefix>/content/<sha256>/<label>                                the content, with the headers it is to be served with
<prefix>/files/<account>/<filename>/<sha256>.<size>.<label>      empty: this file is that content

A name says all of its file, so that a listing shows as much as a thousand look-ups would. A content's label stands for
type and name for people, which are headers of the object: what differs in them is stored by itself. The content is
written before the name, so a name never leads to nothing; what a kill left without a name, `tidy` removes.

Files come by way of a folder of this machine: what they are called is known when their last byte is there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from whatshooked.errors import ConfigError
from whatshooked.media import names
from whatshooked.media.faults import refused, told
from whatshooked.media.part import Part, clear
from whatshooked.media.store import ABANDONED, YOUNG, About, ByName, ByOriginal, Held, Opened, RemoteFile, Tidied
from whatshooked.media.threads import beside

if TYPE_CHECKING:
    from obstore import ObjectMeta

#: How long a URL that we hand out works: it is asked for at once.
LIVES = timedelta(minutes=15)
#: Seconds after which a content that is there is written again for another file: `tidy` leaves young ones alone, and
#: must not take this one away before its new name is there.
_FRESH = YOUNG / 2
#: Bytes in memory while a file goes out: so many pieces at once, none of which S3 takes smaller.
_PIECE, _PIECES = 5 * 1024 * 1024, 2
#: Bytes that are read at once.
_READ = 1024 * 1024
#: Objects deleted in one call, and headers asked for at once.
_BATCH, _HEADS = 500, 20
_CONTENTS, _FILES = "content", "files"
_KINDS = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
#: A disk's patience: whoever waits has a message in hand.
_CLIENT = {"timeout": "60s", "connect_timeout": "5s"}
_RETRY: dict[str, Any] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
}


class Name(NamedTuple):
    """A file as its object's path tells it."""

    folder: str
    filename: str
    sha256: str
    size: int
    label: str

    @property
    def path(self) -> str:
        """The path of the name."""
        return f"{_FILES}/{self.folder}/{self.filename}/{self.sha256}.{self.size}.{self.label}"

    @property
    def content(self) -> str:
        """The path of the content."""
        return f"{_CONTENTS}/{self.sha256}/{self.label}"


class RemoteStore:
    """Files in a bucket; `url` is s3://, gs:// or az://bucket/prefix, `folder` takes them on their way."""

    def __init__(self, url: str, options: Mapping[str, str], folder: Path) -> None:
        self._url = url
        self._parts = folder / ".part"
        self._bucket = _open(url, options)

    def part(self) -> Part:
        """Begin a file."""
        return Part(self._parts, there=self._keep)

    async def has(self, account_id: str, filename: str) -> bool:
        """Return whether there is such a file."""
        return await self._name(account_id, filename) is not None

    async def find(self, account_id: str, filename: str, *, head: bool = False) -> RemoteFile | None:
        """Return a URL at which a file can be had for some minutes, None when there is none."""
        name = await self._name(account_id, filename)
        if name is None:
            return None
        with refused(self._url):
            return RemoteFile(await obstore.sign_async(self._bucket, "HEAD" if head else "GET", name.content, LIVES))

    async def read(self, account_id: str, filename: str, most: int) -> bytes | None:
        """Return a file's content, None when there is none or it is larger."""
        name = await self._name(account_id, filename)
        if name is None or name.size > most:
            return None
        with refused(self._url), suppress(FileNotFoundError):
            return bytes(await (await obstore.get_async(self._bucket, name.content)).bytes_async())
        return None

    async def about(self, account_id: str, filename: str) -> About | None:
        """Return what is known of a file, None when there is none."""
        name = await self._name(account_id, filename)
        if name is None:
            return None
        with refused(self._url), suppress(FileNotFoundError):
            found = await obstore.get_async(self._bucket, name.content, options={"head": True})
            return _about(name, found.attributes)
        return None

    @asynccontextmanager
    async def opened(self, account_id: str, filename: str) -> AsyncIterator[Opened | None]:
        """Open a copy of a file in the folder that takes files on their way, None when there is none."""
        name = await self._name(account_id, filename)
        if name is None:
            yield None
            return
        with told(self._parts.parent):
            content = await beside(_nameless, self._parts)
            try:
                about = await self._copied(name, content)
                yield Opened(content, about) if about else None
            finally:
                content.close()

    async def _copied(self, name: Name, content: IO[bytes]) -> About | None:
        """Write a file's content into a file of this machine; return what is known of it, None when it is gone."""
        with refused(self._url), suppress(FileNotFoundError):
            found = await obstore.get_async(self._bucket, name.content)
            async for piece in found.stream(min_chunk_size=_READ):
                with told(self._parts.parent):
                    await beside(content.write, piece)
            await beside(content.seek, 0)
            return _about(name, found.attributes)
        return None

    async def held(self) -> AsyncIterator[list[Held]]:
        """Yield all files, some at a time."""
        async for objects in self._list(_FILES):
            yield [
                Held(name.folder, name.filename, name.size, one["last_modified"].timestamp(), name.content)
                for one in objects
                if (name := read_name(one["path"]))
            ]

    async def remove(self, files: list[Held]) -> int:
        """Remove the files' names; their contents go with `tidy`, which sees who else shares them."""
        paths = [_of(held).path for held in files]
        await self._delete(paths)
        return 0

    async def forget(self, by_name: ByName, by_original: ByOriginal | None = None) -> int:
        """Remove files at once; names for people are asked for content by content."""
        with told(self._parts.parent):
            await beside(clear, self._parts, time.time() - ABANDONED)
        all_names, theirs = await self._names(), set[str]()
        if by_original is not None:
            contents = [one["path"] async for objects in self._list(_CONTENTS) for one in objects]
            theirs = {path for path, original in await self._originals(contents) if by_original(original)}
        gone = {name for name in all_names if by_name(name.folder, name.filename) or name.content in theirs}
        await self._delete([name.path for name in gone])
        if contents_gone := theirs | {name.content for name in gone}:
            # Looked at anew: a file that came meanwhile may have one of them.
            await self._delete(sorted(contents_gone - {name.content for name in await self._names()}))
        return len({(name.folder, name.filename) for name in gone})

    async def tidy(self) -> Tidied:
        """Remove contents that no file has, and what the dead left in the folder."""
        with told(self._parts.parent):
            await beside(clear, self._parts, time.time() - YOUNG)
        named: set[int] = set()  # hashes: two that are the same keep a content too long, and cost a tenth
        async for objects in self._list(_FILES):
            named.update(hash(name.content) for one in objects if (name := read_name(one["path"])))
        freed, kept, before = 0, 0, time.time() - YOUNG
        async for objects in self._list(_CONTENTS):
            lost = [o for o in objects if hash(o["path"]) not in named and o["last_modified"].timestamp() < before]
            await self._delete([one["path"] for one in lost])
            freed += sum(one["size"] for one in lost)
            kept += sum(one["size"] for one in objects)
        return Tidied(freed, kept - freed)

    async def close(self) -> None:
        """Connections go with the last reference."""

    async def _keep(self, part: Path, account_id: str, filename: str, about: About) -> None:
        if not names.is_part(filename):
            raise ValueError(f"{filename!r} is no file name")
        label = names.label(about.mime_type, about.original)
        name = Name(names.account_folder(account_id), filename, about.sha256, about.size, label)
        with refused(self._url):
            if time.time() - await self._written(name.content) > _FRESH:
                await self._upload(part, name.content, about)
            await obstore.put_async(self._bucket, name.path, b"")
            if not await self._written(name.content):  # upkeep was faster
                await self._upload(part, name.content, about)

    async def _upload(self, part: Path, path: str, about: About) -> None:
        headers = {
            "Content-Type": names.sendable_type(about.mime_type),
            "Content-Disposition": names.disposition(about.original, about.mime_type),
        }
        await obstore.put_async(
            self._bucket, path, part, attributes=headers, chunk_size=_PIECE, max_concurrency=_PIECES
        )

    async def _written(self, path: str) -> float:
        """Return when an object was written (seconds since 1970), 0 when there is none."""
        try:
            return (await obstore.head_async(self._bucket, path))["last_modified"].timestamp()
        except FileNotFoundError:
            return 0.0

    async def _name(self, account_id: str, filename: str) -> Name | None:
        if not names.is_part(filename):
            return None
        found: list[ObjectMeta] = []
        async for objects in self._list(f"{_FILES}/{names.account_folder(account_id)}/{filename}"):
            found += objects
        newest = max(found, key=lambda one: one["last_modified"], default=None)
        return read_name(newest["path"]) if newest else None

    async def _names(self) -> set[Name]:
        found: set[Name] = set()
        async for objects in self._list(_FILES):
            found.update(name for one in objects if (name := read_name(one["path"])))
        return found

    async def _originals(self, paths: list[str]) -> list[tuple[str, str]]:
        """Return contents with the names for people that their headers hold."""
        found: list[tuple[str, str]] = []
        for start in range(0, len(paths), _HEADS):
            batch = paths[start : start + _HEADS]
            found += zip(batch, await asyncio.gather(*map(self._original, batch)), strict=True)
        return found

    async def _original(self, path: str) -> str:
        with refused(self._url), suppress(FileNotFoundError):
            found = await obstore.get_async(self._bucket, path, options={"head": True})
            return names.original_of(str(found.attributes.get("Content-Disposition") or ""))
        return ""

    async def _list(self, prefix: str) -> "AsyncIterator[list[ObjectMeta]]":
        with refused(self._url):
            async for objects in obstore.list(self._bucket, prefix, chunk_size=1000):
                yield list(objects)

    async def _delete(self, paths: list[str]) -> None:
        for start in range(0, len(paths), _BATCH):
            with refused(self._url), suppress(FileNotFoundError):
                await obstore.delete_async(self._bucket, paths[start : start + _BATCH])


def read_name(path: str) -> Name | None:
    """Return what an object's path says of its file, None when it is no name of ours."""
    parts = path.split("/")
    sha256, _, rest = parts[-1].partition(".")
    size, _, label = rest.partition(".")
    if len(parts) != 4 or parts[0] != _FILES or not size.isdecimal() or not label:
        return None
    return Name(parts[1], parts[2], sha256, int(size), label)


def _of(held: Held) -> Name:
    _, sha256, label = str(held.content).split("/")
    return Name(held.folder, held.filename, sha256, held.size, label)


def _about(name: Name, headers: Mapping[str, str]) -> About:
    """Return what a name and its content's headers say of a file."""
    mime_type = str(headers.get("Content-Type") or names.type_of(name.filename))
    original = names.original_of(str(headers.get("Content-Disposition") or ""))
    return About(mime_type, original, name.sha256, name.size)


def _nameless(folder: Path) -> IO[bytes]:
    """Return a file that nobody sees, and that is gone with this process."""
    folder.mkdir(parents=True, exist_ok=True)
    return TemporaryFile(dir=folder)


def _open(url: str, options: Mapping[str, str]) -> S3Store | GCSStore | AzureStore:
    """Return the bucket; raises ConfigError for options that it cannot have."""
    parts = urlsplit(url)
    plain = any(value.startswith("http://") for value in options.values())
    kind: Any = _KINDS[parts.scheme]
    try:
        bucket: S3Store | GCSStore | AzureStore = kind(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=dict(options),
            client_options=_CLIENT | {"allow_http": plain},
            retry_config=_RETRY,
        )
    except (BaseError, ValueError) as error:
        # What it says may show a value, and one of them is a secret: it is only asked which key it is about.
        culprit = next((f".{key}" for key in options if repr(key) in str(error)), "")
        raise ConfigError(
            f"media.storage_options{culprit}: not as {parts.scheme}:// needs it, expected options such as endpoint, "
            "region, access_key_id, secret_access_key, account_name, account_key, service_account"
        ) from None
    return bucket
