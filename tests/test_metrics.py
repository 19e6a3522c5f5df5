"""What the metrics show of an installation: the same in every process, and each thing once."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.receiver import Receiver, status
from tests.scraped import read, scrape
from tests.streams import until
from whatshooked.keys import GROUP, Keys
from whatshooked.scrape import Scrape
from whatshooked.stream.link import Link

MakeGateway = Callable[..., Gateway]
#: What is shown, by name and values of labels (in the order of their names).
EXPECTED = {
    ("account_connected", "shop"): 0,
    ("account_connected", "business"): 1,
    ("token_days_left", "business"): float("inf"),
    ("account_silent_hours", "shop"): 5,
    ("hook_active", "switch", "h1"): 0,
    ("hook_active", "file", "h2"): 0,
    ("cache_limit_events",): 77,
    ("cache_events", "waiting"): 0,
    ("workers_alive",): 1,
    ("media_files",): 3,
    ("media_bytes",): 4096,
    ("redis_up",): 1,
    ("redis_durable",): 1,
    ("redis_aof", "enabled"): 1,
    ("redis_aof", "write_ok"): 1,
    ("log_dropped", "file"): 0,
    ("hook_due", "_media"): 0,
}


async def test_the_installation_is_shown_as_redis_has_it(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys, tmp_path: Path
) -> None:
    """Two web processes show the same facts, though neither made them, and each goes when it is over."""
    gateway = make_gateway(
        hook("h1", receiver.url()),
        hook("h2", receiver.url(), active=False),
        accounts=[account(), account(2, "shop")],
        message_cache={"max_events": 77},
        event_logger={"enabled": True, "targets": ["file"], "file_dir": str(tmp_path / "log")},
    )
    await gateway.start(workers=1)

    async def are_checked() -> bool:
        return all([await link.call("HGET", keys.account(one), "silent_hours") for one in ("business", "shop")])

    await until(are_checked)  # they are not looked at again for a minute
    await link.call("HSET", keys.account("shop"), "state", "failed:190", "token_expires", "", "silent_hours", "5")
    await link.call("HSET", keys.account("business"), "state", "connected", "token_expires", "0")
    await link.call("HSET", keys.switches, "h1", '{"active":false,"file":true}')
    await link.call("HSET", keys.media_totals, "files", 3, "bytes", 4096)
    other = Scrape(lambda: gateway.config, keys, gateway.url)
    found, same = await scrape(gateway), read((await other.text()).decode())
    shown = {(f"whatshooked_{name}", *labels): value for (name, *labels), value in EXPECTED.items()}
    for answer in (found, same):
        assert {key: answer.get(key) for key in shown} == shown
        assert answer["whatshooked_redis_memory_bytes",] > 100_000
        assert answer["whatshooked_redis_memory_limit_bytes",] > 0
        assert answer["whatshooked_api_version_days_left", "shop"] > 0
        assert ("whatshooked_token_days_left", "shop") not in answer
        assert 0 < answer["whatshooked_disk_free_bytes", "log"] <= answer["whatshooked_disk_size_bytes", "log"]
    await gateway.stop_workers()
    assert (await scrape(gateway))["whatshooked_workers_alive",] == 0
    await link.call("DEL", keys.switches, keys.account("shop"))
    left = read((await other.text()).decode())
    assert left["whatshooked_hook_active", "file", "h1"] == 1
    assert ("whatshooked_account_connected", "shop") not in left
    await other.close()


async def test_what_no_hook_wanted_has_no_age(make_gateway: MakeGateway, receiver: Receiver, link: Link) -> None:
    """The oldest cached event is one that a hook wants: what none wanted lies there as it should, for days."""
    gateway = make_gateway(hook("h1", receiver.url(), events=["message.received"]))
    await gateway.start(workers=1)
    await gateway.post(meta.webhook(meta.value(statuses=[meta.status()])))
    (unwanted,) = await gateway.cached(1, state="unmatched")
    await asyncio.sleep(1.1)  # an age is told in whole seconds of Redis' clock
    assert (await scrape(gateway))["whatshooked_cache_oldest_seconds",] == 0
    receiver.behave = status(503)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    wanted = next(one for one in await gateway.cached(2) if one["id"] != unwanted["id"])
    await asyncio.sleep(1.1)
    age = await link.now() / 1000 - int(wanted["id"].partition("-")[0]) / 1000
    assert (await scrape(gateway))["whatshooked_cache_oldest_seconds",] == pytest.approx(age, abs=1.0)


async def test_an_event_that_was_acknowledged_by_hand_is_unaccounted_for(
    gateway: Gateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """XACK takes it out of the cache, and no hook has it: the metric says how many there are of that kind."""
    receiver.behave = status(503)
    await gateway.post(meta.webhook(meta.value(meta.text())))
    (cached,) = await gateway.cached(1)
    assert (await scrape(gateway))["whatshooked_events_unaccounted",] == 0
    await link.call("XACK", keys.events, GROUP, cached["id"])
    assert (await scrape(gateway))["whatshooked_events_unaccounted",] == 1


async def test_one_look_takes_as_many_round_trips_with_many_hooks(
    make_gateway: MakeGateway, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty hooks and nine accounts cost what one does."""
    trips: list[int] = []
    batch = Link.batch

    async def counted(self: Link, commands: Any, **more: Any) -> Any:
        trips[-1] += 1
        return await batch(self, commands, **more)

    monkeypatch.setattr(Link, "batch", counted)
    for hooks, accounts in ((1, 1), (50, 9)):
        gateway = make_gateway(
            *(hook(f"h{n}", "http://127.0.0.1:9/") for n in range(hooks)),
            accounts=[account(n, f"a{n}") for n in range(accounts)],
            event_logger={"enabled": True},
        )
        gateway.write()
        config = gateway.config
        trips.append(0)
        found = Scrape(lambda config=config: config, keys, redis_url)  # type: ignore[misc] # a default binds it
        await found.known()
        await found.close()
    assert trips[0] == trips[1] <= 7


