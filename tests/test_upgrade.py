"""Upgrades and their way back: entries and keys of another version are read, or left alone, and never lost."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests import meta, newer
from tests.conftest import REPO, Gateway, hook
from tests.receiver import Receiver, status
from tests.streams import LONG, Rig, a_hook, until
from whatshooked import events
from whatshooked.errors import NewerEntry
from whatshooked.events import Event
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import GROUP, MEDIA_HOOK, NEWER, PARKED, Keys
from whatshooked.meta.person import Person
from whatshooked.stream.consume import Entry, Park, Route, Want
from whatshooked.stream.fsck import examine
from whatshooked.stream.intake import Addition, Intake
from whatshooked.stream.leases import LEASES_TO_POISON
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Outbox
from whatshooked.stream.person_events import PersonEvents
from whatshooked.stream.record import record
from whatshooked.stream.upkeep import Limits, Upkeep

MakeGateway = Callable[..., Gateway]
Processes = Callable[..., "subprocess.Popen[bytes]"]
#: Who owns entries of the version that tests/newer.py plays.
BEYOND = f"{NEWER}{newer.VERSION}"


def _event(text: str = "hello") -> Event:
    raw = json.dumps(meta.text(text)).encode()
    return Event(newer.VERSION, "message.received", "business", raw, to=meta.PHONE)


async def _add(intake: Intake, count: int = 1) -> list[str]:
    """Append entries of the later version; returns their ids."""
    rows = [Addition(newer.encode(_event()), uuid.uuid4().bytes, 20_000) for _ in range(count)]
    return [added.id for added in await intake.add(rows)]


async def _owned(link: Link, keys: Keys, consumer: str = BEYOND) -> list[str]:
    """Return the ids of a consumer's pending entries."""
    rows = await link.call("XPENDING", keys.events, GROUP, "-", "+", 10_000, consumer)
    return [row[0].decode() for row in rows]


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Start real workers: of this version (`whatshooked`), or of the later one (`tests.newer`)."""
    found: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> "subprocess.Popen[bytes]":
        counts = tmp_path / f"metrics-{len(found)}"
        counts.mkdir()
        environment = os.environ | {"PYTHONPATH": str(REPO), "PROMETHEUS_MULTIPROC_DIR": str(counts)}
        command = [sys.executable, "-m", module, *arguments]
        with (tmp_path / f"log-{len(found)}").open("wb") as log:
            found.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log))
        return found[-1]

    yield start
    for process in found:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in found:
        process.wait(40)


def test_a_field_at_the_end_keeps_the_version() -> None:
    """An entry with fields that this version does not know is read as it is known here."""
    known = msgspec.structs.astuple(Event(1, "message.received", "business", b"{}"))
    assert msgspec.structs.astuple(events.decode(msgspec.msgpack.encode((*known, "trace", 7)))) == known


def test_an_entry_that_lacks_the_last_fields_is_read() -> None:
    """What an earlier release wrote, with fewer fields, is read with their defaults."""
    assert events.decode(msgspec.msgpack.encode((1, "message.read", "a", b"{}"))) == Event(
        1, "message.read", "a", b"{}"
    )


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(newer.encode(_event()), id="of a shape that cannot be read"),
        pytest.param(msgspec.msgpack.encode(_event()), id="of a shape that could be read"),
        pytest.param(msgspec.msgpack.encode((127, None)), id="of the last version there is"),
    ],
)
def test_a_newer_entry_is_told_from_a_broken_one(blob: bytes) -> None:
    """An entry that opens with a higher version is a newer one, whatever follows."""
    with pytest.raises(NewerEntry, match="wait for its workers"):
        events.decode(blob)
    assert events.newer(blob) > events.ENTRY_VERSION


@pytest.mark.parametrize("blob", [b"", b"\xc1", b"{}", msgspec.msgpack.encode((1, 2)), msgspec.msgpack.encode("x")])
def test_a_broken_entry_is_no_newer_one(blob: bytes) -> None:
    """What is no array that opens with a higher version is nobody's: it ends as poison."""
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        events.decode(blob)
    assert events.newer(blob) == 0


