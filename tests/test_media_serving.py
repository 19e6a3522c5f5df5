"""Files over HTTP: who gets them, which part, with which headers; as a web process serves them."""

import asyncio
import hashlib
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bucket import BUCKET, PREFIX, Bucket
from tests.conftest import API_KEY, Gateway
from whatshooked.keys import Keys
from whatshooked.media import links
from whatshooked.media.local import LocalStore
from whatshooked.media.store import About, open_store
from whatshooked.stream.link import Link
from whatshooked.stream.registry import link_key

Make = Callable[..., Gateway]
JPEG = bytes(range(256)) * 4000
ETAG = f'"{hashlib.sha256(JPEG).hexdigest()}"'
NAME = "wamid.HBgN==_a1b2c3d4.jpg"
KEY = {"x-api-key": API_KEY}


@pytest.fixture
async def gateway(make_gateway: Make, tmp_path: Path) -> Gateway:
    """A web process with one stored picture."""
    found = make_gateway(media={"data_path": str(tmp_path / "media")})
    await found.start(workers=0)
    await keep(found)
    return found


async def keep(
    gateway: Gateway, name: str = NAME, content: bytes = JPEG, mime_type: str = "image/jpeg", original: str = ""
) -> None:
    """Keep a file as a worker does."""
    async with open_store(gateway.config.media).part() as part:
        await part.write(content)
        await part.keep("business", name, About(mime_type, original, part.digest(), part.size))


async def signed(gateway: Gateway, name: str = NAME, *, left: float = 60.0, account: str = "business") -> str:
    """A link as a payload carries it."""
    async with Link(gateway.url) as link:
        key = await link_key(link, Keys(gateway.prefix))
    return links.link(gateway.base, account, name, key=key, expires=int(time.time() + left))


async def get(gateway: Gateway, name: str = NAME, method: str = "GET", **headers: str) -> httpx.Response:
    """Ask for a file with the API's key."""
    asked = {key.replace("_", "-"): value for key, value in headers.items()}
    return await gateway.client.request(method, f"{gateway.base}/api/media/business/{name}", headers=KEY | asked)


def error(answer: httpx.Response) -> str:
    """The code of an answer that is an error of the API."""
    found: dict[str, Any] = answer.json()["error"]
    assert found.keys() == {"code", "message", "hint"}
    return str(found["code"])


async def test_a_file_is_served_with_its_headers(gateway: Gateway) -> None:
    """Type, size, hash, time; nothing in it runs, and no cache of others keeps it."""
    answer = await get(gateway)
    assert (answer.status_code, answer.content) == (200, JPEG)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(JPEG))
    assert answer.headers["content-disposition"] == "inline"
    assert answer.headers["etag"] == ETAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", answer.headers["last-modified"])
    head = await get(gateway, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "date": ""} == {**answer.headers, "date": ""}
    post = await gateway.client.post(f"{gateway.base}/api/media/business/{NAME}", headers=KEY)
    assert post.status_code == 405


@pytest.mark.parametrize(
    ("mime_type", "original", "disposition"),
    [
        ("text/html", "evil.html", 'attachment; filename="evil.html"'),
        ("image/svg+xml", "evil.svg", 'attachment; filename="evil.svg"'),
        ("application/pdf", "Rechnung 5.pdf", 'inline; filename="Rechnung 5.pdf"'),
        ("text/plain; charset=utf-8", 'a"\r\nX-Evil: 1', 'attachment; filename="a_X-Evil_ 1"'),
        ("no type\r\nX-Evil: 1", "", "attachment"),
    ],
)
async def test_what_a_stranger_sent_stays_a_file(
    gateway: Gateway, mime_type: str, original: str, disposition: str
) -> None:
    """HTML and its like are attachments, and no name or type of a payload makes a header."""
    await keep(gateway, "m_1.bin", b"<script>alert(1)</script>", mime_type, original)
    answer = await get(gateway, "m_1.bin")
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["content-type"] == (mime_type if "\r" not in mime_type else "application/octet-stream")
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=1000-", 1000, None), ("bytes=-5", -5, None), ("BYTES= 5 - 99999999", 5, None)],
)
async def test_a_range_is_served(gateway: Gateway, asked: str, start: int, end: int | None) -> None:
    """From the beginning, to the end, the last bytes; never more than there is."""
    answer = await get(gateway, range=asked)
    expected = JPEG[start:end]
    first = start % len(JPEG)
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(JPEG)}"
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=5-1", "bytes=x-", "bytes=-", "lines=0-1", "", "bytes=" + "9" * 40]
)
async def test_a_range_that_is_none_or_several_gets_the_whole(gateway: Gateway, asked: str) -> None:
    """As HTTP allows."""
    assert (await get(gateway, range=asked)).content == JPEG


