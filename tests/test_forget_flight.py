"""One person forgotten in Redis while events and messages are on their way: nothing is lost, nothing comes back."""

import asyncio
from collections.abc import Iterable

import pytest

from tests.forgotten import (
    ANA,
    BO,
    OWN,
    PERSON,
    add,
    dump,
    event,
    forget,
    quoting,
    routed,
    wamid,
)
from tests.streams import LONG, Rig, a_hook
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import GROUP, MEDIA_HOOK, Keys
from whatshooked.stream.consume import Park, Route, Want
from whatshooked.stream.link import Link
from whatshooked.stream.media import Finding, Findings
from whatshooked.stream.outbox import Again, Message, Outbox, Sent, Told
from whatshooked.stream.person import erase
from whatshooked.stream.person_keys import PersonKeys
from whatshooked.stream.record import Record
from whatshooked.stream.settle import NotTaken, Taken


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


async def test_what_others_are_owed_goes_on_without_the_person(rig: Rig) -> None:
    """Waiting, dead, unmatched, poisoned, unread and waiting for its file: each stays what it was, under a new id."""
    waiting = await routed(rig, quoting(), "h1", "h2", leased=False)
    assert await rig.take(waiting, "h2")
    dead = await routed(rig, quoting(), "h1")
    (score,) = [float(await rig.link.call("ZSCORE", rig.keys.due("h1"), dead))]
    assert await rig.settler.record(NotTaken(dead, "h1", int(score), "dead", status=503, error="HTTP 503"))
    unmatched = await routed(rig, quoting())
    (poison,) = await add(rig, quoting())
    await rig.read()
    await rig.consumer.route([Route(poison, Park.POISON, [])], {})
    fetching = await routed(rig, quoting(), MEDIA_HOOK, leased=False)
    erased = await forget(rig)
    assert (erased.moved, erased.finished, erased.events, erased.left) == (5, 0, 0, ())
    assert not {waiting, dead, unmatched, poison, fetching} & set(await rig.cached())
    assert not any(PERSON.is_named(text) for text in await dump(rig.link) if rig.keys.prefix.encode() in text)
    new = await rig.cached()
    assert [(await rig.states(i))[""] for i in new] == ["waiting", "dead", "unmatched", "poison", "waiting"]
    assert await rig.link.call("SMEMBERS", rig.keys.taken(new[0])) == [b"h2"]
    assert await rig.examine() == []
    assert await rig.read() == []  # nobody routes them anew
    (group,) = await rig.link.call("XINFO", "GROUPS", rig.keys.events)
    assert group[group.index(b"lag") + 1] == 0
    assert [lease.event_id for lease in (await rig.claim("h1")).leases] == [new[0]]
    assert (await forget(rig)).total == 0


async def test_what_nobody_has_read_yet_is_read_without_the_person(rig: Rig) -> None:
    """Behind an unread event an open one moves, and ROUTE leaves it open; a parked one waits for what is unread."""
    waiting, unmatched = await routed(rig, quoting(), "h1", leased=False), await routed(rig, quoting())
    await add(rig, event(), quoting())
    erased = await forget(rig)
    assert erased.moved == 2 and unmatched in erased.left[0] and waiting not in erased.left[0]
    entries = await rig.read()
    assert len(entries) == 3
    await rig.route(entries, "h1", leased=False)
    assert len((await rig.claim("h1")).leases) == 3
    assert await rig.examine() == []
    assert (await forget(rig)).moved == 1
    assert len(await rig.cached()) == 4


async def test_an_attempt_in_flight_is_waited_for(rig: Rig) -> None:
    """Its hook has the event under its id already; what is still in flight in the end is told by its id."""
    in_flight = await routed(rig, quoting(), "h1")
    (unrouted,) = await add(rig, quoting())
    entries = await rig.read()
    erased = await forget(rig)
    assert erased.total == 0
    assert in_flight in erased.left[0] and unrouted in erased.left[0]

    async def later() -> None:
        await asyncio.sleep(0.1)
        await rig.route(entries, "h1")
        assert await rig.take(in_flight, "h1")
        assert await rig.take(unrouted, "h1")

    erased, _ = await asyncio.gather(forget(rig, patience=20.0), later())
    assert (erased.finished, erased.left) == (2, ())


