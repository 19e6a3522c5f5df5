"""The store in a bucket, tried against moto's S3 server, which checks that every call is signed."""

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.bucket import BUCKET, PREFIX, Bucket
from tests.conftest import REPO
from tests.stored import JPEG, all_held, keep
from whatshooked.config import Media
from whatshooked.errors import ConfigError, StoreUnavailable
from whatshooked.media import remote
from whatshooked.media.names import label
from whatshooked.media.remote import RemoteStore
from whatshooked.media.store import About, RemoteFile, open_store

HASH = hashlib.sha256(JPEG).hexdigest()
STORAGE = f"s3://{BUCKET}/{PREFIX}"
#: Keeps 60 MB in a bucket, and says by how many KB memory grew.
LARGE = """
import asyncio, json, re, sys
from pathlib import Path
from whatshooked.media.remote import RemoteStore
from whatshooked.media.store import About

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

async def keep(store, megabytes):
    async with store.part() as part:
        for n in range(megabytes * 16):
            await part.write(b"%8d" % n * 8192)
        await part.keep("business", f"m_{megabytes}.bin", About("text/plain", "", part.digest(), part.size))

async def main():
    store = RemoteStore(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
    await keep(store, 6)
    before = peak()
    await keep(store, 60)
    print(peak() - before)

asyncio.run(main())
"""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An S3 server of this test's own."""
    found = Bucket.start()
    yield found
    found.stop()


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> RemoteStore:
    """A store in its bucket."""
    return RemoteStore(STORAGE, bucket.options, tmp_path / "media")


async def test_a_file_lies_in_the_bucket_and_is_handed_out(store: RemoteStore, bucket: Bucket, tmp_path: Path) -> None:
    """Its content once, with its headers, and a name; whoever gets the URL needs no credentials."""
    await keep(store, original="Übersicht.jpg")
    name = label("image/jpeg", "Übersicht.jpg")
    content, marker = f"content/{HASH}/{name}", f"files/business/m_1.jpg/{HASH}.{len(JPEG)}.{name}"
    assert bucket.objects() == [content, marker]
    assert list((tmp_path / "media" / ".part").iterdir()) == []
    assert await store.has("business", "m_1.jpg")
    assert await store.read("business", "m_1.jpg", len(JPEG)) == JPEG
    assert await store.read("business", "m_1.jpg", len(JPEG) - 1) is None
    found, head = await store.find("business", "m_1.jpg"), await store.find("business", "m_1.jpg", head=True)
    assert isinstance(found, RemoteFile) and isinstance(head, RemoteFile)
    assert bucket.resigned(found.url) and bucket.resigned(head.url, "HEAD")
    assert not bucket.resigned(found.url, "HEAD")
    assert "X-Amz-Expires=900" in found.url
    bucket.open()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(found.url)
        assert (answer.status_code, answer.content) == (200, JPEG)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-disposition"].startswith("inline; filename=")
        assert answer.headers["content-disposition"].endswith("filename*=UTF-8''%C3%9Cbersicht.jpg")
        assert (await client.head(head.url)).headers["content-length"] == str(len(JPEG))
        part = await client.get(found.url, headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, JPEG[1:4])


async def test_a_file_is_opened_as_a_copy(store: RemoteStore, bucket: Bucket, tmp_path: Path) -> None:
    """What is known of it stands in its headers; of the copy nothing is left, nor is it ever seen."""
    await keep(store, original="Übersicht; 1.jpg")
    expected = About("image/jpeg", "Übersicht; 1.jpg", HASH, len(JPEG))
    assert await store.about("business", "m_1.jpg") == expected
    async with store.opened("business", "m_1.jpg") as file:
        assert file is not None
        assert (file.about, file.content.read()) == (expected, JPEG)
        assert list((tmp_path / "media" / ".part").iterdir()) == []
    assert file.content.closed
    await keep(store, "m_2.jpg", original="plain.jpg")
    plain = await store.about("business", "m_2.jpg")
    assert plain is not None and plain.original == "plain.jpg"
    bucket.client.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/content/{HASH}/{label('image/jpeg', 'plain.jpg')}")
    for gone in ("m_2.jpg", "m_3.jpg"):
        assert await store.about("business", gone) is None
        async with store.opened("business", gone) as file:
            assert file is None


async def test_the_same_content_is_stored_once(store: RemoteStore, bucket: Bucket) -> None:
    """Unless its type or its name for people differ: those are headers of the object, and a stranger's word."""
    for name in ("a_1.jpg", "b_1.jpg", "a_1.jpg"):
        await keep(store, name)
    await keep(store, "c_1.jpg", account="other")
    assert len([key for key in bucket.objects() if key.startswith("content/")]) == 1
    assert len(bucket.objects()) == 4
    await keep(store, "d_1.html", mime_type="text/html")
    assert len([key for key in bucket.objects() if key.startswith("content/")]) == 2
    assert len({held.content for held in await all_held(store)}) == 2


@pytest.mark.parametrize("filename", ["wamid.HBgN+A==_1234abcd.jpg", "a~b_1.jpg", "old name é.jpg"])
async def test_odd_names_are_found_again(store: RemoteStore, bucket: Bucket, filename: str) -> None:
    """As those of Meta's ids are, padding and all."""
    bucket.open()  # moto reads a `=` in a listing's prefix otherwise than S3 does, and finds no signature right
    await keep(store, filename, account="My Shop")
    assert await store.read("My Shop", filename, 10**6) == JPEG
    found = await store.find("My Shop", filename)
    assert isinstance(found, RemoteFile)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(found.url)).content == JPEG
    (held,) = await all_held(store)
    assert (held.folder, held.filename, held.size) == ("My Shop", filename, len(JPEG))
    assert not await store.has("My Shop", filename[:-1])
    assert await store.find("My Shop", "../My Shop") is None
    with pytest.raises(ValueError, match="no file name"):
        await keep(store, "../x")