@pytest.mark.parametrize("asked", [f"bytes={len(JPEG)}-", "bytes=-0", "bytes=999999999999999999-"])
async def test_a_range_behind_the_end_is_told(gateway: Gateway, asked: str) -> None:
    """With the size; a HEAD knows no ranges."""
    answer = await get(gateway, range=asked)
    assert (answer.status_code, error(answer)) == (416, "no_such_range")
    assert answer.headers["content-range"] == f"bytes */{len(JPEG)}"
    assert (await get(gateway, method="HEAD", range=asked)).status_code == 200


async def test_who_has_the_file_is_told_so(gateway: Gateway) -> None:
    """By hash or time; a part goes only to who has a part of this very file."""
    since = (await get(gateway)).headers["last-modified"]
    for headers in (
        {"if_none_match": ETAG},
        {"if_none_match": f'"other", W/{ETAG}'},
        {"if_none_match": "*"},
        {"if_modified_since": since},
        {"if_none_match": ETAG, "range": "bytes=0-1"},
    ):
        answer = await get(gateway, **headers)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", ETAG)
    for headers in (
        {"if_none_match": '"other"'},
        {"if_none_match": '"other"', "if_modified_since": since},
        {"if_modified_since": "Mon, 01 Jan 2024 00:00:00 GMT"},
        {"if_modified_since": "whenever"},
        {"if_range": '"other"', "range": "bytes=0-1"},
        {"if_range": f"W/{ETAG}", "range": "bytes=0-1"},
        {"if_range": "Mon, 01 Jan 2024 00:00:00 GMT", "range": "bytes=0-1"},
    ):
        assert (await get(gateway, **headers)).status_code == 200
    for condition in (ETAG, since):
        assert (await get(gateway, if_range=condition, range="bytes=0-1")).status_code == 206


async def test_an_empty_file_is_served(gateway: Gateway) -> None:
    """Whole, and no part of it."""
    await keep(gateway, "m_0.bin", b"")
    assert (await get(gateway, "m_0.bin")).content == b""
    assert (await get(gateway, "m_0.bin", range="bytes=0-")).status_code == 416


async def test_a_signed_link_needs_no_credentials(gateway: Gateway) -> None:
    """Until its time is over; whatever is changed in it, it is a 403, which credentials overrule."""
    good = await signed(gateway)
    assert (await gateway.client.get(good)).content == JPEG
    assert (await gateway.client.head(good)).status_code == 200
    await keep(gateway, "other.jpg")
    over = await signed(gateway, left=-1)
    for bad in (
        over,
        good.replace(NAME.split("=", maxsplit=1)[0], "other").replace("%3D%3D_a1b2c3d4", ""),
        good.replace("business", "business2"),
        good.replace("expires=", "expires=9"),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace("signature=", "signature=%00"),
        re.sub("expires=[0-9]+&", "", good),
    ):
        answer = await gateway.client.get(bad)
        assert (answer.status_code, error(answer)) == (403, "link_not_valid"), bad
    assert (await gateway.client.get(over, headers=KEY)).content == JPEG
    assert (await gateway.client.get(over, headers={"x-api-key": "wrong"})).status_code == 401
    assert (await gateway.client.get(good.partition("?")[0])).status_code == 401


async def test_bad_links_lock_nobody_out(gateway: Gateway) -> None:
    """A hook that comes too late guesses no password, and behind a proxy all clients are one address."""
    over = await signed(gateway, left=-1)
    for _ in range(10):
        assert (await gateway.client.get(over)).status_code == 403
    assert (await get(gateway)).status_code == 200


async def test_without_a_time_to_live_only_credentials_count(make_gateway: Make, tmp_path: Path) -> None:
    """Links that were signed before hold no more."""
    gateway = make_gateway(media={"data_path": str(tmp_path / "media"), "link_ttl": 0})
    await gateway.start(workers=0)
    await keep(gateway)
    assert (await gateway.client.get(await signed(gateway))).status_code == 403
    assert (await get(gateway)).status_code == 200