async def test_what_a_webhook_brings_is_counted_once_a_kind(gateway: Gateway) -> None:
    """How late its oldest event is, by Meta's time, and what nobody understood; a redelivery says nothing of that."""
    now = int(time.time())
    odd = meta.text(type="hologram", timestamp=str(now - 40))
    value = meta.value(odd, meta.text(timestamp=str(now - 90)), meta.text(id=""))
    value["statuses"] = [meta.status("teleported", timestamp=str(now - 7))]
    value["surprise"] = {"a": 1}
    body = meta.webhook(value, meta.value(meta.text(), account=7))
    before = await scrape(gateway)
    for _ in range(2):
        assert (await gateway.post(body)).status_code == 200
    found = await scrape(gateway)

    def rise(name: str, *labels: str) -> float:
        key = (f"whatshooked_{name}", *labels)
        return found.get(key, 0.0) - before.get(key, 0.0)

    assert rise("meta_lag_seconds_count", "message") == rise("meta_lag_seconds_count", "status") == 1
    assert 90 <= rise("meta_lag_seconds_sum", "message") < 100
    assert 7 <= rise("meta_lag_seconds_sum", "status") < 17
    kinds = ("unknown_type", "unknown_status", "unknown_part", "no_id", "no_owner", "unknown_field", "unreadable_item")
    assert {kind: rise("decode_leftovers_total", kind) for kind in kinds} == {
        **dict.fromkeys(kinds[:5], 1.0),
        **dict.fromkeys(kinds[5:], 0.0),
    }


async def test_attempts_are_seen_while_they_are_made(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """In flight up to the hook's concurrency; those that fail are counted as tried again; what is gone as vanished."""
    gate = asyncio.Event()
    refuse = status(503)

    async def slowly(request: Any, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await refuse(request, writer)

    receiver.behave = slowly
    gateway = make_gateway(hook("slow", receiver.url(), concurrency=2))
    await gateway.start()
    before = await scrape(gateway)
    await gateway.post(meta.webhook(meta.value(*(meta.text() for _ in range(5)))))
    key = ("whatshooked_hook_in_flight", "slow")

    async def are_in_flight(count: int = 2) -> bool:
        return (await scrape(gateway))[key] == count

    await until(are_in_flight)
    gate.set()

    async def are_retried() -> bool:
        found = await scrape(gateway)
        return found["whatshooked_retries_total", "slow"] - before["whatshooked_retries_total", "slow"] == 5

    await until(are_retried)
    await until(lambda: are_in_flight(0))
    ids = [row.decode() for row in await link.call("ZRANGE", keys.due("slow"), 0, -1)]
    await link.call("XDEL", keys.events, *ids)
    for one in ids:
        await link.call("ZADD", keys.due("slow"), 1, one)

    async def are_missed() -> bool:
        found = await scrape(gateway)
        return found["whatshooked_events_vanished_total",] - before["whatshooked_events_vanished_total",] == 5

    await until(are_missed)


async def test_a_lease_that_ended_without_an_outcome_is_counted(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys
) -> None:
    """Once, by whoever takes it anew; a retry is none, and no lease that was given back unused."""
    receiver.behave = status(503)
    gateway = make_gateway(hook("lost", receiver.url()))
    await gateway.start()
    before = (await scrape(gateway))["whatshooked_leases_expired_total", "lost"]
    await gateway.post(meta.webhook(meta.value(meta.text())))
    await receiver.wait(1)

    async def waits() -> bool:
        states = [one["hooks"]["lost"]["state"] for one in await gateway.cached(1)]
        return states == ["retrying"]

    await until(waits)
    (event_id,) = [row.decode() for row in await link.call("ZRANGE", keys.due("lost"), 0, -1)]
    await link.call("ZADD", keys.due("lost"), 1, event_id)
    await receiver.wait(2)
    await until(waits)
    assert (await scrape(gateway))["whatshooked_leases_expired_total", "lost"] == before
    for n, (state, rise) in enumerate((("w|2|1|0|503|", 0), ("l|3|1|0|503|", 1)), 3):
        await link.call("HSET", keys.open(event_id), "lost", state)
        await link.call("ZADD", keys.due("lost"), 1, event_id)
        await receiver.wait(n)
        await until(waits)
        assert (await scrape(gateway))["whatshooked_leases_expired_total", "lost"] == before + rise


async def test_every_loop_shows_that_it_turns(gateway: Gateway) -> None:
    """Each of the worker's loops is there, and came round just now; one that ended is not."""
    found = await scrape(gateway)
    loops = {key[1]: value for key, value in found.items() if key[0] == "whatshooked_worker_loops"}
    assert loops == dict.fromkeys(gateway.workers[0]._loops, 1.0) and len(loops) == 10
    start = time.time()
    quick = [name for name in loops if name not in ("files", "upkeep", "credentials", "fetcher", "recovery")]

    async def came_round() -> bool:
        now = await scrape(gateway)
        return all(now["whatshooked_loop_turn_timestamp_seconds", name] > start for name in quick)

    await until(came_round)
    await gateway.stop_workers()
    after = await scrape(gateway)
    assert {after["whatshooked_worker_loops", name] for name in loops} == {0.0}
