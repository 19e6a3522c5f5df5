"""One person forgotten in Redis: every key, and its own files."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests import meta
from tests.forgotten import (
    ANA,
    BO,
    OWN,
    PERSON,
    USER,
    add,
    dump,
    event,
    forget,
    holding,
    quoting,
    routed,
    traces,
    wamid,
)
from tests.streams import ENDED, LONG, Rig
from whatshooked import events
from whatshooked.embedded import Embedded
from whatshooked.events import Event
from whatshooked.keys import Keys
from whatshooked.meta.person import Person
from whatshooked.meta.reply import Reply
from whatshooked.meta.send import Outgoing
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Again, Message, Outbox, Sent
from whatshooked.stream.person import names_of
from whatshooked.stream.person_files import purge_files
from whatshooked.stream.person_names import beside, is_own, masked
from whatshooked.stream.settle import Taken
from whatshooked.stream.uploads import Uploaded


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    """A server of this test's own, in its folder."""
    found = Embedded.open(tmp_path / "redis")
    yield found
    found.close()


@pytest.mark.parametrize("own", OWN)
def test_whose_an_event_is(own: Event) -> None:
    """Sender, recipient, participant, whom it is about, or whom its id names in base64; nobody who is quoted."""
    assert is_own(own, PERSON)
    assert not is_own(quoting(), PERSON)
    assert not is_own(event(contact={"wa_id": BO}, contacts=[{"phones": [{"wa_id": ANA}]}]), PERSON)
    assert not is_own(event(), Person([meta.PHONE]))


def test_names_that_stand_beside_each_other() -> None:
    """Those of one object alone; never a group's id, the business's number, or what is no name."""
    assert list(beside(OWN[0])) == [{ANA, USER}] * 2
    participant = {"recipient_participant_id": ANA, "recipient_participant_user_id": USER}
    group = event(
        "message.read", recipient_id="120363394", recipient_user_id=USER, recipient_type="group", **participant
    )
    assert list(beside(group)) == [{ANA, USER}]
    assert list(beside(event(**{"from": meta.PHONE, "from_user_id": USER}))) == []
    assert list(beside(event(**{"from": ANA, "from_user_id": "2"}, contact={"wa_id": ANA, "user_id": None}))) == []
    assert list(beside(event(**{"from": f"+{ANA}", "from_user_id": USER}))) == [{ANA, USER}]
    assert list(beside(Event(1, "meta.x", "business", b"no json"))) == []


def test_an_event_of_somebody_else_without_the_person() -> None:
    """It says all else that it said, and is JSON still."""
    told = event(text={"body": f"{ANA}: hi, see wa.me/{ANA}!"}, context={"id": wamid(), "from": int(ANA)}, n=1, f=1.5)
    clean = masked(told, PERSON)
    assert not PERSON.is_named(events.encode(clean))
    before, after = json.loads(told.raw), json.loads(clean.raw)
    assert after["text"]["body"] == "forgotten hi, see forgotten!"
    assert after["context"] == {"id": "forgotten", "from": "forgotten"}
    rest = ("id", "from", "timestamp", "type", "n", "f")
    assert {key: after[key] for key in rest} == {key: before[key] for key in rest}
    assert masked(event(), PERSON) != clean and masked(untouched := event(), PERSON) == untouched


async def test_all_names_of_a_person(rig: Rig) -> None:
    """Given one, those that Meta puts beside it are found, step by step, and the number that was dialled."""
    dialled, newer = "5511912345678", "DE.11111109655302741923"
    await add(rig, *OWN, quoting(), event("message.read", recipient_id=ANA, recipient_user_id=newer))
    box = Outbox(rig.link, rig.keys)
    for to in (dialled, BO, "group-id"):
        await box.add("business", [Message(id=to, recipient=to, kind="text", body=b"{}")])
    heads = (await box.due(["business"], 10))["business"]
    for lease in (await box.claim("business", heads, most=9, a_second=99_999)).leases:
        await box.settle(lease, Sent(wamid(BO if lease.message.to == BO else ANA)))
    for name in (ANA, USER, newer):
        assert (await names_of(rig.link, rig.keys, name)).names == {ANA, USER, newer, dialled}
    assert (await names_of(rig.link, rig.keys, BO)).names == {BO}
    with pytest.raises(ValueError, match="country code"):
        await names_of(rig.link, rig.keys, "Ana")


