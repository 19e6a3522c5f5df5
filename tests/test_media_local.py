"""The store in a folder: what is visible when, what a disk in trouble costs, and what is left behind."""

import asyncio
import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO
from whatshooked.config import Media
from whatshooked.errors import StoreUnavailable
from whatshooked.media.local import LocalStore
from whatshooked.media.part import BUFFER
from whatshooked.media.store import About, Held, LocalFile, open_store

JPEG = b"\xff\xd8 a picture " * 1000
#: Keeps a file of 100 MB that comes in pieces, and says by how many KB memory grew.
LARGE = """
import asyncio, re, sys
from pathlib import Path
from whatshooked.media.local import LocalStore
from whatshooked.media.store import About

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

async def keep(store, megabytes):
    async with await store.part() as part:
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
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False).returncode:
        pytest.skip("no right to mount a small disk here: run as root")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def keep(
    store: LocalStore, filename: str = "m_1.jpg", content: bytes = JPEG, account: str = "business", **more: Any
) -> None:
    """Keep a file, given in pieces."""
    async with await store.part() as part:
        for start in range(0, len(content), 1000):
            await part.write(content[start : start + 1000])
        about = About(more.get("mime_type", "image/jpeg"), more.get("original", ""), part.digest(), part.size)
        await part.keep(account, filename, about)


def run(*program: str) -> None:
    """Run a program that must work."""
    subprocess.run(program, check=True)


async def found(store: LocalStore, filename: str = "m_1.jpg") -> LocalFile:
    """A file that must be there."""
    file = await store.find("business", filename)
    assert file is not None
    return file


async def all_held(store: LocalStore) -> list[Held]:
    """All that retention may remove."""
    return [held async for batch in store.held() for held in batch]


def files(store: LocalStore) -> list[str]:
    """Every file in the folder."""
    return sorted(str(path.relative_to(store._folder)) for path in store._folder.rglob("*") if path.is_file())


async def test_a_file_is_whole_and_described(store: LocalStore) -> None:
    """It lies where people look for it, and what is known of it is found again."""
    await keep(store, original="beach.jpg")
    file = await found(store)
    assert (store._folder / "business" / "m_1.jpg").read_bytes() == JPEG
    assert file.about == About("image/jpeg", "beach.jpg", hashlib.sha256(JPEG).hexdigest(), len(JPEG))
    assert file.path.read_bytes() == JPEG
    assert abs(file.modified - time.time()) < 60
    assert await store.has("business", "m_1.jpg")
    assert await store.read("business", "m_1.jpg", len(JPEG)) == JPEG
    assert await store.read("business", "m_1.jpg", len(JPEG) - 1) is None
    assert not list(store._parts.iterdir())


async def test_nothing_is_there_that_was_not_kept(store: LocalStore) -> None:
    """A look at an empty store makes nothing; what is left without `keep` is gone."""
    assert await store.find("business", "m_1.jpg") is None
    assert await store.read("business", "m_1.jpg", 1000) is None
    assert await all_held(store) == []
    assert not store._folder.exists()
    with pytest.raises(RuntimeError):
        async with await store.part() as part:
            await part.write(JPEG * 100)
            raise RuntimeError
    assert files(store) == []


async def test_the_same_content_is_stored_once(store: LocalStore) -> None:
    """Names are links to it, of every account; each has its own type and name for people."""
    await keep(store, "a_1.jpg")
    await keep(store, "b_1.txt", mime_type="text/plain", original="b.txt")
    await keep(store, "c_1.jpg", account="other")
    inodes = {(store._folder / place).stat().st_ino for place in ("business/a_1.jpg", "business/b_1.txt")}
    assert inodes == {(store._folder / "other/c_1.jpg").stat().st_ino}
    assert (await found(store, "a_1.jpg")).about.mime_type == "image/jpeg"
    assert (await found(store, "b_1.txt")).about.original == "b.txt"
    assert (await store.tidy()).kept == len(JPEG)
    assert len({held.content for held in await all_held(store)}) == 1


async def test_a_file_is_kept_again(store: LocalStore) -> None:
    """By the same or another process, which changes nothing; another content under its name takes its place."""
    async with await store.part() as part:
        await part.write(JPEG)
        for _ in range(2):
            await part.keep("business", "m_1.jpg", About("image/jpeg", "", part.digest(), part.size))
    await keep(store)
    assert (await found(store)).path.read_bytes() == JPEG
    await keep(store, content=b"other")
    assert (await found(store)).about.sha256 == hashlib.sha256(b"other").hexdigest()
    assert (await found(store)).path.read_bytes() == b"other"


async def test_the_hash_is_our_own(store: LocalStore) -> None:
    """What somebody says of a content decides nothing: another's file would be served in its place."""
    await keep(store, "a_1.jpg")
    async with await store.part() as part:
        await part.write(b"forged")
        await part.keep("business", "b_1.jpg", About("image/jpeg", "", hashlib.sha256(JPEG).hexdigest(), len(JPEG)))
    assert (await found(store, "b_1.jpg")).path.read_bytes() == b"forged"
    assert (await found(store, "a_1.jpg")).path.read_bytes() == JPEG