async def test_newer_entries_wait_for_their_worker(
    gateway: Gateway, receiver: Receiver, link: Link, keys: Keys, processes: Processes
) -> None:
    """They stand in the cache, whoever restarts meanwhile; each is delivered once when a newer worker comes."""
    ids = await _add(Intake(link, keys), 20)
    assert (await gateway.post(meta.webhook(meta.value(meta.text())))).status_code == 200

    async def handed_on() -> bool:
        return await _owned(link, keys) == ids

    await until(handed_on)
    await gateway.stop_workers()
    await gateway.add_worker()
    await _add(Intake(link, keys), 5)
    shown = await gateway.cached(25, state="waiting")
    assert {one["event"] for one in shown} == {"newer"} and {str(one["hooks"]) for one in shown} == {"{}"}
    assert len(receiver.received) == 1
    assert await examine(link, keys, ["h1"], repair=False) == []
    processes("tests.newer", "worker", "-c", str(gateway.path))
    await gateway.cached(0, timeout=40)
    times = Counter(one.headers["webhook-id"] for one in receiver.received)
    assert len(times) == 26 and set(times.values()) == {1}
    assert await _consumers(link, keys) & {BEYOND} == set()


async def _consumers(link: Link, keys: Keys) -> set[str]:
    rows = await link.call("XINFO", "CONSUMERS", keys.events, GROUP)
    return {row[row.index(b"name") + 1].decode() for row in rows}


async def test_workers_of_two_versions_share_a_stream(
    make_gateway: MakeGateway, receiver: Receiver, link: Link, keys: Keys, processes: Processes
) -> None:
    """While both run, are killed and come back, and a hook refuses for a while: all of both versions arrive."""
    web = make_gateway(hook("h1", receiver.url()), log_level="warn")
    await web.start(workers=0)
    path, sent = str(web.path), set[str]()
    old = [processes("whatshooked", "worker", "-c", path) for _ in range(2)]
    new = processes("tests.newer", "worker", "-c", path)

    async def all_beat() -> bool:
        return len(await link.call("KEYS", keys.alive("*"))) == 3

    await until(all_beat, timeout=40)
    receiver.behave = status(503)
    for n in range(12):
        sent.update(await _add(Intake(link, keys), 10))
        assert (await web.post(meta.webhook(meta.value(*(meta.text() for _ in range(10)))))).status_code == 200
        await asyncio.sleep(0.3)
        if n == 3:
            old[0].kill()
            old[0].wait()
        if n == 5:
            new.kill()
            new.wait()
        if n == 7:
            receiver.behave = status(200)
            processes("whatshooked", "worker", "-c", path)
            processes("tests.newer", "worker", "-c", path)

    async def all_arrived() -> bool:
        return len({one.headers["webhook-id"] for one in receiver.received}) == 240

    await until(all_arrived, timeout=60)
    await web.cached(0, timeout=60)
    assert sent <= {one.headers["webhook-id"].removesuffix(".h1") for one in receiver.received}
    assert await link.call("ZCARD", keys.poison) == 0
    assert await examine(link, keys, ["h1"], repair=False) == []