async def planted(rig: Rig) -> None:
    """The person in every kind of place, and somebody else beside them."""
    await add(rig, *OWN)
    await rig.route(await rig.read(), "h1", "h2")
    done = await routed(rig, OWN[0], "h1")
    await rig.take(done, "h1")
    await routed(rig, OWN[0])
    noted = await routed(rig, quoting(), "h1", lease=ENDED)
    await rig.link.call("HSET", rig.keys.media(noted), "filename", f"{wamid()}_1.jpg", "error", f"none for {ANA}")
    await rig.link.call("HSET", rig.keys.open(noted), "h1", f"w|1|0|0|500|HTTP 500: {ANA} is unknown")
    history = await routed(rig, quoting(), "h1")
    await rig.take(history, "h1")
    to_ana = Outgoing(f"+{ANA}", "text", json.dumps({"to": f"+{ANA}"}).encode(), "")
    reply = msgspec.msgpack.encode(("h1", [Reply("business", to_ana)]))
    asking, refused, neighbour = [await routed(rig, event(), "h1") for _ in range(3)]
    assert await rig.settler.record(Taken(asking, "h1", reply))
    assert await rig.settler.record(Taken(refused, "h1", refusal=f"unusable|no such number {ANA}"))
    assert await rig.settler.record(Taken(neighbour, "h1", msgspec.msgpack.encode(("h1", []))))
    box = Outbox(rig.link, rig.keys)
    messages = [("a", ANA), ("b", ANA), ("c", USER), ("d", ANA), ("bo", BO), ("bo2", BO)]
    rows = [Message(id=name, recipient=to, kind="text", body=json.dumps({"to": to}).encode()) for name, to in messages]
    await box.add("business", rows)
    quote = Message(id="q", recipient="49151999", kind="text", body=ANA.encode())
    await box.add("business", [quote], known=f"for-{ANA}", digest="d")
    heads = (await box.due(["business"], 10))["business"]
    leases = (await box.claim("business", heads, most=9, a_second=99_999)).leases
    await box.settle(next(one for one in leases if one.message.to == USER), Sent(wamid()))
    await box.settle(
        next(one for one in leases if one.message.id == "q"), Again(0, hold_ms=LONG, error=f"{ANA} is slow")
    )
    await Uploaded(rig.link, rig.keys).remember("business", "1", f"{wamid()}.jpg", ("1", "x"))  # type: ignore[arg-type]
    await rig.link.call("SET", f"{rig.keys.prefix}:strange", f"for {ANA}")
    await rig.link.call("SADD", f"{rig.keys.prefix}:strange-set", ANA, "other")


