"""The store in a folder: what is visible when, what a disk in trouble costs, and what is left behind."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.stored import JPEG, all_held, files, found, keep
from whatshooked.config import Media
from whatshooked.errors import StoreUnavailable
from whatshooked.media.local import LocalStore
from whatshooked.media.part import BUFFER, Part
from whatshooked.media.store import About, open_store


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store in this test's folder."""
    return LocalStore(tmp_path / "media")


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
        async with store.part() as part:
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
    for _ in range(2):
        await keep(store)
    assert (await found(store)).path.read_bytes() == JPEG
    assert not list(store._parts.iterdir())
    await keep(store, content=b"other")
    assert (await found(store)).about.sha256 == hashlib.sha256(b"other").hexdigest()
    assert (await found(store)).path.read_bytes() == b"other"


async def test_the_hash_is_our_own(store: LocalStore) -> None:
    """What somebody says of a content decides nothing: another's file would be served in its place."""
    await keep(store, "a_1.jpg")
    async with store.part() as part:
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


async def test_a_content_that_is_taken_away_at_the_worst_moment(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and the link to it: it is offered once more."""
    really, taken = LocalStore._offer, list[Path]()

    def offered(self: LocalStore, part: Path, content: Path, size: int) -> None:
        really(self, part, content, size)
        if not taken:
            content.unlink()
            taken.append(content)

    monkeypatch.setattr(LocalStore, "_offer", offered)
    await keep(store)
    assert await store.read("business", "m_1.jpg", 10**6) == JPEG
    assert taken[0].exists()


@pytest.mark.parametrize("others", [[], ["other_1.jpg"]], ids=["alone", "shared"])
@pytest.mark.parametrize("what", ["keep", "remove"])
def test_a_kill_leaves_nothing_or_a_whole_file(tmp_path: Path, what: str, others: list[str]) -> None:
    """At every line of the store: never a part of a file, never one without description; a second try mends it.

    And retention with upkeep then leaves nothing behind.
    """
    program = [sys.executable, "-m", "tests.media_kills", what, str(tmp_path), *others]
    said = subprocess.run(program, cwd=REPO, capture_output=True, text=True, timeout=120, check=True)
    kills = [json.loads(line) for line in said.stdout.splitlines()]
    assert len(kills) > (80 if what == "keep" else 30)
    assert [one["ended"] for one in kills] == [-9] * (len(kills) - 1) + [0]
    assert {one["visible"] for one in kills} == {True, False}
    for one in kills:
        assert (one["visible"], one["described"], one["whole"]) in ((False, False, None), (True, True, True))
        assert one["again"] == 0
        assert one["others"]
        assert one["then"] == {"visible": True, "described": True, "whole": True, "others": True}
        assert one["left"] == []


async def test_what_the_dead_left_goes_and_what_is_being_written_stays(store: LocalStore) -> None:
    """A temporary file's process may be slow for hours: it is asked for its lock, not for its age alone."""
    async with store.part() as slow:
        await slow.write(content := JPEG.ljust(BUFFER))
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
    assert (await found(store)).path.read_bytes() == content


async def test_who_is_cancelled_leaves_nothing(store: LocalStore) -> None:
    """Also when a thread is at work with the file at that moment."""
    writing = asyncio.Event()

    async def write() -> None:
        async with store.part() as part:
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


async def test_who_is_cancelled_waits_for_the_thread_at_work(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is closed under its hands may be another by then."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        begun.set()
        go_on.wait(30)

    monkeypatch.setattr(Part, "_write", slow)
    task = asyncio.create_task(keep(store))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.1)
    assert not done
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(store) == []


async def test_a_file_that_was_cut_short_is_not_kept(store: LocalStore) -> None:
    """Whoever did it: what is visible is what was hashed."""
    with pytest.raises(StoreUnavailable, match="is not what was written to it"):
        async with store.part() as part:
            await part.write(b"x" * BUFFER)
            (path,) = store._parts.iterdir()
            os.truncate(path, 10)
            await part.keep("business", "m_1.jpg", About("image/jpeg", "", part.digest(), part.size))
    assert files(store) == []


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


async def test_a_damaged_description_stops_nothing(store: LocalStore) -> None:
    """Whatever a disk has made of it: the file is served by its type, and a sweep goes on."""
    await keep(store)
    (about,) = store._abouts.rglob("*.json")
    for damage in (b"", b"{", b'{"mime_type":"\xff\xfe"}', b"[]", b"\x00" * 100):
        about.write_bytes(damage)
        assert (await found(store)).about.mime_type == "image/jpeg"
        await all_held(store)