async def test_a_claim_leaves_newer_entries_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at time and again they never become poison, nor stand in the way of what can be read here."""
    beyond = await _add(rig.intake, 30)
    await rig.route(await rig.read(), "h1", leased=False)
    readable = await rig.routed("h1", count=3, leased=False)
    due = rig.keys.due("h1")
    for _ in range(LEASES_TO_POISON + 2):
        # Their time comes again; each is looked at, and put off.
        await rig.link.batch([("ZADD", due, 1, event_id) for event_id in beyond])
        before = await rig.link.now()
        found = await rig.claim("h1", most=50)
        assert found.poisoned == []
        for lease in found.leases:
            assert lease.event_id in readable
            assert await rig.take(lease.event_id, "h1")
        for event_id in beyond:
            assert 1_000 <= float(await rig.link.call("ZSCORE", due, event_id)) - before < 61_000
    assert await rig.cached() == beyond
    assert await rig.packed(beyond[0], "h1") == b"w|0|0|0|0|"
    await rig.link.batch([("ZADD", due, 1, event_id) for event_id in beyond])
    monkeypatch.setattr(events, "ENTRY_VERSION", newer.VERSION)
    assert [lease.event_id for lease in (await rig.claim("h1", most=50)).leases] == beyond


async def test_what_waits_for_a_file_is_put_off_behind_its_fetch(rig: Rig) -> None:
    """However late a newer worker comes, it fetches the file before it delivers without."""
    (event_id,) = await _add(rig.intake)
    wants = [Want(MEDIA_HOOK, leased=False), Want("h1", leased=False, held=True)]
    routes = [Route(entry.id, Park.YES, wants) for entry in await rig.read()]
    await rig.consumer.route(routes, {MEDIA_HOOK: LONG, "h1": LONG}, hold_ms=0)
    for hook_id in (MEDIA_HOOK, "h1"):
        assert (await rig.claim(hook_id)).leases == []
    fetch, deliver = [await rig.link.call("ZSCORE", rig.keys.due(h), event_id) for h in (MEDIA_HOOK, "h1")]
    assert await rig.link.now() < float(fetch) <= float(deliver)


async def test_handing_on_counts_as_no_claim(rig: Rig) -> None:
    """An entry that goes through the hands of old workers does not come nearer to poison."""
    await _add(rig.intake)
    (entry,) = await rig.read()
    for name in ("w2", "w3", "w4", "w5", "w6", "w7", "w8"):
        await rig.consumer.hand_on({entry.id: newer.VERSION})
        await rig.link.call("XCLAIM", rig.keys.events, GROUP, name, 0, entry.id)  # as RECOVER does
        rig.consumer = rig.worker(name)
    assert (await rig.link.call("XPENDING", rig.keys.events, GROUP, entry.id, entry.id, 1))[0][3] == 1


async def test_only_what_a_worker_owns_is_handed_on(rig: Rig) -> None:
    """An entry that another process took over meanwhile stays with that one."""
    await _add(rig.intake)
    (entry,) = await rig.read()
    assert await rig.worker("w2").hand_on({entry.id: newer.VERSION}) == 0
    assert await _owned(rig.link, rig.keys, "w1") == [entry.id]


async def test_recovery_takes_what_its_version_can_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries kept for version 2 are dead to version 2 and 3, and to no older one."""
    await _add(rig.intake)
    (entry,) = await rig.read()
    await rig.consumer.hand_on({entry.id: newer.VERSION})
    assert BEYOND not in await rig.worker("w2").dead_consumers()
    for version in (2, 3):
        monkeypatch.setattr(events, "ENTRY_VERSION", version)
        assert BEYOND in await rig.worker("w2").dead_consumers()
    recovered = await rig.worker("w2").recover(BEYOND)
    assert recovered.finished and [one.id for one in recovered.entries] == [entry.id]


async def test_operators_treat_newer_entries_right(rig: Rig) -> None:
    """Replay, clear, limits, history and removed hooks leave what waits for a newer worker; deleting takes it."""
    beyond = await _add(rig.intake, 2)
    await rig.consumer.hand_on(dict.fromkeys([entry.id for entry in await rig.read()], newer.VERSION))
    assert await rig.operator.replay(beyond) == dict.fromkeys(beyond, 0)
    assert await rig.operator.replay(beyond, hook_id="h1", again=True) == dict.fromkeys(beyond, 0)
    assert await rig.operator.clear() == 0
    upkeep = Upkeep(rig.link, rig.keys, rig.operator)
    limits = Limits(max_events=0, max_age_ms=0, history_ms=0, history_bytes=0)
    assert await upkeep.enforce(limits, ["h1"]) == ({}, {})
    assert await upkeep.forget(limits) == 0
    assert await upkeep.drop_removed([]) == {}
    assert await rig.examine(repair=True) == []
    stats = await rig.cache.stats()
    assert (stats.by_state, stats.by_event) == (Counter(waiting=2), Counter(newer=2))
    assert await rig.operator.delete(beyond[0])
    assert await rig.cached() == await _owned(rig.link, rig.keys) == beyond[1:]