async def test_every_key_is_cleaned_and_every_file_too(server: Embedded, tmp_path: Path) -> None:
    """After erase and purge no file of the server holds the person, plain or in base64; a second time finds nothing."""
    async with Link(server.url) as link:
        rig = Rig(link, Keys("wh"), "h1", "h2")
        await planted(rig)
        await link.call("SLOWLOG", "GET")
        assert holding(tmp_path, ANA) and holding(tmp_path, USER)
        erased = await forget(rig)
        assert not any(trace in text for text in await dump(link) for trace in traces(ANA, USER))
        assert (erased.events, erased.moved, erased.finished) == (len(OWN) + 2, 1, 1)
        assert (erased.messages, erased.sending, erased.replies, erased.refused) == (5, 1, 1, 1)
        assert [line.partition(":")[0] for line in erased.left] == ["Meta", "Outbox"]
        assert await purge_files(link, tmp_path / "redis/valkey") == []
        assert holding(tmp_path, ANA, USER) == []
        again = await forget(rig)
        assert (again.total, again.left) == (0, ())
        # Somebody else's things are as they were.
        box = Outbox(link, rig.keys)
        assert [one.id for one in await box.page("business", "new", "sending")] == ["bo2", "bo"]
        assert await link.call("LRANGE", rig.keys.outbox("business").line(BO), 0, -1) == [b"bo", b"bo2"]
        assert await link.call("HLEN", rig.keys.replies) == 1
        assert await link.call("GET", rig.keys.outbox("business").hold) == b"Meta asked for patience: forgotten is slow"
        assert await link.call("PTTL", rig.keys.outbox("business").hold) > 0
        assert await rig.examine() == []
        (moved,) = (await rig.claim("h1", lease=LONG)).leases
        assert "forgotten" in json.loads(events.decode(moved.blob).raw)["text"]["body"]
        assert await rig.take(moved.event_id, "h1")
        assert await rig.cached() == []
    server.close()
    assert holding(tmp_path, ANA, USER) == []
    reopened = Embedded.open(tmp_path / "redis")
    async with Link(reopened.url) as link:
        assert not any(trace in text for text in await dump(link) for trace in traces(ANA, USER))
    reopened.close()


async def test_a_large_key_is_read_part_by_part(rig: Rig) -> None:
    """And a long line of refused replies, and a prefix that is the beginning of another one's."""
    numbers = [f"49176{n:08d}" for n in range(3_000)]
    other = Keys(f"{rig.keys.prefix}2")
    for keys in (rig.keys, other):
        await rig.link.call("ZADD", keys.outbox("a").due, *(part for one in [*numbers, ANA] for part in (1, one)))
        await rig.link.call("HSET", f"{keys.prefix}:h", *(part for one in [*numbers, ANA] for part in (one, "x")))
        await rig.link.call("RPUSH", keys.refused("unusable"), *numbers, f"not {ANA}")
    erased = await forget(rig)
    assert (erased.names, erased.refused) == (2, 1)
    assert await rig.link.call("ZCARD", rig.keys.outbox("a").due) == 3_000
    assert await rig.link.call("ZCARD", other.outbox("a").due) == 3_001


async def test_a_server_that_is_not_ours_is_told_what_it_keeps(server: Embedded, tmp_path: Path) -> None:
    """Its append-only file is written as plain commands from now on; snapshots and forbidden commands are told."""
    async with Link(server.url) as link:
        rig = Rig(link, Keys("wh"), "h1")
        await link.call("CONFIG", "SET", "aof-use-rdb-preamble", "yes")
        await add(rig, *(one for _ in range(30) for one in (event(), OWN[0])))
        assert (await forget(rig)).events == 30
        await link.call("BGREWRITEAOF")
        (line,) = await purge_files(link)  # its own rewrite comes after that one
        assert "was yes and is no until it restarts" in line
        assert holding(tmp_path, ANA, USER) == []
        assert await link.call("XLEN", rig.keys.events) == 30
        await link.call("CONFIG", "SET", "save", "3600 1")
        (line,) = await purge_files(link)
        assert "it writes snapshots" in line
        await link.call("ACL", "SETUSER", "guest", "on", "nopass", "~*", "+@all", "-config", "-bgrewriteaof")
        await link.call("AUTH", "guest", "any")
        assert [
            part in line
            for part, line in zip(("CONFIG", "anew", "does not tell"), await purge_files(link), strict=True)
        ] == [True] * 3
        left_half = tmp_path / "redis/valkey/temp-rewriteaof-bg-77.aof"
        left_half.write_text(ANA)
        await purge_files(link, tmp_path / "redis/valkey")
        assert not left_half.exists()


async def test_a_server_without_an_append_only_file_says_so(server: Embedded) -> None:
    """There is nothing to write anew, and only its operator knows where its bytes are."""
    async with Link(server.url) as link:
        await link.call("CONFIG", "SET", "appendonly", "no")
        (line,) = await purge_files(link)
        assert "no append-only file" in line
