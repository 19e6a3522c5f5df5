"""What happens is noted in the step that does it, while somebody wants to know, and in bounds."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import meta
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status
from whatshooked.embedded import Embedded
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.stream.activity import Activity, Note, watch
from whatshooked.stream.follow import Group, Live, Record, group_of, lags, shards, trim, unfold
from whatshooked.stream.intake import Addition, Intake
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Message, Outbox
from whatshooked.stream.outbox import Record as OutboxRecord
from whatshooked.stream.turn import take


async def noted(link: Link, keys: Keys, *account_ids: str) -> list[Record]:
    """Return every record there is, in the order of their places."""
    live = Live(link, shards(keys, account_ids))
    await live.begin(back_ms=600_000)
    found: list[Record] = []
    while some := await live.look():
        found += some
    return found


def kinds(records: list[Record], *but: str) -> list[str]:
    """Return the types of records, but for those of the account's connection."""
    return [one.told.note.type for one in records if not one.told.note.type.startswith(("whatsapp.", *but))]


async def until(link: Link, keys: Keys, kind: str, *account_ids: str, count: int = 1) -> list[Record]:
    """Return every record once there are so many of a kind; raises TimeoutError."""
    async with asyncio.timeout(20):
        while True:
            found = await noted(link, keys, *account_ids)
            if kinds(found).count(kind) >= count:
                return found
            await asyncio.sleep(0.05)


LOG = {"enabled": True, "targets": []}


async def test_nothing_is_written_while_nobody_wants_to_know(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """With the log off and nobody watching there is no activity stream, whatever happens."""
    gateway = make_gateway(hook("h1", receiver.url(), events=["message.received"]))
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text()), meta.value(statuses=[meta.status()])))
    (parked,) = await gateway.cached(1, state="unmatched")
    await gateway.api("POST", f"/api/cache/event/replay?id={parked['id']}&hook=h1")
    await gateway.cached(0)
    await gateway.api("PATCH", "/api/hooks/h1", json={"active": False})
    await gateway.stop()
    assert await link.call("EXISTS", keys.activity, keys.outbox("business").activity) == 0