async def test_what_a_newer_worker_parked_is_looked_at_by_old_ones(rig: Rig) -> None:
    """Dead and unmatched, they count and are replayed by whoever reads them; an old replay takes nothing away."""
    dead, unmatched = await _add(rig.intake, 2)
    now = (await rig.route(entries := await rig.read(), "h1")).now
    assert [entry.id for entry in entries] == [dead, unmatched]
    assert await rig.take(unmatched, "h1")
    assert await rig.operator.replay([dead, unmatched]) == {dead: 0, unmatched: 0}
    assert await rig.states(dead) == {"": "waiting", "h1": "in_flight"} and now
    assert await rig.examine() == []


async def test_who_is_forgotten_is_left_in_newer_entries_and_said_so(rig: Rig) -> None:
    """Whose event it is cannot be told here, and it is owed still: it stays, and is named as left."""
    (event_id,) = await _add(rig.intake)
    person = Person({meta.CUSTOMER})

    async def remove(_: object) -> None:
        return None

    found = await PersonEvents(rig.link, rig.keys, person, remove).erase()
    assert (found.newer, found.own, found.busy) == ([event_id], [], [])
    assert await rig.link.call("XLEN", rig.keys.events) == 1


async def test_a_group_that_was_lost_brings_newer_entries_once_more(rig: Rig) -> None:
    """Read again by an old worker though its hooks are open, an entry is kept for a newer one, which parks it."""
    (event_id,) = await _add(rig.intake)
    await rig.route(await rig.read(), "h1", leased=False)
    await rig.link.call("XGROUP", "DESTROY", rig.keys.events, GROUP)
    await rig.consumer.ensure_group()
    (entry,) = await rig.read()
    await rig.consumer.hand_on({entry.id: newer.VERSION})
    assert await rig.examine() == []
    recovered = await rig.worker("w2").recover(BEYOND)
    assert recovered.entries == [Entry(event_id, entry.blob)]
    await rig.route(recovered.entries, "h1", consumer=rig.worker("w2"))
    assert await _owned(rig.link, rig.keys, PARKED) == [event_id]
    assert await rig.packed(event_id, "h1") == b"w|0|0|0|0|"


async def test_a_hook_that_is_gone_gives_newer_entries_up(rig: Rig) -> None:
    """What a removed hook owes is closed whoever wrote it, or it would be owed for ever."""
    (event_id,) = await _add(rig.intake)
    await rig.route(await rig.read(), "h1", leased=False)
    await rig.link.call("ZADD", rig.keys.hooks, 1, "h1")
    rig.hooks = Hooks([a_hook("h2")])
    assert await Upkeep(rig.link, rig.keys, rig.operator).drop_removed(["h2"]) == {"h1": {"waiting": 1}}
    assert await rig.cached() == [] and event_id


def test_what_a_newer_version_notes_of_a_file_is_left_alone() -> None:
    """A field beside those that are known here is not read."""
    rows = [b"filename", b"a.jpg", b"size", b"3", b"thumbnail", b"b.jpg"]
    assert record(rows) == record(rows[:4])


async def test_what_a_newer_version_notes_of_a_message_is_left_alone(link: Link, keys: Keys) -> None:
    """A field of an outgoing message that is not known here neither hides it nor goes."""
    name = keys.outbox("business").message("m1")
    known = {"state": "sent", "at": "1", "to": "4915", "kind": "text", "body": "{}", "tracked": "yes"}
    await link.call("HSET", name, *(part for pair in known.items() for part in pair))
    found = await Outbox(link, keys).get("business", "m1")
    assert found is not None and found.state == "sent"
    assert await link.call("HGET", name, "tracked") == b"yes"
