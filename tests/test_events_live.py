"""What happens, heard as it happens: soon, in order, nothing twice, and within bounds."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import uvicorn

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.event_rows import Ear, listening, reloaded, section, stalled
from tests.receiver import Receiver
from whatshooked.embedded import Embedded
from whatshooked.errors import StreamUnavailable
from whatshooked.eventlog.compose import Composer
from whatshooked.eventlog.row import Row, Wanted, place_of
from whatshooked.keys import Keys
from whatshooked.stream.activity import WATCH_SECONDS, Activity, Note
from whatshooked.stream.follow import Record, shards
from whatshooked.stream.link import Link
from whatshooked.web import flow as flows
from whatshooked.web import live as lives
from whatshooked.web.app import create_app
from whatshooked.web.flow import Flow
from whatshooked.web.live import Listener
from whatshooked.web.server import Server

Make = Callable[..., Gateway]
WATCHED = Activity(lambda: True)


async def happens(link: Link, keys: Keys, *names: str) -> None:
    """Have things happen that are known by their actor."""
    for name in names:
        await WATCHED.tell(link, keys, Note("config.reloaded", actor=name))


async def heard(ear: Ear, last: str) -> list[str]:
    """Return the actors of what was heard, to the one named."""
    found: list[str] = []
    while not found or found[-1] != last:
        found.append(str((await ear.next()).data.get("actor")))
    return found


async def told(gateway: Gateway, ear: Ear, text: str) -> None:
    """Post a text, and hear it come in; with the log off, once the processes know that somebody listens."""
    async with asyncio.timeout(15):
        while True:
            await gateway.post(meta.webhook(meta.value(meta.text(text))))
            with contextlib.suppress(TimeoutError):
                while (await ear.next(1.0)).data.get("text") != text:
                    pass
                return


@pytest.mark.parametrize("enabled", [False, True])
async def test_what_happens_is_heard_within_a_second(
    make_gateway: Make, receiver: Receiver, tmp_path: Path, enabled: bool
) -> None:
    """With the event log off as well: a message comes in, an attempt begins, the hook takes it."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section(tmp_path, enabled=enabled))
    await gateway.start()
    async with listening(gateway) as ear:
        assert ear.answer.headers["content-type"] == "text/event-stream"
        assert ear.answer.headers["cache-control"] == "no-store"
        await told(gateway, ear, "first")
        await asyncio.sleep(0.6)  # whatever of it is still to come
        began = time.monotonic()
        await gateway.post(meta.webhook(meta.value(meta.text("Hello"))))
        found = await ear.next()
        while found.data.get("text") != "Hello":
            found = await ear.next()
        assert time.monotonic() - began < 1.0
        assert (found.event, found.data["type"], found.id) == ("message.received", "message.received", found.data["id"])
        event_id = found.data["event_id"]
        kinds: list[str] = []
        while kinds != ["hook.triggered", "hook.success"]:
            found = await ear.next()
            if found.data.get("event_id") == event_id:
                kinds.append(found.event)


async def test_filters_hold_for_listeners(make_gateway: Make, link: Link, keys: Keys) -> None:
    """Each hears what it asked for."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    async with listening(gateway, "?type=hook.*&state=failed&hook_id=crm") as one, listening(gateway) as other:
        for note in (
            Note("hook.failed", "business", "crm", "failed", error="a"),
            Note("hook.failed", "business", "bot", "failed"),
            Note("hook.success", "business", "crm", "accepted"),
            Note("hook.failed", "business", "crm", "failed", error="b"),
        ):
            await WATCHED.tell(link, keys, note)
        assert [(await one.next()).data["error"] for _ in range(2)] == ["a", "b"]
        assert [(await other.next()).event for _ in range(4)] == [
            f"hook.{s}" for s in ("failed", "failed", "success", "failed")
        ]
    assert (await gateway.api("GET", "/api/events/live?type=No")).status_code == 400


async def test_who_comes_back_hears_what_was_missed_once(
    make_gateway: Make, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Last-Event-ID` goes on behind that row, whatever happens meanwhile; a wrong one begins now."""
    monkeypatch.setattr(flows, "ENTRIES", 5)
    gateway = make_gateway()
    await gateway.start(workers=0)
    names = [f"n{i}" for i in range(60)]
    async with listening(gateway) as ear:
        await happens(link, keys, *names[:3])
        ids = [(await ear.next()).id for _ in range(3)]
    await happens(link, keys, *names[3:20])
    going_on = asyncio.create_task(happens(link, keys, *names[20:]))
    async with listening(gateway, last_event_id=ids[1]) as ear:
        assert await heard(ear, names[-1]) == names[2:]
    await going_on
    for wrong in ("nonsense", "99999999999999-0"):
        async with listening(gateway, last_event_id=wrong) as ear:
            await happens(link, keys, "again")
            assert await heard(ear, "again") == ["again"]


