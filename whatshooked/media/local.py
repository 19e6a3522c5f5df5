"""The store in a folder.

<data_path>/<account>/<filename>                the file, where people and old scripts look for it
<data_path>/.content/<2 hex>/<sha256>           its content, which is the same file (a hard link): stored once
<data_path>/.about/<account>/<filename>.json    what is known of it; as old as the file's keeping
<data_path>/.part/                              what nobody may see yet

A kill between two steps leaves no file or a whole one: description first (without it a file would pass for an earlier
program's, and stay for ever), then content, then the name. Removal begins with the name. What is left between is
nobody's, and `tidy` removes it. Where a file system has no hard links the content lies under its name alone.
"""

import contextlib
import errno
import os
import stat
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from whatshooked import disk
from whatshooked.media import names
from whatshooked.media.faults import told
from whatshooked.media.part import Part, clear
from whatshooked.media.store import ABANDONED, YOUNG, About, ByName, ByOriginal, Held, LocalFile, Opened, Tidied
from whatshooked.media.threads import beside

_SUFFIX = ".json"
#: Upkeep may take a content away while it is being shared; it will not so often.
_TRIES = 5
#: Files looked at in one visit to another thread.
_BATCH = 1000
#: How file systems say that they have no hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV})


class LocalStore:
    """Files below one folder, which is made when the first of them comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts = folder / ".part"
        self._contents = folder / ".content"
        self._abouts = folder / ".about"

    def part(self) -> Part:
        """Begin a file."""
        return Part(self._parts, here=self._keep)

    async def has(self, account_id: str, filename: str) -> bool:
        """Return whether there is such a file."""
        return await self.find(account_id, filename) is not None

    async def find(self, account_id: str, filename: str, *, head: bool = False) -> LocalFile | None:  # noqa: ARG002 - remote links differ
        """Return where a file lies, None when there is none of this name, or none of ours."""
        if not names.is_part(filename):
            return None
        with told(self._folder):
            return await beside(self._find, names.account_folder(account_id), filename)

    async def read(self, account_id: str, filename: str, most: int) -> bytes | None:
        """Return a file's content, None when there is none or it is larger."""
        found = await self.find(account_id, filename)
        if found is None or found.about.size > most:
            return None
        with told(self._folder), contextlib.suppress(FileNotFoundError):
            return await beside(found.path.read_bytes)
        return None

    async def about(self, account_id: str, filename: str) -> About | None:
        """Return what is known of a file, None when there is none."""
        found = await self.find(account_id, filename)
        return found.about if found else None

    @contextlib.asynccontextmanager
    async def opened(self, account_id: str, filename: str) -> AsyncIterator[Opened | None]:
        """Open a file, None when there is none."""
        found = await self.find(account_id, filename)
        with told(self._folder):
            content = await beside(_open, found.path) if found else None
            if found is None or content is None:
                yield None
                return
            try:
                yield Opened(content, found.about)
            finally:
                content.close()

    async def held(self) -> AsyncIterator[list[Held]]:
        """Yield all files that have a description, some at a time."""
        found = self._held()
        with told(self._folder):
            while batch := await beside(lambda: list(islice(found, _BATCH))):
                yield batch

    async def remove(self, files: list[Held]) -> int:
        """Remove files; return the bytes freed."""
        with told(self._folder):
            return await beside(lambda: sum(map(self._remove, files)))

    async def forget(self, by_name: ByName, by_original: ByOriginal | None = None) -> int:
        """Remove files at once, an earlier program's as well."""
        with told(self._folder):
            return await beside(self._forget, by_name, by_original)

    async def tidy(self) -> Tidied:
        """Remove what the dead left."""
        with told(self._folder):
            return await beside(self._tidy)

    async def close(self) -> None:
        """Nothing is open between calls."""

    def _keep(self, part: Path, account_id: str, filename: str, about: About) -> None:
        """Give a whole temporary file its name; raises OSError."""
        if not names.is_part(filename):
            raise ValueError(f"{filename!r} is no file name")
        folder = names.account_folder(account_id)
        self._describe(folder, filename, about)
        place = self._folder / folder / filename
        disk.make(place.parent)
        for tries_left in reversed(range(_TRIES)):
            try:
                self._share(part, self._content(about.sha256), place, about.size)
                break
            except FileNotFoundError:  # its content was removed under our hands
                if not tries_left:
                    raise
        # Together: the first brings the others' changes along, as a rule.
        for changed in (self._content(about.sha256).parent, self._about(folder, filename).parent, place.parent):
            disk.sync(changed)

    def _share(self, part: Path, content: Path, place: Path, size: int) -> None:
        """Make `place` the content's second name, and a temporary file the content unless there is one."""
        disk.make(content.parent)
        try:
            self._offer(part, content, size)
            self._link(content, place)
        except OSError as error:
            if error.errno == errno.EMLINK:  # as many names as the file system allows: a new content takes over
                self._link(part, content)
                self._link(part, place)
            elif error.errno in _NO_LINKS:
                part.replace(place)
            else:
                raise

    def _offer(self, part: Path, content: Path, size: int) -> None:
        try:
            content.hardlink_to(part)
        except FileExistsError:
            if content.stat().st_size != size:  # a disk that lost it in a power cut
                self._link(part, content)

    def _link(self, source: Path, place: Path) -> None:
        """Make `place` a name of `source`, whatever was there before: a link cannot replace, a rename can."""
        fresh = self._parts / uuid.uuid4().hex
        fresh.hardlink_to(source)
        fresh.replace(place)
        fresh.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing

    def _describe(self, folder: str, filename: str, about: About) -> None:
        place = self._about(folder, filename)
        disk.make(place.parent)
        fresh = self._parts / uuid.uuid4().hex
        try:
            with fresh.open("xb") as file:
                file.write(msgspec.json.encode(about))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(place)
        finally:
            fresh.unlink(missing_ok=True)

    def _find(self, folder: str, filename: str) -> LocalFile | None:
        try:
            # The name may be a link of the operator's, but none that leads out of the folder.
            root = self._folder.resolve(strict=True)
            path = (root / folder / filename).resolve(strict=True)
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError, RuntimeError):  # RuntimeError: links in a circle
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise
        if not stat.S_ISREG(found.st_mode) or not path.is_relative_to(root):
            return None
        return LocalFile(path, self._known(folder, filename, found.st_size), found.st_mtime)

    def _known(self, folder: str, filename: str, size: int) -> About:
        """Return what is known of a file; of one that is an earlier program's, or was changed since, its type alone."""
        about = self._told(folder, filename)
        return about if about is not None and about.size == size else About(names.type_of(filename), "", "", size)

    def _told(self, folder: str, filename: str) -> About | None:
        """Return a file's description, None when there is none that can be read."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, msgspec.MsgspecError, UnicodeDecodeError):
            return msgspec.json.decode(self._about(folder, filename).read_bytes(), type=About)
        return None

    def _held(self) -> Iterator[Held]:
        for folder in _folders(self._abouts):
            for item in _entries(self._abouts / folder):
                filename = item.name.removesuffix(_SUFFIX)
                with contextlib.suppress(FileNotFoundError):
                    kept = item.stat(follow_symlinks=False).st_mtime
                    found = (self._folder / folder / filename).lstat()
                    yield Held(folder, filename, found.st_size, kept, found.st_ino)

    def _remove(self, held: Held) -> int:
        about = self._about(held.folder, held.filename)
        with contextlib.suppress(FileNotFoundError):
            if about.stat().st_mtime != held.stored_at:  # kept anew since we looked
                return 0
            sha256 = self._known(held.folder, held.filename, held.size).sha256
            (self._folder / held.folder / held.filename).unlink(missing_ok=True)
            about.unlink()
            if sha256:
                return self._drop(self._content(sha256), held.size)
            return held.size
        return 0

    def _drop(self, content: Path, size: int) -> int:
        """Remove a content that has no other name; return the bytes freed."""
        try:
            if content.stat().st_nlink > 1:
                return 0
            content.unlink()
        except FileNotFoundError:  # a file system without links
            pass
        return size

    def _forget(self, by_name: ByName, by_original: ByOriginal | None) -> int:
        clear(self._parts, time.time() - ABANDONED)
        count = 0
        for folder, filename in dict.fromkeys(self._names()):
            about = self._told(folder, filename)
            if by_name(folder, filename) or (by_original is not None and about and by_original(about.original)):
                self._discard(folder, filename, about)
                count += 1
        return count

    def _names(self) -> Iterator[tuple[str, str]]:
        """Yield folder and name of all files, and of descriptions that a crash left without one."""
        for folder in _folders(self._folder):
            if not folder.startswith("."):
                items = _entries(self._folder / folder)
                yield from ((folder, item.name) for item in items if not item.is_dir(follow_symlinks=False))
        for folder in _folders(self._abouts):
            yield from ((folder, item.name.removesuffix(_SUFFIX)) for item in _entries(self._abouts / folder))

    def _discard(self, folder: str, filename: str, about: About | None) -> None:
        """Remove one file; its description last, which tells of the content to who comes after a crash."""
        place, described = self._folder / folder / filename, self._about(folder, filename)
        place.unlink(missing_ok=True)
        if about is not None:
            self._drop(self._content(about.sha256), about.size)
        described.unlink(missing_ok=True)
        for changed in (place.parent, described.parent):
            with contextlib.suppress(FileNotFoundError):
                disk.sync(changed)

    def _tidy(self) -> Tidied:
        before = time.time() - YOUNG
        clear(self._parts, before)
        alone, (freed, shared) = self._tidy_names(before), self._tidy_contents(before)
        return Tidied(freed, alone + shared)

    def _tidy_names(self, before: float) -> int:
        """Remove descriptions without a file; return the bytes of files that share nothing."""
        total = 0
        for folder in _folders(self._abouts):
            for item in _entries(self._abouts / folder):
                with contextlib.suppress(FileNotFoundError):
                    kept = item.stat(follow_symlinks=False).st_mtime
                    try:
                        found = (self._folder / folder / item.name.removesuffix(_SUFFIX)).lstat()
                        total += found.st_size if found.st_nlink == 1 else 0
                    except FileNotFoundError:
                        if kept < before:
                            Path(item.path).unlink()
        return total

    def _tidy_contents(self, before: float) -> Tidied:
        """Remove contents without a name."""
        freed, kept = 0, 0
        for folder in _folders(self._contents):
            for item in _entries(self._contents / folder):
                with contextlib.suppress(FileNotFoundError):
                    found = Path(item.path).stat()
                    if found.st_nlink == 1 and found.st_ctime < before:
                        Path(item.path).unlink()
                        freed += found.st_size
                    else:
                        kept += found.st_size
        return Tidied(freed, kept)

    def _content(self, sha256: str) -> Path:
        return self._contents / sha256[:2] / sha256

    def _about(self, folder: str, filename: str) -> Path:
        return self._abouts / folder / f"{filename}{_SUFFIX}"


def _open(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _folders(path: Path) -> list[str]:
    return [item.name for item in _entries(path) if item.is_dir(follow_symlinks=False)]


def _entries(path: Path) -> "Iterator[os.DirEntry[str]]":
    with contextlib.suppress(FileNotFoundError), os.scandir(path) as found:
        yield from found