async def test_a_link_to_what_is_gone_is_a_404(gateway: Gateway) -> None:
    """In the API's own words."""
    answer = await gateway.client.get(await signed(gateway, "m_9.jpg"))
    assert (answer.status_code, error(answer)) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "business/..",
        "business/../business/x",
        "../media/business/x",
        "business/..%2fsecret.txt",
        "business/%2e%2e%2fsecret.txt",
        "..%2f..%2fetc/passwd",
        "%2e%2e/secret.txt",
        "business/%00",
        "business/a%00.jpg",
        "business/%ff%fe",
        "business/%ed%a0%80",
        "business/" + "x" * 300,
        "business/" + "%c3%a9" * 200,
        "x" * 5000 + "/a.jpg",
        ".about/business/" + NAME + ".json",
        ".about/x.json",
        ".content/x",
        "//",
        "business/out.txt",
        "linked/secret.txt",
        "business/folder",
        "business/%252e%252e",
        "business/a%0d%0ab",
    ],
)
async def test_no_path_leads_out(gateway: Gateway, tmp_path: Path, path: str) -> None:
    """Dots, encoded slashes, NUL, links, over-long and broken names: 404, and never an error of ours."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "media" / "secret.txt").write_text("secret")
    (tmp_path / "media/business/out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "media/business/folder").mkdir()
    (tmp_path / "media/linked").symlink_to(tmp_path)
    host = urlsplit(gateway.base).netloc
    reader, writer = await asyncio.open_connection(*host.split(":"))  # a client that leaves the path as it is
    writer.write(
        f"GET /api/media/{path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {API_KEY}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]
    assert b"secret" not in answer


async def test_an_earlier_programs_file_is_served(gateway: Gateway, tmp_path: Path) -> None:
    """By the type of its extension, with a hash of its age and size; HTML stays an attachment."""
    place = tmp_path / "media" / "business"
    (place / "wamid.old_1.png").write_bytes(b"old")
    (place / "page.html").write_bytes(b"<script>")
    answer = await get(gateway, "wamid.old_1.png")
    assert (answer.content, answer.headers["content-type"]) == (b"old", "image/png")
    assert (await get(gateway, "wamid.old_1.png", if_none_match=answer.headers["etag"])).status_code == 304
    (place / "wamid.old_1.png").write_bytes(b"new!")
    assert (await get(gateway, "wamid.old_1.png", if_none_match=answer.headers["etag"])).content == b"new!"
    assert (await get(gateway, "page.html")).headers["content-disposition"] == "attachment"


async def test_every_request_is_counted(gateway: Gateway) -> None:
    """By what came of it."""

    async def counts() -> dict[str, float]:
        text = (await gateway.client.get(f"{gateway.base}/metrics")).text
        return {name: float(n) for name, n in re.findall(r'media_served_total\{result="(\w+)"\} (\S+)', text)}

    before = await counts()
    await get(gateway)
    await get(gateway, if_none_match="*")
    await get(gateway, "m_9.jpg")
    await get(gateway, range="bytes=-0")
    await gateway.client.get(await signed(gateway, left=-1))
    after = await counts()
    risen = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert risen == {"sent": 1, "not_modified": 1, "missing": 1, "bad_range": 1, "refused": 1}


async def test_a_store_in_trouble_is_a_503(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks is told to come again, and nothing of our folders."""

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(LocalStore, "_find", broken)
    answer = await get(gateway)
    assert (answer.status_code, error(answer)) == (503, "store_unavailable")
    assert "media" not in answer.text


async def test_a_reload_keeps_the_folder(gateway: Gateway, tmp_path: Path) -> None:
    """Workers and web would part company: another folder is for a restart, and the log says so."""
    before = gateway.document["media"]["data_path"]
    await keep(gateway, "new_1.jpg")
    gateway.document["media"] = {"data_path": str(tmp_path / "elsewhere"), "link_ttl": 0}
    gateway.write()
    link = await signed(gateway, "new_1.jpg")
    assert (await gateway.client.get(link)).status_code == 200
    os.kill(os.getpid(), signal.SIGHUP)
    async with asyncio.timeout(10):
        while (await gateway.client.get(link)).status_code == 200:  # link_ttl is in force
            await asyncio.sleep(0.02)
    assert (await get(gateway, "new_1.jpg")).status_code == 200
    assert before != gateway.document["media"]["data_path"]


async def test_a_bucket_redirects(make_gateway: Make, tmp_path: Path) -> None:
    """By a link that any client follows; who may not have the file gets no link. Away, it is a 503."""
    bucket = Bucket.start()
    try:
        bucket.open()
        media = {"storage": f"s3://{BUCKET}/{PREFIX}", "storage_options": bucket.options, "data_path": str(tmp_path)}
        gateway = make_gateway(media=media)
        await gateway.start(workers=0)
        await keep(gateway, original="beach.jpg")
        link = await signed(gateway)
        answer = await gateway.client.get(link)
        assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
        assert bucket.resigned(answer.headers["location"])
        followed = await gateway.client.get(link, follow_redirects=True)
        assert (followed.content, followed.headers["content-type"]) == (JPEG, "image/jpeg")
        assert followed.headers["content-disposition"] == 'inline; filename="beach.jpg"'
        assert (await gateway.client.head(link, follow_redirects=True)).status_code == 200
        assert (await get(gateway, "m_9.jpg")).status_code == 404
        assert (await gateway.client.get(link + "0")).status_code == 403
    finally:
        bucket.stop()
    assert error(await get(gateway)) == "store_unavailable"