async def test_events_that_arrive_behind_the_look(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk is past them already, and the next one finds them."""
    await add(rig, OWN[0])
    coming = [OWN[2], quoting(), OWN[0]]
    look = PersonKeys.erase

    async def erase_keys(self: PersonKeys, event_ids: Iterable[str] = ()) -> None:
        await look(self, event_ids)
        if coming:
            await add(rig, coming.pop())

    monkeypatch.setattr(PersonKeys, "erase", erase_keys)
    erased = await forget(rig)
    assert (erased.events, erased.moved, erased.left) == (3, 1, ())
    assert (await forget(rig)).total == 0


async def test_events_that_arrive_meanwhile(rig: Rig) -> None:
    """They are found by the next look of the same call, until one finds nothing."""
    (with_file,) = await add(rig, OWN[0])
    await rig.link.call("HSET", rig.keys.media(with_file), "account_id", "business", "filename", "a.jpg")
    coming = [OWN[0], OWN[2], quoting()]
    asked: list[set[tuple[str, str]]] = []

    async def remove(files: set[tuple[str, str]]) -> None:
        asked.append(files)
        assert await rig.link.call("XLEN", rig.keys.events) == 1  # before the event is deleted
        await add(rig, *coming)

    erased = await erase(rig.link, rig.keys, PERSON, remove)
    assert asked == [{("business", "a.jpg")}]
    assert (erased.events, erased.moved, erased.left) == (3, 1, ())
    assert (await forget(rig)).total == 0


async def test_a_message_that_is_being_sent(rig: Rig) -> None:
    """It is sent once; neither its answer nor its statuses bring it back, and who waits behind it waits no longer."""
    box, keys = Outbox(rig.link, rig.keys), rig.keys.outbox("business")
    await box.add("business", [Message(id=i, recipient=ANA, kind="text", body=b"{}") for i in ("m1", "m2")])
    quote = Message(id="q1", recipient=BO, kind="text", body=ANA.encode())
    await box.add("business", [quote, Message(id="q2", recipient=BO, kind="text", body=b"{}")])
    heads = (await box.due(["business"], 10))["business"]
    leases = (await box.claim("business", heads, most=9, a_second=99_999)).leases
    assert {lease.message.id for lease in leases} == {"m1", "q1"}
    erased = await forget(rig)
    assert (erased.messages, erased.sending) == (3, 2)
    assert (await box.due(["business"], 10))["business"] == [(BO, "q2")]
    for lease in leases:
        for outcome in (Sent(wamid()), Again(0, "later")):
            assert await box.settle(lease, outcome) is None
    await box.statuses([Told("business", "m1", "delivered", 1_000, {"wamid": wamid()})])
    assert (await box.claim("business", heads, most=9, a_second=99_999)).leases == []
    for name in ("m1", "m2", "q1"):
        assert await box.get("business", name) is None
    assert not await rig.link.call("EXISTS", keys.line(ANA), keys.pair(ANA))
    assert (await forget(rig)).total == 0


async def test_late_outcomes_bring_nothing_back(rig: Rig) -> None:
    """An attempt, a fetch and a route that were under way when their event went find nothing to write to."""
    taken, retried, fetched = [await routed(rig, OWN[0], hook) for hook in ("h1", "h2", MEDIA_HOOK)]
    tokens = {
        hook: int(await rig.link.call("ZSCORE", rig.keys.due(hook), i))
        for hook, i in (("h2", retried), (MEDIA_HOOK, fetched))
    }
    await add(rig, OWN[0])
    entries = await rig.read()
    assert (await forget(rig)).events == 4
    before = sorted(await dump(rig.link))
    assert not await rig.settler.record(Taken(taken, "h1", b"reply"))
    assert not await rig.settler.record(NotTaken(retried, "h2", tokens["h2"], "again", error=ANA))
    findings = Findings(rig.link, rig.keys, lambda: ["h1", "h2"])
    assert not await findings.note(Finding(fetched, tokens[MEDIA_HOOK], Record(filename=f"{wamid()}.jpg"), Park.YES))
    await rig.consumer.route([Route(entry.id, Park.YES, [Want("h1", True)]) for entry in entries], {"h1": LONG})
    assert await rig.link.call("XLEN", rig.keys.events) == 0
    assert [text for text in sorted(await dump(rig.link)) if rig.keys.prefix.encode() in text] == [
        text for text in before if rig.keys.prefix.encode() in text
    ]


async def test_what_readers_of_a_stream_have_not_read_is_theirs(rig: Rig) -> None:
    """An entry of another stream goes when all its groups have done with it; until then it is told."""
    stream = f"{rig.keys.prefix}:some-stream"
    await rig.link.call("XGROUP", "CREATE", stream, "log", "0", "MKSTREAM")
    await rig.link.call("XADD", stream, "*", "r", f"HTTP 500: {ANA}")
    await rig.link.call("XADD", stream, "*", "r", "other")
    erased = await forget(rig)
    assert erased.total == 0 and stream in erased.left[0]
    rows = await rig.link.call("XREADGROUP", "GROUP", "log", "c", "STREAMS", stream, ">")
    assert (await forget(rig)).total == 0  # read, and not written yet
    await rig.link.call("XACK", stream, "log", *(row[0] for row in rows[0][1]))
    assert (await forget(rig)).names == 1
    assert await rig.link.call("XLEN", stream) == 1


async def test_hooks_of_the_future_do_not_lose_a_moved_event(rig: Rig) -> None:
    """A hook that nobody shows any more, but that an entry names, has its place in the copy."""
    rig.hooks = Hooks([a_hook("h9")])
    await routed(rig, quoting(), "gone", leased=False)
    await rig.link.call("DEL", rig.keys.hooks)
    assert (await forget(rig)).moved == 1
    assert len((await rig.claim("gone")).leases) == 1
    assert (await rig.link.call("XPENDING", rig.keys.events, GROUP))[0] == 1