async def test_who_watches_makes_it_be_written(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """Every process notices within a second that somebody watches, the log being off."""
    gateway = make_gateway(hook("h1", receiver.url()))
    await gateway.start()
    await watch(link, keys)
    await asyncio.sleep(1.2)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    found = await until(link, keys, "hook.success")
    assert kinds(found) == ["message.received", "hook.triggered", "hook.success"]


async def test_a_duplicate_is_no_news(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """A redelivery of Meta's was noted when it came first."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=LOG)
    await gateway.start()
    body = meta.webhook(meta.value(meta.text()))
    for _ in range(3):
        await gateway.post(body)
    await until(link, keys, "hook.success")
    assert kinds(await noted(link, keys)).count("message.received") == 1


async def test_failures_until_the_end_are_noted_with_what_comes_of_them(
    make_gateway: Callable[..., Gateway],
    receiver: Receiver,
    link: Link,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each attempt that fails says whether there is another one; the last that the event is given up."""
    monkeypatch.setattr("whatshooked.hooks.retry.SCHEDULE", (0.05,))
    receiver.behave = status(503)
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=LOG)
    await gateway.start()
    await gateway.post(meta.webhook(meta.value(meta.text())))
    found = await until(link, keys, "hook.failed", count=2)
    failed = [one.told.note for one in found if one.told.note.type == "hook.failed"]
    assert [(note.state, note.attempt, note.status, note.error) for note in failed] == [
        ("retrying", 1, 503, "HTTP 503"),
        ("dead", 2, 503, "HTTP 503"),
    ]
    began = [one.told for one in found if one.told.note.type == "hook.triggered"]
    assert [told.attempt or told.note.attempt for told in began] == [1, 2]


async def test_what_operators_do_is_noted_with_who(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """Replays, deletions, a cleared cache and switched hooks name the caller of the API."""
    gateway = make_gateway(hook("h1", receiver.url(), events=["message.read"]), event_logger=LOG)
    await gateway.start()
    await gateway.post(meta.webhook(*(meta.value(meta.text()) for _ in range(3))))
    one, two, _ = await gateway.cached(3, state="unmatched")
    await gateway.api("POST", f"/api/cache/event/replay?id={one['id']}&hook=h1")
    await gateway.api("DELETE", f"/api/cache/event/delete?id={two['id']}")
    await gateway.cached(1)
    await gateway.api("DELETE", "/api/cache/clear?confirm=true")
    await gateway.api("PATCH", "/api/hooks/h1", json={"active": False})
    found = [one.told for one in await until(link, keys, "config.hook_switched")]
    done = [told for told in found if told.note.actor]
    assert [told.note.type for told in done] == [
        *("event.replayed", "event.deleted", "event.deleted", "config.hook_switched"),
    ]
    assert {told.note.actor for told in done} == {"api:auth_key@127.0.0.1"}
    assert [told.subject for told in done[:2]] == [one["id"], two["id"]]
    assert kinds(await noted(link, keys)).count("event.unmatched") == 3


async def test_a_reload_is_noted_by_each_process(
    make_gateway: Callable[..., Gateway], receiver: Receiver, link: Link, keys: Keys
) -> None:
    """A worker that reads its config again says whether it took it."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=LOG)
    await gateway.start()
    (worker,) = gateway.workers
    worker.reload()
    await until(link, keys, "config.reloaded")
    gateway.path.write_text("{")
    worker.reload()
    found = await until(link, keys, "config.reloaded", count=2)
    states = [one.told.note.state for one in found if one.told.note.type == "config.reloaded"]
    assert states == ["loaded", "refused"]


async def test_ids_are_unique_and_rise(link: Link, keys: Keys) -> None:
    """Records of one step have ids one behind the other, and no two records the same."""
    activity = Activity(lambda: True)
    for _ in range(300):
        await activity.tell(link, keys, Note("config.reloaded"))
    intake = Intake(link, keys, activity)
    await intake.add([Addition(b"e", uuid.uuid4().bytes, 1, "message.received") for _ in range(600)])
    places = [(one.ms, one.seq) for one in await noted(link, keys)]
    assert len(places) == 900
    assert places == sorted(set(places))


async def test_the_bound_drops_the_oldest_and_counts_them_for_who_loses(link: Link, keys: Keys) -> None:
    """What a target had written is no loss to it; what it had not is counted, record by record."""
    activity = Activity(lambda: True)
    streams = shards(keys, [])
    quick, slow = Group(link, "quick"), Group(link, "slow")
    await slow.read(streams, 1, own=False)
    for _ in range(2_000):
        await activity.tell(link, keys, Note("config.reloaded", error="x" * 100))
    while records := await quick.read(streams, 500, own=False):
        await quick.written(streams, records)
    held = await slow.read(streams, 50, own=False)
    assert len(held) == 50
    await trim(link, streams, ["quick", "slow"], 100_000)
    left = await noted(link, keys)
    assert 0 < len(left) < 1_000
    dropped = await link.call("HGETALL", keys.dropped)
    assert dict(zip(dropped[::2], dropped[1::2], strict=True)) == {
        group_of("slow").encode(): str(2_000 - len(left)).encode()
    }
    again = await slow.read(streams, 5_000, own=True)
    assert again == []
    assert len(await slow.read(streams, 5_000, own=False)) == len(left)
    found = await lags(link, streams, ["quick", "slow"])
    assert (found["quick"].dropped, found["slow"].dropped) == (0, 2_000 - len(left))


async def test_what_all_have_written_goes_after_a_minute(
    link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records stay for who begins to watch, and for the slowest target."""
    activity = Activity(lambda: True)
    streams = shards(keys, [])
    group = Group(link, "file")
    for _ in range(10):
        await activity.tell(link, keys, Note("config.reloaded"))
    records = await group.read(streams, 5, own=False)
    await trim(link, streams, ["file"], 10**9)
    assert len(await noted(link, keys)) == 10
    monkeypatch.setattr("whatshooked.stream.follow.STAYS_MS", 0)
    await trim(link, streams, ["file"], 10**9)
    assert len(await noted(link, keys)) == 10
    await group.written(streams, records)
    await asyncio.sleep(0.01)
    await trim(link, streams, ["file"], 10**9)
    assert len(await noted(link, keys)) in (5, 6)


async def test_nothing_goes_before_a_target_has_begun(link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target of the config whose writer has never run is waited for, and its lag shows."""
    monkeypatch.setattr("whatshooked.stream.follow.STAYS_MS", 0)
    streams = shards(keys, ["business"])
    await Activity(lambda: True).tell(link, keys, Note("config.reloaded"))
    await asyncio.sleep(0.05)
    assert (await lags(link, streams, ["file"]))["file"].seconds > 0
    await trim(link, streams, ["file"], 10**9)
    assert len(await noted(link, keys)) == 1
    assert (await lags(link, streams, ["file"]))["file"].seconds > 0
    assert len(await Group(link, "file").read(streams, 5, own=False)) == 1


async def test_a_group_nobody_writes_any_more_is_ended(link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that left the config holds nothing back; one that another worker still writes is left alone."""
    streams = shards(keys, [])
    group = Group(link, "postgres")
    await Activity(lambda: True).tell(link, keys, Note("config.reloaded"))
    await group.read(streams, 5, own=False)
    await trim(link, streams, [], 10**9)
    assert len(await link.call("XINFO", "GROUPS", keys.activity)) == 1
    monkeypatch.setattr("whatshooked.stream.follow.GONE_MS", -1)
    await trim(link, streams, [], 10**9)
    assert await link.call("XINFO", "GROUPS", keys.activity) == []


async def test_the_bound_holds_for_all_shards_together(link: Link, keys: Keys) -> None:
    """However many small entries there are, one pass brings them under it, and each shard gives way in proportion."""
    streams = shards(keys, ["a", "b"])
    for stream, _ in streams.values():
        for _ in range(10):
            await link.batch([("XADD", stream, "*", "n", 1, "r", b"x" * 90)] * 1_000)
    await trim(link, streams, ["file"], 1_000_000)
    sizes = [await link.call("MEMORY", "USAGE", stream) for stream, _ in streams.values()]
    assert sum(sizes) < 1_100_000
    assert min(sizes) > 100_000
    lost = [int(await link.call("HGET", dropped, group_of("file"))) for _, dropped in streams.values()]
    left = [await link.call("XLEN", stream) for stream, _ in streams.values()]
    assert [a + b for a, b in zip(lost, left, strict=True)] == [10_000] * 3


async def test_a_full_redis_loses_nothing_of_the_log(tmp_path: Path) -> None:
    """Turn and groups are taken there too, and what no target has begun to write is not taken for written."""
    server = Embedded.open(tmp_path)
    keys = Keys("full")
    try:
        async with Link(server.url) as link:
            await link.call("XADD", keys.activity, f"{await link.now() - 120_000}-0", "n", 1, "r", b"")
            await link.call("CONFIG", "SET", "maxmemory", "1")
            await trim(link, shards(keys, []), ["file"], 10**9)
            assert await link.call("XLEN", keys.activity) == 1
            assert await take(link, keys, keys.log_writer, "w1", 10) == "taken"
            assert len(await Group(link, "sqlite").read(shards(keys, []), 5, own=False)) == 1
    finally:
        server.close()


async def test_of_many_that_ask_for_a_turn_one_has_it(redis_url: str, link: Link, keys: Keys) -> None:
    """A dead holder's turn is taken once, however many ask at the same moment."""
    links = [Link(redis_url) for _ in range(8)]
    for number in range(30):
        await link.call("SET", keys.log_writer, f"dead{number}")
        names = [f"w{number}-{i}" for i in range(8)]
        await link.batch([("SET", keys.alive(name), "1") for name in names])
        found = await asyncio.gather(
            *(take(one, keys, keys.log_writer, name, 10) for one, name in zip(links, names, strict=True))
        )
        assert sorted(found).count("taken") == 1
        await link.call("DEL", keys.log_writer)
    for one in links:
        await one.close()


async def test_a_group_comes_back_to_all_shards_at_once(link: Link, keys: Keys) -> None:
    """After a flush one read fails, and the next one has every shard again."""
    streams = shards(keys, [f"a{number}" for number in range(20)])
    group = Group(link, "file")
    await group.read(streams, 5, own=False)
    await link.call("DEL", *(stream for stream, _ in streams.values()))
    with pytest.raises(StreamUnavailable):
        await group.read(streams, 5, own=False)
    assert await group.read(streams, 5, own=False) == []


@pytest.mark.parametrize("code", ["131.5", "1e20", "99999999999999999999", "inf", "-1", "abc", "131047"])
async def test_an_odd_code_leaves_its_record_readable(link: Link, keys: Keys, code: str) -> None:
    """Whatever stands where Meta's code should, the entry and its neighbours can be read."""
    outbox = Outbox(link, keys, Activity(lambda: True))
    await outbox.add("a", [Message(id="m1", recipient="491", kind="text", body=b"{}")])
    await link.call(
        "HSET", keys.outbox("a").message("m1"), "code", code, "state", "failed", "error", "to 4915112345678"
    )
    record = OutboxRecord(id="m1", state="failed", at=0, to="491", kind="text", attempts=0, body=b"")
    await outbox.decide("a", record, "resend", actor="me")
    found = [one.told for one in await noted(link, keys, "a")]
    assert [told.note.type for told in found] == ["outbox.new", "outbox.new"]
    assert found[-1].note.actor == "me"
    assert "4915112345678" not in found[-1].note.error


def test_what_a_newer_version_wrote_is_told_as_such() -> None:
    """An entry that cannot be read leaves as many rows as it has records."""
    found = list(unfold("0", "5-1002", [b"n", b"3", b"r", b"\xc1"]))
    assert [(one.ms, one.seq, one.told.note.type) for one in found] == [
        (5, 1000, "event.unreadable"),
        (5, 1001, "event.unreadable"),
        (5, 1002, "event.unreadable"),
    ]
