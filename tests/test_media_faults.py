"""Files that do not come, come wrong, or cannot be kept: the message goes out all the same, and says why."""

import asyncio
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Gateway, hook
from tests.disks import disk_of
from tests.files import downloads, lookups, message, of_meta, on_disk, post, quiet, stored
from tests.receiver import Receiver, status
from tests.simulated import Meta, simulated
from tests.streams import until
from whatshooked import metrics
from whatshooked.simulator.world.model import MediaFault

MakeGateway = Callable[..., Gateway]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other within milliseconds; how long they wait is another test's business."""
    monkeypatch.setattr("workers.fetch_retry.SCHEDULE", (0.01, 0.01, 0.01, 0.05, 0.2))


async def started(make: MakeGateway, sim: Meta, folder: Path, receiver: Receiver, **media: Any) -> Gateway:
    """A running gateway with one hook; what it waits for a file is short."""
    section = {"data_path": str(folder), "base_url": "https://files.example", "max_wait": 3} | media
    gateway = make(hook("h1", receiver.url()), accounts=[of_meta(sim)], media=section)
    await gateway.start()
    return gateway


def fetches(result: str) -> float:
    """How many tries this process has counted under a result."""
    return float(metrics.MEDIA_FETCHES.labels(result)._value.get())


async def error_of(receiver: Receiver, count: int = 1) -> str:
    """The error of the file of the last message that arrived."""
    told = (await receiver.wait(count))[-1].json["media"]
    assert not told.keys() & {"url", "base64"}
    return str(told["error"])