async def test_many_keep_the_same_while_upkeep_removes_it(store: LocalStore) -> None:
    """Whoever was told that a file is kept finds it whole, however often its content is taken away meanwhile."""
    ended = asyncio.Event()

    async def upkeep() -> None:
        while not ended.is_set():
            await store.remove([held for held in await all_held(store) if held.filename.startswith("short")])
            await asyncio.to_thread(store._tidy_contents, time.time() + 60)

    async def customer(n: int) -> None:
        for turn in range(20):
            await keep(store, f"short_{n}_{turn}.jpg", b"popular")
            await keep(store, f"stays_{n}_{turn}.jpg", b"popular")

    removing = asyncio.create_task(upkeep())
    await asyncio.gather(*map(customer, range(4)))
    ended.set()
    await removing
    for n in range(4):
        for turn in range(20):
            assert await store.read("business", f"stays_{n}_{turn}.jpg", 100) == b"popular"


@pytest.mark.parametrize("others", [[], ["other_1.jpg"]], ids=["new content", "known content"])
def test_a_kill_leaves_nothing_or_a_whole_file(tmp_path: Path, others: list[str]) -> None:
    """At every line of the store: never a part of a file, never one without description; a second try mends it.

    And retention with upkeep then leaves nothing behind.
    """
    program = [sys.executable, "-m", "tests.media_kills", str(tmp_path), *others]
    said = subprocess.run(program, cwd=REPO, capture_output=True, text=True, timeout=120, check=True)
    kills = [json.loads(line) for line in said.stdout.splitlines()]
    assert len(kills) > 80
    assert [one["ended"] for one in kills] == [-9] * (len(kills) - 1) + [0]
    assert {one["visible"] for one in kills} == {True, False}
    for one in kills:
        assert (one["visible"], one["described"], one["whole"]) in ((False, False, None), (True, True, True))
        assert one["again"] == 0
        assert one["then"] == {"visible": True, "described": True, "whole": True}
        assert one["left"] == []


async def test_what_the_dead_left_goes_and_what_is_being_written_stays(store: LocalStore) -> None:
    """A temporary file's process may be slow for hours: it is asked for its lock, not for its age alone."""
    async with await store.part() as slow:
        await slow.write(JPEG)
        dead = store._parts / "dead"
        dead.write_bytes(b"x")
        await store.tidy()
        assert dead.exists()  # an hour is its due
        hours_ago = time.time() - 5 * 3600
        for path in store._parts.iterdir():
            os.utime(path, (hours_ago, hours_ago))
        await store.tidy()
        assert not dead.exists()
        await slow.keep("business", "m_1.jpg", About("image/jpeg", "", "", 0))
    assert (await found(store)).path.read_bytes() == JPEG