async def test_what_goes_goes_with_its_content_once_nobody_shares_it(
    store: RemoteStore, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A content that is left without a name by a kill goes too, when it is an hour old."""
    await keep(store, "a_1.jpg")
    await keep(store, "b_1.jpg")
    await keep(store, "c_1.jpg", b"another")
    first, second, third = await all_held(store)
    assert abs(first.stored_at - time.time()) < 60
    await store.remove([first, third])
    assert (await store.tidy()) == (0, len(JPEG) + len(b"another"))  # they are young
    monkeypatch.setattr(remote, "YOUNG", -60.0)
    assert (await store.tidy()) == (len(b"another"), len(JPEG))
    assert await store.read("business", "b_1.jpg", 10**6) == JPEG
    assert not await store.has("business", "a_1.jpg")
    await store.remove([second])
    assert (await store.tidy()) == (len(JPEG), 0)
    assert bucket.objects() == []


async def test_an_old_content_is_written_anew_for_a_new_name(
    store: RemoteStore, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upkeep that is about to remove it then sees a young one; and one that was faster is noticed."""
    await keep(store, "a_1.jpg")
    uploads: list[str] = []
    really = RemoteStore._upload

    async def counted(self: RemoteStore, part: Path, path: str, about: About) -> None:
        uploads.append(path)
        await really(self, part, path, about)

    monkeypatch.setattr(RemoteStore, "_upload", counted)
    await keep(store, "b_1.jpg")
    assert uploads == []
    monkeypatch.setattr(remote, "_FRESH", -60.0)
    await keep(store, "c_1.jpg")
    assert len(uploads) == 1
    monkeypatch.setattr(remote, "_FRESH", 1800.0)
    written = RemoteStore._written

    async def taken_away(self: RemoteStore, path: str) -> float:
        found = await written(self, path)
        if not await self.has("business", "d_1.jpg"):
            bucket.client.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{path}")
        return found

    monkeypatch.setattr(RemoteStore, "_written", taken_away)
    await keep(store, "d_1.jpg")
    assert len(uploads) == 2
    assert await store.read("business", "d_1.jpg", 10**6) == JPEG


async def test_a_bucket_that_is_away_is_told(bucket: Bucket, tmp_path: Path) -> None:
    """With its place and what to do, in a few seconds; nothing is left in the folder."""
    store = RemoteStore(STORAGE, bucket.options | {"endpoint": "http://127.0.0.1:9"}, tmp_path / "media")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=rf"media.storage {STORAGE}: does not answer; see whether"):
        await keep(store)
    assert time.monotonic() - began < 30
    assert list((tmp_path / "media" / ".part").iterdir()) == []
    with pytest.raises(StoreUnavailable):
        await store.find("business", "m_1.jpg")
    with pytest.raises(StoreUnavailable):
        await store.tidy()


async def test_a_refusal_is_told_without_the_secret(bucket: Bucket, tmp_path: Path) -> None:
    """A wrong key or bucket: which of the two, and what to do."""
    wrong = RemoteStore(STORAGE, bucket.options | {"secret_access_key": "planted-Zq81"}, tmp_path / "media")
    with pytest.raises(StoreUnavailable, match="refuses our credentials; check") as refused:
        await keep(wrong)
    assert "planted" not in f"{refused.value!r} {refused.value.__cause__!r}"
    bucket.open()
    nowhere = RemoteStore("s3://no-such-bucket", bucket.options, tmp_path / "media")
    with pytest.raises(StoreUnavailable, match="s3://no-such-bucket: there is no such bucket; make it"):
        await keep(nowhere)


def test_wrong_options_are_refused_at_the_start(tmp_path: Path) -> None:
    """By name of the key, without any value."""
    media = Media(storage=STORAGE, storage_options={"colour": "planted-Zq81"}, data_path=str(tmp_path))
    with pytest.raises(ConfigError, match=r"^media\.storage_options\.colour: ") as refused:
        open_store(media)
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize(
    ("storage", "options"),
    [
        ("gs://bucket/prefix", {}),
        ("az://container/prefix", {"account_name": "shop", "account_key": "a2V5"}),
        ("s3://bucket", {}),
    ],
)
def test_each_kind_of_bucket_can_be_opened(
    tmp_path: Path, storage: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without asking it anything."""
    store = open_store(Media(storage=storage, storage_options=options, data_path=str(tmp_path / "media")))
    assert isinstance(store, RemoteStore)
    assert not (tmp_path / "media").exists()


async def test_who_is_cancelled_shows_nothing(store: RemoteStore, bucket: Bucket) -> None:
    """Neither in the bucket nor in the folder."""
    keeping = asyncio.create_task(keep(store, content=b"x" * 30_000_000))
    while not any(store._parts.glob("*")):
        await asyncio.sleep(0.01)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert list(store._parts.iterdir()) == []
    assert not await store.has("business", "m_1.jpg")


def test_memory_does_not_grow_with_the_file(bucket: Bucket, tmp_path: Path) -> None:
    """A large file goes out in pieces, and is whole there."""
    bucket.open()
    program = [sys.executable, "-c", LARGE, STORAGE, json.dumps(bucket.options), str(tmp_path)]
    grown = subprocess.run(program, cwd=REPO, capture_output=True, text=True, check=True, timeout=120)

    assert int(grown.stdout) < 30 * 1024, "half of the file"
    sizes = [one["Size"] for one in bucket.client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert 60 * 2**20 in sizes