@pytest.mark.parametrize(
    ("fault", "result", "said"),
    [
        ("wrong_hash", "wrong_hash", "sha256 differs"),
        ("short", "wrong_hash", "sha256 differs"),
        ("truncated", "network", ""),
        ("endless", "too_large", "media.max_bytes"),
        ("oversize", "too_large", "media.max_bytes"),
    ],
)
async def test_a_file_that_is_wrong_becomes_an_error(
    fault: MediaFault, result: str, said: str, make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """Whatever comes in place of the file: no partial file is ever seen, the message goes out, the cause is counted."""
    folder, before = tmp_path / "files", fetches(result)
    gateway = await started(make_gateway, sim, folder, receiver, max_bytes=50_000)
    await post(gateway, message(sim, stored(sim, fault=fault)))
    seen: set[Path] = set()

    async def out() -> bool:
        seen.update(on_disk(folder))
        return bool(receiver.received)

    await until(out)
    assert said in await error_of(receiver)
    assert seen == set()
    assert fetches(result) > before
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    await gateway.cached(0)


@pytest.mark.parametrize("fault", ["wrong_hash", "truncated", "short"])
async def test_the_next_try_has_a_new_url(
    fault: MediaFault, make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """A download that fails once is made again with a URL of its own, and the message has its file."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver)
    found = stored(sim, fault=fault, times=1)
    await post(gateway, message(sim, found))
    assert "error" not in (await receiver.wait())[0].json["media"]
    assert (lookups(sim, found), len(downloads(sim, found))) == (1, 2)


async def test_a_url_that_expired_is_asked_for_again(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """404 of the file host: another look-up."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver)
    found = stored(sim)
    sent = message(sim, found)
    found.urls.clear()
    await post(gateway, sent)
    assert "error" not in (await receiver.wait())[0].json["media"]
    assert lookups(sim, found) == 1


async def test_a_redirect_takes_no_token_to_another_host(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """On the same host the token goes along, to another not; both files arrive, since their hash proves them."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver)
    near, far = stored(sim, fault="redirect"), stored(sim, content=b"far", fault="redirect_away")
    await post(gateway, message(sim, near), message(sim, far))
    for one in await receiver.wait(2):
        assert "error" not in one.json["media"]
    assert [one["authorization"] for one in downloads(sim, near)] == [True, True]
    first, second = downloads(sim, far)
    assert (first["authorization"], second["authorization"]) == (True, False)
    assert first["host"] != second["host"]


async def test_a_drip_ends_with_the_wait(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """A byte now and then is no file: the message goes out when it has waited long enough, and not later."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=1.5)
    sim.world.knobs.drip = 0.5
    start = asyncio.get_running_loop().time()
    await post(gateway, message(sim, stored(sim, fault="slow")))
    assert "in time" in await error_of(receiver)
    assert 1.0 < receiver.received[0].at - start < 2.5


async def test_a_slow_file_is_waited_for(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that outlasts several leases keeps them: it is made once."""
    monkeypatch.setattr("workers.media.LEASE_MS", 600)
    monkeypatch.setattr("workers.consumer.LEASE_MS", 600)
    monkeypatch.setattr("workers.media.RENEW_EVERY", 0.1)
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=20)
    sim.world.knobs.drip = 0.2
    found = stored(sim, content=b"ten  bytes", fault="slow")
    await post(gateway, message(sim, found))
    assert "error" not in (await receiver.wait())[0].json["media"]
    assert len(downloads(sim, found)) == 1


async def test_an_id_that_is_gone_is_asked_for_once(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """Meta has forgotten it: the message goes out at once, and one look-up has failed."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=60)
    found = stored(sim)
    sent = message(sim, found, url=False)
    del sim.state.media[found.id]
    await post(gateway, sent)
    assert "Meta has no such file" in await error_of(receiver)
    assert lookups(sim, found) == 1


async def test_no_look_up_that_must_fail_is_made(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """Ids that are none of Meta's, and messages older than a file's life, cost no call: failed ones are counted."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=60)
    found = stored(sim)
    odd = message(sim, found)
    odd["image"] = {"id": "../me?method=delete", "mime_type": "image/jpeg"}
    await post(gateway, odd, message(sim, found, timestamp="1700000000"))
    said = {one.json["media"]["error"] for one in await receiver.wait(2)}
    assert len(said) == 2
    assert (lookups(sim, found), downloads(sim, found)) == (0, [])
    assert not [call for call in sim.world.calls if "/me" in call.path]


async def test_failed_look_ups_end_at_five_an_hour(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """Meta blocks a number after more than five: whatever comes, the sixth is not made, by no worker."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=20)
    await gateway.add_worker()
    gone = [stored(sim, content=b"%d" % n) for n in range(12)]
    sent = [message(sim, found, url=False) for found in gone]
    sim.state.media.clear()
    await post(gateway, *sent)
    said = [one.json["media"]["error"] for one in await receiver.wait(12)]
    assert sum(lookups(sim, found) for found in gone) == 5
    assert sum("five look-ups failed" in error for error in said) == 7


async def test_good_look_ups_cost_nothing(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """More than five that go well within an hour are all made."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=20)
    await post(gateway, *(message(sim, stored(sim, content=b"%d" % n), url=False) for n in range(30)))
    assert all("error" not in one.json["media"] for one in await receiver.wait(30))


async def test_a_webhook_without_proof_has_no_url(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """Without an app secret anybody can post a webhook: our token goes to no URL that stands in it."""
    section = {"data_path": str(tmp_path / "files"), "base_url": "https://files.example"}
    gateway = make_gateway(hook("h1", receiver.url()), accounts=[of_meta(sim, app_secret=[])], media=section)
    await gateway.start()
    found = stored(sim)
    await post(gateway, message(sim, found))
    await receiver.wait()
    assert lookups(sim, found) == 1
    assert all("source=webhook" not in call.path for call in sim.world.calls)


async def test_a_replay_fetches_again(make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path) -> None:
    """A message that went out without its file has it when it is replayed, once the file can be had."""
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver)
    found = stored(sim, fault="wrong_hash")
    await post(gateway, message(sim, found))
    assert "sha256" in await error_of(receiver)
    await gateway.cached(0)
    found.fault = ""
    event_id = receiver.received[0].json["event_id"]
    answer = await gateway.api("POST", f"/api/cache/event/replay?id={event_id}&again=true")
    assert answer.json() == {"replayed": 1}
    _, again = await receiver.wait(2)
    assert "error" not in again.json["media"]
    assert again.headers["webhook-replay"] == "true"
    await gateway.cached(0)


async def test_a_hook_that_failed_gets_the_file_and_a_fresh_link(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry has a link of its own, whose time begins anew."""
    monkeypatch.setattr("whatshooked.hooks.retry.SCHEDULE", (1.1,))
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver)
    receiver.behave = status(503)
    await post(gateway, message(sim, stored(sim)))
    (first,) = await receiver.wait()
    receiver.behave = status(200)
    _, second = await receiver.wait(2)
    ends = [int(re.search(r"expires=(\d+)", one.json["media"]["url"])[1]) for one in (first, second)]  # type: ignore[index]
    assert ends[1] > ends[0]
    await gateway.cached(0)


async def test_an_unknown_account_costs_no_other(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """An account whose token Meta refuses gets its messages without files, at once; its neighbour has them."""
    section = {"data_path": str(tmp_path / "files"), "base_url": "https://files.example"}
    bad = of_meta(sim, "bad", 2)
    bad["business_api"]["access_token"] = "EAAnobody"
    gateway = make_gateway(hook("h1", receiver.url()), accounts=[of_meta(sim), bad], media=section)
    await gateway.start()
    await post(gateway, message(sim, stored(sim)))
    assert "error" not in (await receiver.wait())[0].json["media"]
    await post(gateway, message(sim, stored(sim), url=False), account_id="bad")
    # The body names the first account's number, which has the same secret: the message is that one's.
    assert (await receiver.wait(2))[1].json["account_id"] == "business"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own with a hundred kilobytes."""
    with disk_of("100k", tmp_path / "disk") as folder:
        yield folder


async def test_a_full_disk_keeps_no_message(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, small_disk: Path
) -> None:
    """What does not fit is an error on its message; the rest is kept, and once there is room a replay brings all."""
    before = fetches("store")
    gateway = await started(make_gateway, sim, small_disk / "files", receiver, max_wait=1)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 60_000)
    large = stored(sim, content=b"y" * 60_000)
    await post(gateway, message(sim, large))
    assert "disk" in await error_of(receiver)
    assert fetches("store") > before
    await post(gateway, message(sim, stored(sim)))
    await receiver.wait(2)
    assert "error" not in receiver.received[1].json["media"]
    ballast.unlink()
    event_id = receiver.received[0].json["event_id"]
    await gateway.api("POST", f"/api/cache/event/replay?id={event_id}&again=true")
    await receiver.wait(3)
    assert "error" not in receiver.received[2].json["media"]


async def test_a_read_only_folder_keeps_no_message(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, small_disk: Path
) -> None:
    """The message goes out and names the folder."""
    gateway = await started(make_gateway, sim, small_disk / "files", receiver, max_wait=1)
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", str(small_disk)], check=True)
    await post(gateway, message(sim, stored(sim)))
    assert "read-only" in (await error_of(receiver)).lower()


async def test_a_stop_hands_downloads_back(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path
) -> None:
    """A worker that is told to stop amid a download leaves it to the next one at once, and nothing behind."""
    folder = tmp_path / "files"
    gateway = await started(make_gateway, sim, folder, receiver, max_wait=30)
    sim.world.knobs.drip = 0.5
    found = stored(sim, fault="slow", times=1)
    await post(gateway, message(sim, found))

    async def downloading() -> bool:
        return bool(downloads(sim, found))

    await until(downloading)
    await gateway.stop_workers()
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    await gateway.add_worker()
    (got,) = await receiver.wait(timeout=5.0)
    assert "error" not in got.json["media"]
    await quiet()
    assert len(receiver.received) == 1


async def test_a_fetch_that_died_is_made_by_another_worker(
    make_gateway: MakeGateway, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that ends without an outcome, as after kill -9, is taken by whoever is there; the event goes out once."""
    monkeypatch.setattr("workers.media.LEASE_MS", 500)
    monkeypatch.setattr("workers.consumer.LEASE_MS", 500)
    monkeypatch.setattr("workers.media.RENEW_EVERY", 60.0)  # as one that is dead: it renews nothing
    async with simulated(speed=1.0) as sim:
        gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=30)
        sim.world.knobs.drip = 0.2
        found = stored(sim, content=b"1234567890", fault="slow", times=1)
        await post(gateway, message(sim, found))
        (got,) = await receiver.wait()
        assert "error" not in got.json["media"]
        assert len(downloads(sim, found)) == 2
        await quiet(2.5)  # the first download comes to its end, too late
        assert len(receiver.received) == 1
        await gateway.cached(0)


@pytest.mark.parametrize(
    "place", ["http://[", "https://a b/", "//", "http://127.0.0.1\\@evil.example/", "\x00", "ftp://a/b"]
)
async def test_a_redirect_to_nowhere_ends(
    place: str,
    make_gateway: MakeGateway,
    sim: Meta,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What no URL can be followed to is an error like any other, and the event leaves the cache."""
    monkeypatch.setattr("whatshooked.simulator.media.files._hop", lambda *_: place)
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=1)
    await post(gateway, message(sim, stored(sim, fault="redirect")))
    await error_of(receiver)
    await gateway.cached(0)


async def test_an_error_of_ours_is_not_for_ever(
    make_gateway: MakeGateway, sim: Meta, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch that dies of a bug ends its lease; after some the message goes out without its file, and is let go."""
    for place in ("workers.media.LEASE_MS", "workers.consumer.LEASE_MS"):
        monkeypatch.setattr(place, 200)

    async def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("workers.fetch.Fetch.__call__", broken)
    gateway = await started(make_gateway, sim, tmp_path / "files", receiver, max_wait=60)
    await post(gateway, message(sim, stored(sim)))
    assert "kept ending without an outcome" in await error_of(receiver)
    await gateway.cached(0)