async def test_who_is_cancelled_leaves_nothing(store: LocalStore) -> None:
    """Also when a thread is at work with the file at that moment."""
    writing = asyncio.Event()

    async def write() -> None:
        async with await store.part() as part:
            while True:
                writing.set()
                await part.write(b"x" * BUFFER)

    for _ in range(10):
        writing.clear()
        task = asyncio.create_task(write())
        await writing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert files(store) == []


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
    async with await store.part() as part:
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
        await new.part()


async def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    """It is no bug of ours, and the line says what to do."""
    (tmp_path / "media").write_text("")
    with pytest.raises(StoreUnavailable, match="a file stands where a folder should be"):
        await LocalStore(tmp_path / "media").part()


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


async def test_an_earlier_programs_file_is_served_and_never_swept(store: LocalStore) -> None:
    """Its type is that of its extension; one of ours that somebody changed is treated the same."""
    await keep(store)
    place = store._folder / "business" / "old_1.png"
    place.write_bytes(b"old")
    assert (await found(store, "old_1.png")).about == About("image/png", "", "", 3)
    assert [held.filename for held in await all_held(store)] == ["m_1.jpg"]
    (store._folder / "business" / "m_1.jpg").unlink()
    (store._folder / "business" / "m_1.jpg").write_bytes(b"by hand")
    assert (await found(store)).about == About("image/jpeg", "", "", 7)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../m_1.jpg", "a/b", "a\0", ".about", "x" * 300, "é" * 200, "\ud800", "business"]
)
async def test_a_name_that_is_none_finds_nothing(store: LocalStore, name: str) -> None:
    """Whatever is asked for, under whatever account; and it can be no file's name."""
    await keep(store)
    for account in ("business", "..", ".", "", ".about", "a/b", "a\0", "x" * 5000, "\ud800"):
        assert await store.find(account, name) is None
        assert await store.read(account, name, 10**6) is None
    if name != "business":
        with pytest.raises(ValueError, match="no file name"):
            await keep(store, name)


async def test_a_link_leads_out_of_the_folder_for_nobody(store: LocalStore, tmp_path: Path) -> None:
    """Neither of a file nor of a folder; nor is a pipe or a folder a file."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("secret")
    await keep(store)
    place = store._folder / "business"
    (place / "out.txt").symlink_to(secret / "key.txt")
    (place / "inside.jpg").symlink_to(place / "m_1.jpg")
    (place / "round.txt").symlink_to(place / "round.txt")
    (place / "nowhere.txt").symlink_to(place / "nothing")
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    (store._folder / "linked").symlink_to(secret)
    for name in ("out.txt", "round.txt", "nowhere.txt", "folder", "pipe"):
        assert await store.find("business", name) is None, name
    assert await store.find("linked", "key.txt") is None
    assert (await found(store, "inside.jpg")).about.size == len(JPEG)


async def test_a_damaged_description_costs_no_file(store: LocalStore) -> None:
    """The file is served by its extension, and retention still removes all of it."""
    await keep(store)
    (store._abouts / "business" / "m_1.jpg.json").write_bytes(b"{")
    assert (await found(store)).about == About("image/jpeg", "", "", len(JPEG))
    await store.remove(await all_held(store))
    assert await store.find("business", "m_1.jpg") is None


async def test_what_was_kept_anew_since_it_was_looked_at_stays(store: LocalStore) -> None:
    """Between retention's look and its hand an event may have brought the file again."""
    await keep(store)
    (held,) = await all_held(store)
    await keep(store)
    assert await store.remove([held._replace(stored_at=held.stored_at - 1)]) == 0
    assert await store.has("business", "m_1.jpg")


def test_the_config_opens_the_folder(tmp_path: Path) -> None:
    """Without touching it, and without what buckets need."""
    store = open_store(Media(data_path=str(tmp_path / "media")))
    assert isinstance(store, LocalStore)
    assert not (tmp_path / "media").exists()
    program = (
        "import sys; from whatshooked.config import Media; from whatshooked.media.store import open_store;"
        "open_store(Media()); sys.exit('obstore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=REPO, check=False).returncode == 0