async def test_a_flow_is_in_order_over_all_shards(link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when one shard has far more than a look takes: so one id tells how far somebody came."""
    monkeypatch.setattr(flows, "ENTRIES", 3)
    streams = shards(keys, ["a"])
    out = keys.outbox("a").activity
    since = await link.now()
    await asyncio.sleep(0.005)
    for i in range(40):
        await happens(link, keys, f"n{i}")
        if i % 8 == 0:
            blob = b"\x91" + b"\x92\xa1m\x91\xaaoutbox.new"
            await link.call("XADD", out, "*", "n", "1", "r", blob)
            await asyncio.sleep(0.002)
    flow = Flow(link, streams, since)
    found: list[Record] = []
    async with asyncio.timeout(5):
        while len(found) < 45:
            looked = await flow.look()
            assert all(record.ms < flow.until for record in looked)
            found += looked
    assert found == sorted(found, key=lambda record: (record.ms, record.seq, record.shard))
    assert [one.told.note.actor for one in found if one.shard == "0"] == [f"n{i}" for i in range(40)]
    assert len({(one.shard, one.ms, one.seq) for one in found}) == 45


async def test_a_clock_that_was_set_back_holds_nothing_up(link: Link, keys: Keys) -> None:
    """Ids go on from where they were, and what they name is told at once."""
    flow = Flow(link, shards(keys, []), await link.now())
    await happens(link, keys, "before")
    async with asyncio.timeout(5):
        while not await flow.look():
            pass
    ahead = await link.now() + 3_600_000
    await link.call("XADD", keys.activity, f"{ahead}-0", "n", "1", "r", b"\x91\x92\xa0\x91\xa1x")
    flow.until = ahead + 5  # as if it had looked before the clock was set back
    await happens(link, keys, "after")
    assert [one.told.note.actor for one in await flow.look()] == ["", "after"]


async def test_a_slow_listener_is_told_how_much_it_missed() -> None:
    """Some hundred lines wait, no more; the others are counted in their place."""
    listener = Listener(Wanted(), hears=True)
    for i in range(lives.MOST_LINES + 20):
        listener.put(i, b"%d" % i)
    lines = listener.lines()
    found = [await anext(lines) for _ in range(10)]
    for i in range(1_000, 1_005):
        listener.put(i, b"%d" % i)
    listener.end()
    found += [line async for line in lines]
    assert found[: lives.MOST_LINES] == [b"%d" % i for i in range(lives.MOST_LINES)]
    assert found[lives.MOST_LINES] == b'event: dropped\ndata: {"dropped":20}\n\n'
    assert found[lives.MOST_LINES + 1 :] == [b"%d" % i for i in range(1_000, 1_005)]
    large = Listener(Wanted(), hears=True)
    for i in range(10):
        large.put(i, b"x" * 1_000_000)
    large.end()
    assert [len(line) for line in [line async for line in large.lines()]][:2] == [1_000_000, 1_000_000]
    assert len([line async for line in large.lines()]) == 0


async def test_a_client_that_does_not_read_holds_up_nobody(
    make_gateway: Make, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others hear all; it hears, once it reads again, that there was more."""
    monkeypatch.setattr(lives, "MOST_LINES", 20)
    gateway = make_gateway()
    await gateway.start(workers=0)
    async with stalled(gateway, "/api/events/live") as slow:
        async with listening(gateway) as ear:
            names = [f"n{i}" + "x" * 60_000 for i in range(150)]
            for some in range(0, len(names), 10):
                await happens(link, keys, *names[some : some + 10])
                for name in names[some : some + 10]:
                    assert (await ear.next()).data["actor"] == name
        got = b""
        while (dropped := re.search(rb'event: dropped\ndata: {"dropped":(\d+)}', got)) is None:
            got += await asyncio.to_thread(slow.recv, 1_000_000)
    assert 0 < int(dropped[1]) < len(names)


async def test_redis_away_ends_no_stream(make_gateway: Make, tmp_path: Path) -> None:
    """The stream goes on when it is back, with what happened since."""
    folder = tmp_path / "valkey"
    server = Embedded.open(folder)
    url = server.url
    gateway = make_gateway(redis={"url": url, "prefix": "here"})
    gateway.url = url
    try:
        await gateway.start(workers=0)
        async with listening(gateway) as ear, Link(url) as link:
            await happens(link, Keys("here"), "before")
            assert await heard(ear, "before") == ["before"]
            waiting = asyncio.create_task(ear.next())
            with contextlib.suppress(Exception):
                await link.call("SHUTDOWN", "NOSAVE")
            await asyncio.sleep(1.5)
            assert not waiting.done()
            async with asyncio.timeout(20):
                while True:
                    with contextlib.suppress(Exception):
                        await happens(link, Keys("here"), "after")
                        break
                    await asyncio.sleep(0.1)
            assert (await waiting).data["actor"] == "after"
    finally:
        await gateway.stop()
        server.close()


async def test_nothing_is_lost_when_redis_goes_away_amid_a_look(
    make_gateway: Make, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read already is told once the rest of it can be read."""
    fails = [True, False, True]
    makes = Composer.rows

    async def rows(self: Composer, records: Sequence[Record]) -> list[Row]:
        if fails and fails.pop():
            raise StreamUnavailable("Redis: connection lost")
        return await makes(self, records)

    monkeypatch.setattr(Composer, "rows", rows)
    gateway = make_gateway()
    await gateway.start(workers=0)
    async with listening(gateway) as ear:
        names = [f"n{i}" for i in range(2 * lives._AT_ONCE + 1)]
        await happens(link, keys, *names)
        assert await heard(ear, names[-1]) == names
    assert not fails


async def test_redis_is_read_while_somebody_listens(make_gateway: Make, link: Link, keys: Keys) -> None:
    """The first begins it, and the last ends it: nobody is believed to watch any more."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    assert not await link.call("EXISTS", keys.watched)
    async with listening(gateway) as one:
        assert await link.call("EXISTS", keys.watched)
        async with listening(gateway) as other:
            await happens(link, keys, "a")
            assert (await one.next()).data == (await other.next()).data
        await happens(link, keys, "b")
        assert (await one.next()).data["actor"] == "b"
    await link.call("DEL", keys.watched)
    await asyncio.sleep(WATCH_SECONDS / 4 + 0.5)
    assert not await link.call("EXISTS", keys.watched)
    async with listening(gateway) as again:
        await happens(link, keys, "c")
        assert (await again.next()).data["actor"] == "c"


async def test_listeners_are_bounded(make_gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused with when to come again, and finds room once another has left."""
    monkeypatch.setattr(lives, "MOST_LISTENERS", 2)
    gateway = make_gateway()
    await gateway.start(workers=0)
    async with listening(gateway), listening(gateway):
        refused = await gateway.api("GET", "/api/events/live")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_listeners")
        assert refused.headers["retry-after"] == "10"
    async with asyncio.timeout(5):
        while True:
            async with listening(gateway) as ear:
                if ear.answer.status_code == 200:
                    break


async def test_silence_is_not_the_end(make_gateway: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment says time and again that the connection lives."""
    monkeypatch.setattr(lives, "HEARTBEAT_EVERY", 0.05)
    gateway = make_gateway()
    await gateway.start(workers=0)
    async with listening(gateway) as ear:
        with contextlib.suppress(TimeoutError):
            await ear.next(0.5)
        assert ear.comments > 2


async def test_a_reload_holds_for_those_who_listen(
    make_gateway: Make, receiver: Receiver, link: Link, keys: Keys, tmp_path: Path
) -> None:
    """Numbers are hidden from then on, and a new account's messages are heard."""
    gateway = make_gateway(hook("h1", receiver.url()), event_logger=section(tmp_path))
    await gateway.start(workers=0)
    async with listening(gateway, "?type=message.*,outbox.*") as ear:
        await told(gateway, ear, "first")
        gateway.document["event_logger"]["mask"] = ["numbers", "texts"]
        gateway.document["whatsapp"].append(account(2, "second"))
        await reloaded(gateway)
        await asyncio.sleep(0.3)
        await gateway.post(meta.webhook(meta.value(meta.text("hidden"))))
        found = await ear.next()
        assert found.data["conversation"] == "***********78"
        assert "text" not in found.data
        sent = await gateway.api(
            "POST", "/api/send", json={"account_id": "second", "to": "+4915112345678", "text": "Hi"}
        )
        assert sent.status_code == 202
        found = await ear.next()
        assert (found.event, found.data["account_id"]) == ("outbox.new", "second")
        place = place_of(found.id)
        assert place is not None and place.shard == "out/second"


@contextlib.asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[Server]:
    """Serve a gateway as `serve` does, in this process."""
    gateway.write()
    app = create_app(gateway.config, gateway.url)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http="httptools", interface="asgi3", log_config=None, timeout_graceful_shutdown=10)
    server = Server(config, app.leave)
    running = asyncio.create_task(server._serve(sockets=[listener]))
    gateway.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    while not server.started:
        await asyncio.sleep(0.01)
    yield server
    server.should_exit = True
    await running


async def test_a_stop_ends_all_streams(make_gateway: Make, link: Link, keys: Keys) -> None:
    """At once, cleanly, and with what had happened."""
    gateway = make_gateway()
    async with contextlib.AsyncExitStack() as stack:
        began = 0.0
        async with serving(gateway) as server:
            ears = [await stack.enter_async_context(listening(gateway)) for _ in range(3)]
            late = await stack.enter_async_context(listening(gateway, last_event_id="1-0"))
            await happens(link, keys, "last")
            for ear in (*ears, late):
                assert await heard(ear, "last") == ["last"]
            began = time.monotonic()
            server.should_exit = True
            for ear in (*ears, late):
                with pytest.raises(EOFError):
                    await ear.next()
        assert time.monotonic() - began < 3.0
