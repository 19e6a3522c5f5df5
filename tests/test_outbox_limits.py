"""The outbox in bounds: what finds no room is told so, what is finished gives way, and removed accounts end."""

import asyncio
import json
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from tests import meta
from tests.asking import ANA, TEXT, fault, send, taken
from tests.conftest import Gateway, account, hook
from tests.logged import logged
from tests.receiver import Receiver, status
from tests.streams import LONG, until
from whatshooked.errors import OutboxFull
from whatshooked.keys import Keys
from whatshooked.stream import outbox_upkeep
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Failed, Lease, Message, Outbox, Outcome, Sent, State, Told, Unknown
from whatshooked.stream.outbox_upkeep import OutboxUpkeep

MakeGateway = Callable[..., Gateway]
BO = "4915100000002"


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """An outbox under this test's prefix."""
    return Outbox(link, keys)


@pytest.fixture
def upkeep(link: Link, keys: Keys) -> OutboxUpkeep:
    """Its upkeep."""
    return OutboxUpkeep(link, keys)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three messages of a line may wait, and five of an account."""
    monkeypatch.setattr("whatshooked.stream.outbox.MOST_IN_LINE", 3)
    monkeypatch.setattr("whatshooked.stream.outbox.MOST_WAITING", 5)


def message(name: str, to: str = ANA) -> Message:
    """A text."""
    return Message(id=name, recipient=to, kind="text", body=b"{}")


async def put(outbox: Outbox, *names: str, to: str = ANA, account_id: str = "business") -> None:
    """Put texts in, one by one."""
    for name in names:
        await outbox.add(account_id, [message(name, to)])


async def leased(outbox: Outbox, account_id: str = "business", *, lease_ms: int = LONG) -> list[Lease]:
    """Claim what is due."""
    heads = (await outbox.due([account_id], 100)).get(account_id, [])
    return (await outbox.claim(account_id, heads, most=100, a_second=100_000, lease_ms=lease_ms)).leases


async def ended(outbox: Outbox, outcome: Outcome, *names: str) -> None:
    """Put messages in and let their sends come to this."""
    for name in names:
        await put(outbox, name, to=name)
        (lease,) = await leased(outbox)
        await outbox.settle(lease, outcome)


async def in_state(outbox: Outbox, state: State, account_id: str = "business") -> list[str]:
    """The ids in a state, oldest first."""
    return [one.id for one in reversed(await outbox.page(account_id, state))]


def count(name: str, **labels: str) -> float:
    """A counter as it stands."""
    return REGISTRY.get_sample_value(f"whatshooked_{name}_total", labels) or 0.0


async def test_a_line_has_an_end(outbox: Outbox, narrow: None) -> None:
    """A recipient's line is full: others go on, what is in it stays, and what is asked again is still known."""
    await put(outbox, "m1", "m2")
    await outbox.add("business", [message("m3")], known="k", digest="d")
    with pytest.raises(OutboxFull) as full:
        await put(outbox, "m4")
    assert full.value.bound == "line"
    assert await outbox.add("business", [message("m5")], known="k", digest="d") == [("m3", "d", False)]
    assert await outbox.add("business", [message("m1")]) == [("m1", "", False)]
    await put(outbox, "b1", to=BO)
    (first, _) = await leased(outbox)
    await outbox.settle(first, Sent("w"))
    await put(outbox, "m4")
    assert await in_state(outbox, "new") == ["m2", "m3", "m4"]


async def test_an_account_has_a_bound(outbox: Outbox, narrow: None) -> None:
    """What waits or is in flight counts, another account does not."""
    for name in ("a", "b", "c", "d", "e"):
        await put(outbox, name, to=name)
    assert len(await leased(outbox)) == 5
    with pytest.raises(OutboxFull) as full:
        await put(outbox, "f", to="f")
    assert full.value.bound == "account"
    assert await outbox.get("business", "f") is None
    await put(outbox, "f", to="f", account_id="other")


