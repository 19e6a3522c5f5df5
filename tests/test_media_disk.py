"""The store on a disk in trouble: full, read-only, without links, and how much memory it takes."""

import asyncio
import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.disks import disk_of
from tests.stored import JPEG, all_held, files, found, keep
from whatshooked.errors import StoreUnavailable
from whatshooked.media.local import LocalStore
from whatshooked.media.store import About

#: Keeps a file of 100 MB that comes in pieces, and says by how many KB memory grew.
LARGE = """
import asyncio, re, sys
from pathlib import Path
from whatshooked.media.local import LocalStore
from whatshooked.media.store import About

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

async def keep(store, megabytes):
    async with store.part() as part:
        for _ in range(megabytes * 16):
            await part.write(b"x" * 65536)
        await part.keep("business", f"m_{megabytes}.bin", About("text/plain", "", part.digest(), part.size))

async def main():
    store = LocalStore(Path(sys.argv[1]))
    await keep(store, 1)
    before = peak()
    await keep(store, 100)
    print(peak() - before)

asyncio.run(main())
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store in this test's folder."""
    return LocalStore(tmp_path / "media")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB; needs the right to mount."""
    with disk_of("2m", tmp_path / "disk") as folder:
        yield folder


def run(*program: str) -> None:
    """Run a program that must work."""
    subprocess.run(program, check=True)


async def test_a_full_disk_is_told_and_leaves_nothing(small_disk: Path) -> None:
    """With its place and what to do; when there is room again the same file is kept."""
    store = LocalStore(small_disk / "media")
    await keep(store, "first_1.jpg", b"1" * 1_000_000)
    with pytest.raises(StoreUnavailable, match=r"disk/media: No space left on device; make room there, or lower"):
        await keep(store, "second_1.jpg", b"2" * 1_500_000)
    assert not await store.has("business", "second_1.jpg")
    assert list(store._parts.iterdir()) == []
    assert [path.name for path in (store._folder / "business").iterdir()] == ["first_1.jpg"]
    assert await store.remove(await all_held(store)) == 1_000_000
    await keep(store, "second_1.jpg", b"2" * 1_500_000)
    assert (await found(store, "second_1.jpg")).about.size == 1_500_000


@pytest.mark.parametrize("left", [0, 1, 2, 3, 5, 8])
async def test_a_disk_that_is_full_at_any_step_shows_no_part(small_disk: Path, left: int) -> None:
    """Also where the last block is missing for a folder, a name or the description."""
    store = LocalStore(small_disk / "media")
    async with store.part() as part:
        await part.write(JPEG)
        with (small_disk / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(b"x" * 4096) == 4096:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
            os.truncate(ballast.name, max(0, ballast.tell() // 4096 - left) * 4096)
        try:
            await part.keep("business", "m_1.jpg", About("image/jpeg", "", part.digest(), part.size))
        except StoreUnavailable:
            assert await store.find("business", "m_1.jpg") is None
        else:
            assert await store.read("business", "m_1.jpg", len(JPEG)) == JPEG
        (small_disk / "ballast").unlink()
    await keep(store)
    assert await store.read("business", "m_1.jpg", len(JPEG)) == JPEG


async def test_a_disk_that_cannot_be_written_is_told_and_still_read(small_disk: Path) -> None:
    """What was kept before is served, and nothing else is claimed."""
    store = LocalStore(small_disk / "media")
    await keep(store)
    await asyncio.to_thread(run, "mount", "-o", "remount,ro", str(small_disk))
    with pytest.raises(StoreUnavailable, match="Read-only file system; let the user of this process write there"):
        await keep(store, "m_2.jpg")
    with pytest.raises(StoreUnavailable, match="Read-only"):
        await store.remove(await all_held(store))
    assert await store.read("business", "m_1.jpg", len(JPEG)) == JPEG
    new = LocalStore(small_disk / "elsewhere")
    with pytest.raises(StoreUnavailable, match="Read-only"):
        await keep(new)


async def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    """It is no bug of ours, and the line says what to do."""
    (tmp_path / "media").write_text("")
    with pytest.raises(StoreUnavailable, match="a file stands where a folder should be"):
        await keep(LocalStore(tmp_path / "media"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """100 MB pass through a few pieces of memory."""
    program = [sys.executable, "-c", LARGE, str(tmp_path)]
    grown = subprocess.run(program, cwd=REPO, capture_output=True, text=True, check=True, timeout=120)
    assert int(grown.stdout) < 8 * 1024


@pytest.mark.parametrize("refused", [errno.EPERM, errno.EOPNOTSUPP])
async def test_without_hard_links_each_name_has_its_own_content(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """As on FAT or some network disks: nothing else is lost, and what is removed is gone."""

    def no_links(self: Path, target: Path) -> None:
        raise OSError(refused, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    for name in ("a_1.jpg", "b_1.jpg"):
        await keep(store, name)
        await keep(store, name)
        assert (await found(store, name)).about.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert (await store.tidy()).kept == 2 * len(JPEG)
    assert await store.remove(await all_held(store)) == 2 * len(JPEG)
    assert files(store) == []


async def test_a_content_with_too_many_names_gets_a_sister(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system allows some ten thousand names of one file; a popular sticker has more."""
    await keep(store, "a_1.jpg")
    first = (await found(store, "a_1.jpg")).path.stat().st_ino
    really = Path.hardlink_to

    def full(self: Path, target: Path) -> None:
        if Path(target).stat().st_ino == first:
            raise OSError(errno.EMLINK, "Too many links")
        really(self, target)

    monkeypatch.setattr(Path, "hardlink_to", full)
    for name in ("b_1.jpg", "c_1.jpg"):
        await keep(store, name)
        assert (await found(store, name)).path.stat().st_ino != first
    assert len({held.content for held in await all_held(store)}) == 2


async def test_a_content_that_a_disk_lost_is_written_anew(store: LocalStore) -> None:
    """After a power cut it may be shorter than its name says."""
    await keep(store, "a_1.jpg")
    (content,) = [path for path in store._contents.rglob("*") if path.is_file()]
    os.truncate(content, 10)
    await keep(store, "b_1.jpg")
    assert await store.read("business", "b_1.jpg", len(JPEG)) == JPEG
