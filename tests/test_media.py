"""Files of messages: fetched at once, stored once, and put into the payload before the hooks see it."""

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import meta
from tests.bucket import BUCKET, PREFIX, Bucket
from tests.conftest import Gateway, hook
from tests.files import KINDS, downloads, lookups, message, of_meta, on_disk, post, sha8, stored
from tests.receiver import Receiver
from tests.simulated import Meta
from tests.streams import until
from whatshooked.events import Event
from whatshooked.stream.cache import Cached, HookState
from whatshooked.stream.record import Record
from whatshooked.stream.views import view
from workers import fetch_retry

WAITING = HookState("waiting", 0, 1_790_000_060_000, None, None)
MakeGateway = Callable[..., Gateway]


async def started(make: MakeGateway, sim: Meta, folder: Path, *hooks: dict[str, Any], **media: Any) -> Gateway:
    """A running gateway whose account is at the simulated Meta and whose files lie in `folder`."""
    section = {"data_path": str(folder), "base_url": "https://files.example"} | media
    gateway = make(*hooks, accounts=[of_meta(sim)], media=section)
    await gateway.start()
    return gateway


@pytest.mark.parametrize("mode", ["link", "base64", "both"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_stands_in_the_payload(
    kind: str, mode: str, make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """Each of the five types arrives in each of the three modes, with name, link and content as the contract says."""
    folder = tmp_path / "files"
    gateway = await started(make_gateway, sim, folder, hook("h1", receiver.url()), mode=mode)
    found = stored(sim, kind)
    sent = message(sim, found, kind)
    await post(gateway, sent)
    (got,) = await receiver.wait()
    told = got.json["media"]
    name = f"{sent['id']}_{sha8(found.content)}"
    assert (told["type"], told["mime_type"], told["filename"].rpartition(".")[0]) == (kind, found.mime_type, name)
    assert "error" not in told
    assert told["size"] == len(found.content)
    assert ("base64" in told) == (mode != "link")
    assert ("url" in told) == (mode != "base64")
    if "base64" in told:
        assert base64.b64decode(told["base64"]) == found.content
    if "url" in told:
        link = told["url"].replace("https://files.example", gateway.base)
        answer = await gateway.client.get(link)
        assert (answer.status_code, answer.content) == (200, found.content)
    (path,) = on_disk(folder)
    assert (path.name, path.read_bytes()) == (told["filename"], found.content)
    assert lookups(sim, found) == 0  # the webhook's own URL was good
    assert [one["authorization"] for one in downloads(sim, found)] == [True]
    await gateway.cached(0)


async def test_each_hook_has_its_own_mode(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """A hook's mode goes before the gateway's, and a file that is too large for base64 goes as a link."""
    hooks = [
        hook("link", receiver.url("/link")),
        hook("base64", receiver.url("/base64"), media_mode="base64"),
        hook("both", receiver.url("/both"), media_mode="both"),
    ]
    gateway = await started(make_gateway, sim, tmp_path / "files", *hooks, base64_max_bytes=2000)
    await post(gateway, message(sim, stored(sim, content=b"x" * 2000)))
    told = {one.target.partition("?")[0]: set(one.json["media"]) for one in await receiver.wait(3)}
    assert {path: keys & {"url", "base64", "error"} for path, keys in told.items()} == {
        "/link": {"url"},
        "/base64": {"base64"},
        "/both": {"url", "base64"},
    }
    receiver.received.clear()
    await post(gateway, message(sim, stored(sim, content=b"x" * 2001)))
    for one in await receiver.wait(3):
        assert one.json["media"].keys() & {"url", "base64", "error"} == {"url"}


async def test_the_same_content_is_stored_once(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """Two messages with the same bytes have two names for one file."""
    folder = tmp_path / "files"
    gateway = await started(make_gateway, sim, folder, hook("h1", receiver.url()))
    await post(gateway, message(sim, stored(sim)), message(sim, stored(sim)))
    await receiver.wait(2)
    one, other = on_disk(folder)
    assert one.name != other.name
    assert one.stat().st_ino == other.stat().st_ino


async def test_a_look_up_takes_the_place_of_a_url(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """A webhook without a URL, or with one that is old, has its file looked up."""
    gateway = await started(make_gateway, sim, tmp_path / "files", hook("h1", receiver.url()))
    bare, old = stored(sim), stored(sim, content=b"old")
    await post(gateway, message(sim, bare, url=False), message(sim, old, timestamp=str(int(time.time()) - 600)))
    for one in await receiver.wait(2):
        assert "error" not in one.json["media"]
    assert (lookups(sim, bare), lookups(sim, old)) == (1, 1)


async def test_an_error_of_ours_ends_a_fetch(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ends, though nothing was noted, and the next one brings the file."""
    delay, errors = fetch_retry.delay, [RuntimeError("a bug")]

    def buggy(attempt: int, *seconds: float, spread: float) -> float | None:
        if errors:
            raise errors.pop()
        return delay(attempt, *seconds, spread=spread)

    monkeypatch.setattr("workers.fetch_retry.delay", buggy)
    monkeypatch.setattr("workers.media.LEASE_MS", 600)
    monkeypatch.setattr("workers.consumer.LEASE_MS", 600)
    monkeypatch.setattr("workers.media.RENEW_EVERY", 0.1)
    gateway = await started(make_gateway, sim, tmp_path / "files", hook("h1", receiver.url()))
    await post(gateway, message(sim, stored(sim, fault="wrong_hash", times=1)))
    assert "error" not in (await receiver.wait())[0].json["media"]
    assert not errors


async def test_a_message_nobody_wants_has_its_file(make_gateway: MakeGateway, sim: Meta, tmp_path: Path) -> None:
    """Meta forgets it in seven days: it is fetched for a message that stays unmatched, and stands in the listing."""
    folder = tmp_path / "files"
    gateway = await started(make_gateway, sim, folder)
    await post(gateway, message(sim, stored(sim)))
    (event,) = await gateway.cached(1, state="unmatched")
    assert event["hooks"] == {}
    (path,) = on_disk(folder)
    assert event["payload"]["media"]["filename"] == path.name


async def test_a_text_waits_for_no_file(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """A slow file holds its own message, and no other; the listing shows what goes on."""
    gateway = await started(make_gateway, sim, tmp_path / "files", hook("h1", receiver.url()), max_wait="2s")
    sim.world.knobs.drip = 0.05
    await post(gateway, message(sim, stored(sim, fault="slow")), meta.text())
    (first,) = await receiver.wait()
    assert first.json["message_type"] == "text"
    (event,) = await gateway.cached(1)
    assert event["state"] == "waiting"
    assert event["hooks"]["_media"]["state"] == "in_flight"
    assert event["hooks"]["h1"]["state"] == "waiting"
    _, late = await receiver.wait(2)
    assert late.json["message_type"] == "image"
    assert "in time" in late.json["media"]["error"]
    await gateway.cached(0)


async def test_retention_leaves_what_a_cached_event_needs(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """A file that is too old goes when nobody needs it any more, and not before; the worker's own upkeep does it."""
    folder = tmp_path / "files"
    gateway = await started(make_gateway, sim, folder, max_age_days=1)
    await post(gateway, message(sim, stored(sim)))
    (event,) = await gateway.cached(1, state="unmatched")
    old = time.time() - 3 * 86_400
    for path in folder.rglob("*"):
        os.utime(path, (old, old))
    files = gateway.workers[0]._files
    await files.sweep()
    assert len(on_disk(folder)) == 1
    assert (await gateway.api("DELETE", f"/api/cache/event/delete?id={event['id']}")).status_code == 200
    await files.sweep()
    assert on_disk(folder) == []


async def test_links_without_an_end_want_credentials(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """`link_ttl` 0: no signature in the link, and the API's credentials open it."""
    gateway = await started(make_gateway, sim, tmp_path / "files", hook("h1", receiver.url()), link_ttl=0)
    found = stored(sim)
    await post(gateway, message(sim, found))
    (got,) = await receiver.wait()
    url = got.json["media"]["url"]
    assert "?" not in url
    path = url.removeprefix("https://files.example")
    assert (await gateway.client.get(gateway.base + path)).status_code == 401
    assert (await gateway.api("GET", path)).content == found.content


@pytest.mark.parametrize(
    ("hooks", "file", "said"),
    [
        ({}, None, "not fetched"),
        ({"h1": WAITING}, Record(error="the file did not come in time"), "the file did not come in time"),
        ({"_media": WAITING, "h1": WAITING}, None, "being fetched"),
        ({"_media": WAITING, "h1": WAITING}, Record(error="the file did not come in time"), "being fetched"),
    ],
)
def test_a_listing_says_what_keeps_a_file_away(hooks: dict[str, HookState], file: Record | None, said: str) -> None:
    """One that is on its way has not failed, also when a replay fetches it once more."""
    event = Event(1, "message.received", "shop", b'{"id": "wamid.1", "type": "image", "image": {"id": "1"}}')
    shown = view(Cached("1790000000000-0", event, "waiting", hooks, file))
    assert msgspec.json.decode(shown.payload)["media"]["error"] == said


async def test_files_that_wait_are_seen(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """What is being fetched, and what waits for a place, stands in cache and metrics as due at `_media`."""
    gateway = await started(make_gateway, sim, tmp_path / "files", hook("h1", receiver.url()), concurrency=1)
    sim.world.knobs.drip = 1.0
    await post(gateway, *(message(sim, stored(sim, content=b"%d" % n * 5, fault="slow", times=1)) for n in range(3)))

    async def seen() -> bool:
        return 'whatshooked_hook_due{hook="_media"} 3.0' in (await gateway.client.get(f"{gateway.base}/metrics")).text

    await until(seen)
    for event in await gateway.cached(3):
        assert event["hooks"].keys() == {"_media", "h1"}
        assert event["payload"]["media"]["error"] == "being fetched"
    sim.world.knobs.drip = 0.01  # seen: the rest may come
    assert len(await receiver.wait(3)) == 3


@pytest.mark.parametrize("mode", ["link", "both"])
async def test_a_bucket_holds_the_files(
    mode: str, make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """From Meta through a worker into S3, and out by the payload's link: a redirect that any client follows."""
    bucket = Bucket.start()
    try:
        bucket.open()
        media = {"storage": f"s3://{BUCKET}/{PREFIX}", "storage_options": bucket.options}
        gateway = await started(make_gateway, sim, tmp_path / "way", hook("h1", receiver.url()), mode=mode, **media)
        found = stored(sim, "document")
        await post(gateway, message(sim, found, "document"))
        (got,) = await receiver.wait()
        told = got.json["media"]
        assert "error" not in told
        link = told["url"].replace("https://files.example", gateway.base)
        answer = await gateway.client.get(link, follow_redirects=True)
        assert (answer.status_code, answer.content) == (200, found.content)
        assert 'filename="sample.pdf"' in answer.headers["content-disposition"]
        assert mode == "link" or base64.b64decode(told["base64"]) == found.content
        assert on_disk(tmp_path / "way") == []
        assert [path for path in (tmp_path / "way").rglob("*") if path.is_file()] == []
    finally:
        bucket.stop()