@pytest.fixture
async def web(make_gateway: MakeGateway, narrow: None) -> Gateway:
    """The web app without a worker."""
    found = make_gateway()
    await found.start(workers=0)
    return found


async def test_the_api_says_that_there_is_no_room(web: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 for a line and for an account, 503 where Redis is nearly full; with a hint and when to come back."""
    before = count("messages_turned_away", account="business", bound="line")
    first = await taken(web, key="k")
    await taken(web)
    await taken(web)
    answer = await send(web)
    error = fault(answer, 429)
    assert (error["code"], answer.headers["retry-after"]) == ("line_full", "60")
    assert count("messages_turned_away", account="business", bound="line") == before + 1
    assert (await send(web, key="k")).json()["id"] == first
    for number in (1, 2):
        await taken(web, TEXT | {"to": f"491511234567{number}"})
    assert fault(await send(web, TEXT | {"to": "4915112345679"}), 429)["code"] == "account_full"
    monkeypatch.setattr("whatshooked.stream.outbox.shortage", lambda *_: 1.0)
    monkeypatch.setattr("whatshooked.stream.outbox._MEMORY_EVERY", -1.0)
    assert fault(await send(web), 503)["code"] == "memory_full"


@pytest.fixture
async def held(make_gateway: MakeGateway, receiver: Receiver, outbox: Outbox, narrow: None) -> Gateway:
    """A running gateway whose account sends nothing, and whose hook is the receiver."""
    found = make_gateway(hook("h1", receiver.url()))
    await found.start()
    await outbox._link.call("SET", Keys(found.prefix).outbox("business").hold, "Meta asked for patience: x")
    return found


async def test_a_reply_that_finds_no_room_is_refused_whole_and_shown(
    held: Gateway, receiver: Receiver, outbox: Outbox, link: Link, keys: Keys
) -> None:
    """All of an answer's messages go in or none; what does not is listed with its event and hook."""
    two = [{"send_message": True, "to": BO, "text": "b"}, {"send_message": True, "to": ANA, "text": "a"}]
    receiver.behave = status(200, json.dumps(two).encode())
    for _ in range(3):
        await held.post(meta.webhook(meta.value(meta.text())))

    async def all_in() -> bool:
        return (await outbox.counts("business"))["new"] == 6

    await until(all_in)
    await held.post(meta.webhook(meta.value(meta.text())))

    async def refused() -> bool:
        return bool((await held.api("GET", "/api/messages/refused")).json()["refused"])

    await until(refused)
    (one,) = (await held.api("GET", "/api/messages/refused")).json()["refused"]
    events = [asked.json["event_id"] for asked in receiver.of("message.received")]
    assert (one["event_id"], one["hook_id"], one["kind"]) == (events[3], "h1", "unusable")
    assert "too many messages wait for this recipient" in one["reason"]
    assert (await outbox.counts("business"))["new"] == 6

    async def moved() -> bool:
        return not await link.call("HLEN", keys.replies)

    await until(moved)


async def test_replies_wait_while_redis_is_nearly_full(
    held: Gateway, receiver: Receiver, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That passes: what a hook asked for stays where DONE put it, and goes out afterwards."""
    monkeypatch.setattr("whatshooked.stream.outbox._MEMORY_EVERY", -1.0)
    receiver.behave = status(200, b'{"send_message": true, "text": "a"}')
    with monkeypatch.context() as full, logged() as log:
        full.setattr("whatshooked.stream.outbox.shortage", lambda *_: 1.0)
        await held.post(meta.webhook(meta.value(meta.text())))

        async def waits() -> bool:
            return bool(log.holding("Replies wait"))

        await until(waits)
        assert (await outbox.counts("business"))["new"] == 0

    async def is_in() -> bool:
        return (await outbox.counts("business"))["new"] == 1

    await until(is_in)
    assert (await held.api("GET", "/api/messages/refused")).json() == {"refused": []}


async def test_finished_messages_are_forgotten_in_time(outbox: Outbox, upkeep: OutboxUpkeep) -> None:
    """What waits or is in flight stays whatever its age."""
    await ended(outbox, Sent("w"), "m1")
    await put(outbox, "m2")
    assert await upkeep.forget("business", 2**50) == 1
    counts = await outbox.counts("business")
    assert (counts["new"], counts["sent"]) == (1, 0)
    assert await outbox.get("business", "m1") is None


async def test_what_goes_on_is_not_forgotten(
    outbox: Outbox, upkeep: OutboxUpkeep, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator sends it once more while it is about to be forgotten: it stays, and is sent."""
    await ended(outbox, Failed(131047, "closed"), "m1")
    record = await outbox.get("business", "m1")
    assert record is not None
    run = link.run

    async def meanwhile(*arguments: object) -> object:
        monkeypatch.undo()
        assert await outbox.decide("business", record, "resend") == (True, "new")
        return await run(*arguments)  # type: ignore[arg-type] # as given

    monkeypatch.setattr(link, "run", meanwhile)
    assert await upkeep.forget("business", 2**50) == 0
    assert [lease.message.id for lease in await leased(outbox)] == ["m1"]


async def test_the_oldest_finished_messages_give_way(outbox: Outbox, upkeep: OutboxUpkeep) -> None:
    """Beyond their number the oldest go, and those of which nobody knows last; what waits is never touched."""
    await ended(outbox, Unknown("no answer"), "u1", "u2")
    await ended(outbox, Sent("w"), "s1")
    await ended(outbox, Failed(1, "no"), "f1")
    await ended(outbox, Sent("w"), "s2")
    await put(outbox, "m1")
    assert await upkeep.crowd_out("business", 5) == 0
    assert await upkeep.crowd_out("business", 4) == 1
    assert (await in_state(outbox, "sent"), await in_state(outbox, "failed")) == (["s2"], ["f1"])
    assert await upkeep.crowd_out("business", 1) == 3
    assert await in_state(outbox, "unknown") == ["u2"]
    assert await in_state(outbox, "new") == ["m1"]


async def test_finished_messages_give_way_where_memory_is_short(
    outbox: Outbox, upkeep: OutboxUpkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many as Redis is short of, the oldest first, over all accounts; without a shortage none."""
    await ended(outbox, Sent("w"), "s1", "s2", "s3")
    await ended(outbox, Unknown("no answer"), "u1")
    assert await upkeep.make_room(["business", "other"]) == 0
    monkeypatch.setattr("whatshooked.stream.outbox_upkeep.shortage", lambda *_: 2 * 1_400.0)
    assert await upkeep.make_room(["business", "other"]) == 2
    assert await in_state(outbox, "sent") == ["s3"]
    assert await upkeep.make_room(["business", "other"]) == 1
    assert await upkeep.make_room(["business", "other"]) == 0
    assert await in_state(outbox, "unknown") == ["u1"]


async def _gone(link: Link, keys: Keys) -> None:
    """No process shows the account any more, and its minute is over."""
    await link.call("DEL", keys.outbox("business").shown)


async def test_what_waits_for_a_removed_account_ends(
    outbox: Outbox, upkeep: OutboxUpkeep, link: Link, keys: Keys
) -> None:
    """It fails and says why; lines and due list are empty then, and it can be sent once the account is back."""
    await put(outbox, "a1", "a2")
    await put(outbox, "b1", to=BO)
    assert await upkeep.drop("business") == outbox_upkeep.Dropped(0, [])
    await _gone(link, keys)
    assert await upkeep.drop("business") == outbox_upkeep.Dropped(3, [])
    found = await outbox.get("business", "a2")
    assert found is not None
    assert (found.state, found.error) == ("failed", outbox_upkeep.REMOVED)
    box = keys.outbox("business")
    assert await link.call("EXISTS", box.due, box.line(ANA), box.line(BO)) == 0
    assert await upkeep.drop("business") == outbox_upkeep.Dropped(0, [])
    assert await upkeep.known(["shop"]) == ["shop", "business"]
    assert await outbox.decide("business", found, "resend") == (True, "new")
    assert [lease.message.id for lease in await leased(outbox)] == ["a2"]


async def test_a_removed_account_s_send_in_flight_may_finish(
    outbox: Outbox, upkeep: OutboxUpkeep, link: Link, keys: Keys
) -> None:
    """A live lease holds its line; one that ended is unknown, unless a status has told meanwhile."""
    await put(outbox, "a1", "a2")
    (lease,) = await leased(outbox)
    await _gone(link, keys)
    assert await upkeep.drop("business") == outbox_upkeep.Dropped(0, [])
    await outbox.settle(lease, Sent("w"))
    assert await upkeep.drop("business") == outbox_upkeep.Dropped(1, [])
    await put(outbox, "b1", to=BO)
    await put(outbox, "c1", to="c")
    assert len(await leased(outbox, lease_ms=0)) == 2
    await outbox.statuses([Told("business", "c1", "delivered", 1, {})])
    await _gone(link, keys)
    assert await upkeep.drop("business") == outbox_upkeep.Dropped(0, ["b1"])
    states = {one.id: one.state for one in await outbox.page("business")}
    assert states == {"a1": "sent", "a2": "failed", "b1": "unknown", "c1": "sent"}


async def test_a_long_line_ends_in_several_passes(outbox: Outbox, upkeep: OutboxUpkeep, link: Link, keys: Keys) -> None:
    """Each pass is a bounded piece of work."""
    await put(outbox, *(f"m{n}" for n in range(45)))
    await _gone(link, keys)
    assert [(await upkeep.drop("business")).failed for _ in range(4)] == [20, 20, 5, 0]


async def test_an_account_that_is_taken_out_of_the_config(
    make_gateway: MakeGateway, outbox: Outbox, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running worker reads the new config: what waited is given up, counted and logged; the other account's stays."""
    for name in ("stream.outbox", "stream.outbox_upkeep"):
        monkeypatch.setattr(f"whatshooked.{name}.REMOVED_AFTER_MS", 300)
    monkeypatch.setattr("workers.process.REMOVED_AFTER_MS", 300)
    monkeypatch.setattr("workers.process.UPKEEP_EVERY", 0.05)
    gateway = make_gateway(accounts=[account(), account(2, "shop")])
    gateway.write()
    for account_id in ("business", "shop"):
        await outbox._link.call("SET", keys.outbox(account_id).hold, "x")
        await put(outbox, "m1", account_id=account_id)
    worker = await gateway.add_worker()
    before = count("messages_dropped", account="shop")
    await asyncio.sleep(0.5)
    assert await _is(outbox, "shop", "m1", "new")
    gateway.document["whatsapp"] = gateway.document["whatsapp"][:1]
    gateway.write()
    with logged() as log:
        worker.reload()
        await until(lambda: _is(outbox, "shop", "m1", "failed"))
        assert log.holding("Messages of a removed account given up")
    assert count("messages_dropped", account="shop") == before + 1
    assert await _is(outbox, "business", "m1", "new")


async def test_a_web_process_shows_its_accounts(make_gateway: MakeGateway, link: Link, keys: Keys) -> None:
    """Though no worker has an account yet, what a web process took for it waits."""
    gateway = make_gateway(accounts=[account(), account(2, "shop")])
    await gateway.start(workers=0)

    async def shown() -> bool:
        return bool(await link.call("EXISTS", *(keys.outbox(name).shown for name in ("business", "shop"))) == 2)

    await until(shown)


async def _is(outbox: Outbox, account_id: str, message_id: str, state: State) -> bool:
    found = await outbox.get(account_id, message_id)
    return found is not None and found.state == state
