"""Stored files of a person who is forgotten, in a folder and in a bucket, and one that comes when its event is gone."""

import asyncio
import base64
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bucket import BUCKET, PREFIX, Bucket
from tests.conftest import Gateway, hook
from tests.files import downloads, message, of_meta, on_disk, post, stored
from tests.receiver import Receiver
from tests.simulated import Meta
from tests.stored import JPEG, files, keep
from tests.streams import until
from whatshooked.errors import StoreUnavailable
from whatshooked.keys import MEDIA_HOOK, Keys
from whatshooked.media.local import LocalStore
from whatshooked.media.names import filename
from whatshooked.media.person import forget, remove
from whatshooked.media.remote import RemoteStore
from whatshooked.meta.person import Person
from whatshooked.stream.link import Link
from whatshooked.stream.person import erase

ANA = "4917612345098"
PERSON = Person([ANA])


def a_name(number: str = ANA, lead: int = 2, more: int = 16) -> str:
    """A file's name, of a message id as Meta makes them: the number in base64, and "/" behind it, which no name has."""
    text = b"\x1c" * lead + number.encode() + b"\xff" * 6 + os.urandom(more)
    return filename(f"wamid.{base64.b64encode(text).decode()}", "0" * 64, "image/jpeg")


NAMES = [*(a_name(lead=lead) for lead in range(3)), a_name(lead=30, more=400), a_name(ANA + "/")]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store in this test's folder."""
    return LocalStore(tmp_path / "media")


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An S3 server of this test's own."""
    found = Bucket.start()
    yield found
    found.stop()


async def test_every_file_of_a_person_goes(store: LocalStore) -> None:
    """By its id in base64, plain, by its name for people, by what its event told; old or young, with all about it."""
    for number, name in enumerate(NAMES):
        await keep(store, name, b"%d" % number)
    await keep(store, f"{ANA}.jpg", b"plain")
    await keep(store, "m_1.jpg", b"original", original=f"Invoice {ANA}.pdf")
    await keep(store, "m_2.jpg", b"told")
    await keep(store, "m_2.jpg", b"another's", account="other")
    await keep(store, "m_3.jpg", original="beach.jpg")
    before = files(store)
    assert await forget(store, PERSON, [("business", "m_2.jpg")]) == len(NAMES) + 3
    left = files(store)
    assert len(left) == 6  # two files, each with its content and its description
    assert {path for path in left if not path.startswith(".")} == {"business/m_3.jpg", "other/m_2.jpg"}
    assert await store.read("business", "m_3.jpg", len(JPEG)) == JPEG
    assert set(left) < set(before)
    assert await forget(store, PERSON, [("business", "m_2.jpg")]) == 0


async def test_a_content_that_somebody_shares_stays_with_them(store: LocalStore) -> None:
    """And goes with the last who has it."""
    await keep(store, NAMES[0])
    await keep(store, "m_1.jpg")
    assert await forget(store, PERSON) == 1
    assert await store.read("business", "m_1.jpg", len(JPEG)) == JPEG
    assert await remove(store, [("business", "m_1.jpg"), ("business", "none.jpg")]) == 1
    assert files(store) == []


async def test_what_earlier_programs_and_crashes_left(store: LocalStore) -> None:
    """A file without a description, a description without a file, and a half-written one whose process is gone."""
    await keep(store, NAMES[0])
    (store._folder / "business" / NAMES[0]).unlink()
    (store._folder / "business" / NAMES[1]).write_bytes(b"earlier")
    (store._folder / "business" / NAMES[2]).symlink_to("m_1.jpg")
    (store._folder / "business" / "folder").mkdir()
    dead, alive = store._folder / ".part" / uuid.uuid4().hex, store._folder / ".part" / uuid.uuid4().hex
    for path, age in ((dead, 120), (alive, 1)):
        path.write_text(ANA)
        os.utime(path, (time.time() - age, time.time() - age))
    assert await forget(store, PERSON) == 3
    assert files(store) == [f".part/{alive.name}"]


async def test_an_empty_store_and_a_disk_in_trouble(store: LocalStore, tmp_path: Path) -> None:
    """Nothing is made for it; what the disk says is told."""
    assert await forget(store, PERSON) == 0
    assert not store._folder.exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="file: Not a directory"):
        await forget(LocalStore(tmp_path / "file"), PERSON)


async def test_every_file_of_a_person_goes_from_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    """Names and contents at once, and a content that a crash left without its name, by the name in its headers."""
    store = RemoteStore(f"s3://{BUCKET}/{PREFIX}", bucket.options, tmp_path / "media")
    for name in NAMES[:3]:
        await keep(store, name)
    await keep(store, NAMES[3], b"alone")
    await keep(store, "m_1.jpg")
    await keep(store, "m_2.jpg", original=f"Invoice {ANA}.pdf")
    await keep(store, "m_3.jpg", b"crash", original=f"+{ANA}.jpg")
    (marker,) = [key for key in bucket.objects() if key.startswith("files/business/m_3.jpg/")]
    bucket.client.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{marker}")
    assert await forget(store, PERSON) == 5
    assert [key.split("/")[:3] for key in bucket.objects() if key.startswith("files/")] == [
        ["files", "business", "m_1.jpg"]
    ]
    assert len(bucket.objects()) == 2
    assert await store.read("business", "m_1.jpg", len(JPEG)) == JPEG
    assert await forget(store, PERSON, [("business", "m_1.jpg")]) == 1
    assert bucket.objects() == []
    assert await forget(store, PERSON) == 0


async def test_a_fetch_in_flight_leaves_no_file(
    make_gateway: Callable[..., Gateway], receiver: Receiver, sim: Meta, link: Link, keys: Keys, tmp_path: Path
) -> None:
    """Its event is gone when it comes, and the file goes as well; a file of somebody else beside it stays."""
    media = {"data_path": str(tmp_path / "files"), "base_url": "https://files.example"}
    gateway = make_gateway(hook("h1", receiver.url()), accounts=[of_meta(sim)], media=media)
    await gateway.start()
    slow, quick = stored(sim, content=b"ten  bytes", fault="slow"), stored(sim)
    await post(gateway, message(sim, quick))
    await receiver.wait(1)
    theirs = message(sim, slow) | {"from": ANA}
    await post(gateway, theirs)

    async def fetching() -> bool:
        return bool(downloads(sim, slow))

    await until(fetching)

    async def nothing(found: set[tuple[str, str]]) -> None:
        assert not found

    erased = await erase(link, keys, PERSON, nothing)
    assert erased.events == 1
    store = LocalStore(tmp_path / "files")
    assert await forget(store, PERSON) == 0

    async def over() -> bool:
        return not gateway.workers[0]._files.fetcher._tasks and not on_disk(tmp_path / "files")[1:]

    await until(over)
    await asyncio.sleep(0)
    assert len(on_disk(tmp_path / "files")) == 1
    assert len([path for path in (tmp_path / "files" / ".content").rglob("*") if path.is_file()]) == 1
    assert not await link.call("EXISTS", keys.due(MEDIA_HOOK), *keys.of_whole_entries(["*"]))
    assert len(receiver.received) == 1
