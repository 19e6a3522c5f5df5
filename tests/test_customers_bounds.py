"""Whom it concerns when there is much, large or hostile: a look stays small, and says what it left out."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from tests.commands import run
from tests.concerned import ANA, ask, hasten, listed, of, result
from tests.conftest import Gateway, hook
from tests.streams import LONG, Rig
from whatshooked import events
from whatshooked.config import Config
from whatshooked.keys import GROUP, Keys
from whatshooked.stream import customers, peek
from whatshooked.stream.bounds import Bounds, Part
from whatshooked.stream.consume import Entry
from whatshooked.stream.fsck import examine
from whatshooked.stream.link import Command, Link, Reply
from whatshooked.stream.look import look
from whatshooked.stream.peek import Peeked
from whatshooked.stream.settle import NotTaken
from whatshooked.web import instant

MakeGateway = Callable[..., Gateway]
_BOUNDS = "whatshooked.web.customers._BOUNDS"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for what takes its time, or throttles another."""
    hasten(monkeypatch)


@pytest.fixture
async def gateway(make_gateway: MakeGateway) -> Gateway:
    """One without a worker, whose hook is `crm`."""
    made = make_gateway(hook("crm", "http://127.0.0.1:9"))
    await made.start(workers=0)
    return made


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """A worker's hands."""
    return Rig(link, keys, "crm")


def customer(n: int) -> str:
    """The number of one of many."""
    return f"49151000001{n:02}"


async def wait_at(rig: Rig, gateway: Gateway, count: int, first: int = 0, **more: Any) -> list[Entry]:
    """Let so many customers write, each once, and wait at the hook."""
    for n in range(first, first + count):
        await gateway.post(of(customer(n), **more))
    entries = await rig.read()
    await rig.route(entries, "crm", leased=False)
    return entries


async def is_complete(gateway: Gateway) -> bool:
    """Whether the API, the figure and the warnings say, all the same, that everybody is named."""
    said: bool = (await gateway.api("GET", "/api/customers")).json()["complete"]
    answer = await ask(gateway, "whatshooked_customers_complete")
    assert result(answer)[0]["value"][1] == str(int(said))
    assert ("warnings" in answer.json()) != said
    return said


async def test_one_look_is_bounded_and_says_so(gateway: Gateway, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and time, each part of it for itself."""
    await wait_at(rig, gateway, 4)
    for n in range(4):
        await gateway.post(of(f"491510000020{n}"))
        await gateway.api("POST", "/api/send", json={"to": f"491510000030{n}", "text": "hello"})
    whole = await listed(gateway)
    assert len(whole) == 12 and await is_complete(gateway)
    for bounds, left in ((Bounds(most=3), 9), (Bounds(seconds=-1), 0)):
        with monkeypatch.context() as patched:
            patched.setattr(_BOUNDS, bounds)
            assert not await is_complete(gateway), bounds
            fewer = await listed(gateway)
            assert len(fewer) == left and set(fewer) < set(whole)
            # The oldest are those who are named.
            assert [row for row in fewer if row[2] == "waiting"] == whole[: sum(row[2] == "waiting" for row in fewer)]
    monkeypatch.setattr(instant, "MOST", 5)
    answer = await ask(gateway, "whatshooked_customer_count")
    assert [one["metric"]["customer"] for one in result(answer)] == [one[0] for one in whole[:5]]
    assert answer.json()["warnings"] == ["5 of 12 shown, who has waited longest first"]


async def test_the_command_without_bounds_names_all(
    gateway: Gateway, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With bounds it says that there are more, and how all are told."""
    await wait_at(rig, gateway, 30)
    few = Bounds(most=3)
    monkeypatch.setattr("whatshooked.cli.customers.Bounds", lambda: few)
    config = ("-c", str(gateway.path))
    bounded = await run("customers", *config)
    assert len(bounded.out.splitlines()) == 3
    assert "customers --all" in bounded.err
    told = await run("customers", "--all", *config)
    assert (len(told.out.splitlines()), told.err) == (30, "")


async def test_the_oldest_are_named_though_they_are_tried_last(
    gateway: Gateway, rig: Rig, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was tried often is due late, and stands last in its hook's list: behind what the list shows at a glance."""
    for place, entry in enumerate(await wait_at(rig, gateway, 40)):
        await link.call("ZADD", keys.due("crm"), 9_000_000_000_000 - place, entry.id)
    monkeypatch.setattr(_BOUNDS, Bounds(most=5))
    assert [row[0] for row in await listed(gateway)] == [customer(n) for n in range(5)]
    assert not await is_complete(gateway)
    monkeypatch.setattr(_BOUNDS, Bounds(most=40))  # the list alone would not show all of them
    assert len(await listed(gateway)) == 40
    assert await is_complete(gateway)


async def test_poison_beyond_the_bounds_is_told(
    gateway: Gateway, rig: Rig, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is owed to no hook, and stands in one list alone."""
    for n in range(2):
        await gateway.post(of(customer(n)))
    entries = await rig.read()
    await rig.route(entries)
    for one in entries:
        await link.call("ZADD", keys.poison, 1, one.id)
    assert [row[2] for row in await listed(gateway)] == ["poison"] * 2
    assert await is_complete(gateway)
    for n in range(300):  # whose entries are gone
        await link.call("ZADD", keys.poison, 1, f"1-{n}")
    monkeypatch.setattr(_BOUNDS, Bounds(most=10))
    assert not await is_complete(gateway)


async def test_what_has_lost_its_way_is_named(gateway: Gateway, rig: Rig, link: Link, keys: Keys) -> None:
    """An event that no list of its hook has, and one that is not pending: `fsck` finds them, and nobody tries them."""
    first, second = await wait_at(rig, gateway, 2)
    await link.call("ZREM", keys.due("crm"), first.id)
    await link.call("XACK", keys.events, GROUP, second.id)
    assert {one.what for one in await examine(link, keys, ["crm"], repair=False)} >= {
        "open_not_due",
        "open_not_pending",
    }
    assert await listed(gateway) == [(customer(n), "crm", "waiting", 1) for n in range(2)]


async def test_no_answer_is_large_and_entries_are_read_beside_the_loop(
    gateway: Gateway, rig: Rig, link: Link, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small events first, then large ones: what one of these was made for is not looked at, yet it is counted."""
    sizes: list[int] = []
    threads: set[int] = set()
    batch = link.batch

    async def measured(commands: Sequence[Command], *, patience: float = 0.0) -> list[Reply]:
        replies = await batch(commands, patience=patience)
        sizes.append(len(repr(replies)))
        return replies

    def read(entries: Iterable[Peeked]) -> list[customers.Author]:
        threads.add(threading.get_ident())
        return customers.authors(entries)

    await wait_at(rig, gateway, 40)
    await wait_at(rig, gateway, 12, first=40, padding="x" * 50_000)
    await wait_at(rig, gateway, 12, first=60, padding="x" * 1_000_000)
    monkeypatch.setattr(link, "batch", measured)
    monkeypatch.setattr("whatshooked.stream.look.authors", read)
    found = await look(link, keys, gateway.config, Bounds())
    assert found.is_all
    counts = {who.customer: case.count for who, case in found.cases.items()}
    assert counts == {customer(n): 1 for n in range(52)} | {customers.TOO_LARGE: 12}
    assert sum(sizes) > 12 * 50_000 > max(sizes)
    assert threads and threading.get_ident() not in threads
    found = await look(link, keys, gateway.config, Bounds(size=100_000))
    assert len(found.cases) < 52 and not found.is_all, "bytes are bounded as well"


async def test_peek_answers_in_pieces(gateway: Gateway, link: Link, keys: Keys) -> None:
    """By ids and by span, either way; what is gone is passed over, what is large shows its head, one comes at least."""
    await link.call("XGROUP", "DESTROY", keys.events, GROUP)
    sizes = [10, 400_000, 60_000] + [60_000] * 9 + [5_000_000] * 3
    ids = [
        (await link.call("XADD", keys.events, f"{n}-1", "e", entry(size))).decode() for n, size in enumerate(sizes, 1)
    ]

    async def all_of(rest: list[str]) -> list[tuple[int, list[peek.Peeked]]]:
        answers = []
        while rest:
            found = await peek.of_ids(link, keys, rest)
            answers.append((found.looked, found.entries))
            rest = rest[found.looked :]
        return answers

    answers = await all_of([*ids, "99-1"])
    assert [one.id for _, entries in answers for one in entries] == ids
    assert len(answers) == 4, [looked for looked, _ in answers]
    assert all(sum(one.size for one in entries) < 600_000 for _, entries in answers)
    large = [one for _, entries in answers for one in entries if one.blob is None]
    assert [(one.id, one.type, one.account) for one in large] == [
        (i, "message.received", "business") for i in (ids[1], *ids[-3:])
    ]
    forward = await peek.of_span(link, keys, "-", "+", 3)
    assert [one.id for one in forward.entries] == ids[:3]
    back = await peek.of_span(link, keys, f"({ids[3]}", "1-1", 50, back=True)
    assert [one.id for one in back.entries] == ids[2::-1]
    assert (await peek.of_span(link, keys, f"({ids[-1]}", "+", 50)).looked == 0
    await link.call("XADD", keys.events, "200-1", "e", b"\xff" * 100_000)
    (odd,) = (await peek.of_ids(link, keys, ["200-1"])).entries
    assert (odd.blob, odd.type, odd.account) == (None, "", "")


def entry(size: int) -> bytes:
    """An entry with so many bytes of Meta's."""
    return events.encode(events.Event(events.ENTRY_VERSION, "message.received", "business", b"x" * size))


def test_a_part_ends_within_its_bounds() -> None:
    """By number, bytes or time; it says whether something was left out."""
    part = Part(Bounds(most=60))
    assert ([len(batch) for batch in part.batches(range(100))], part.is_cut) == ([50, 10], True)
    whole = Part(Bounds(most=60))
    assert ([len(batch) for batch in whole.batches(range(60))], whole.is_cut) == ([50, 10], False)
    heavy = Part(Bounds(size=10))
    heavy.saw(1, 11)
    assert heavy.at_once == Part(Bounds(seconds=-1)).at_once == 0


async def test_a_record_that_nobody_can_read_blinds_nobody(gateway: Gateway, rig: Rig, link: Link, keys: Keys) -> None:
    """A state, and a reply, of a version to come: those whom they are about wait, the others are named as ever."""
    first, _ = await wait_at(rig, gateway, 2)
    await link.call("HSET", keys.open(first.id), "crm", "x|of another version")
    await link.call("HSET", keys.replies, "of another version", b"too")
    named = await listed(gateway)
    assert [row for row in named if row[0] != customers.UNREADABLE] == [
        (customer(n), "crm", "waiting", 1) for n in range(2)
    ]
    assert (customers.UNREADABLE, None, "unsent", 1) in named


async def test_what_strangers_chose_is_cut_and_steers_nothing(gateway: Gateway, rig: Rig) -> None:
    """A customer's id, a name, an error: in an answer, and on a terminal."""
    evil = "\x1b]0;owned\x07\u202e\n" + "9" * 10_000
    for body in (of(evil), of(ANA, evil[:200])):
        await gateway.post(body)
        entry, *leftover = await rig.read()
        now = (await rig.route([entry], "crm")).now
        if leftover:  # about such a number, which no hook wants
            await rig.route(leftover)
    assert await rig.settler.record(NotTaken(entry.id, "crm", now + LONG, "again", error="\x1b[2J\n" + "e" * 5_000))
    stranger, row = (await gateway.api("GET", "/api/customers")).json()["customers"]
    assert re.fullmatch(r"\]0;owned 9{100,119}", stranger["customer"])
    assert row["name"] == "]0;owned " + "9" * 55
    assert row["error"] == "[2J " + "e" * 196
    for options in ((), ("--json",)):
        told = await run("customers", *options, "-c", str(gateway.path))
        assert all(line.isprintable() and len(line) < 1_000 for line in told.out.splitlines())


async def test_an_answer_is_kept_longer_when_looks_are_slow(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that looking has a tenth of a process's time; who is forgotten meanwhile stands in no later answer."""
    looks = 0

    async def slow(link: Link, keys: Keys, config: Config, bounds: Bounds) -> customers.Found:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0.05)
        return await look(link, keys, config, bounds)

    monkeypatch.setattr("whatshooked.web.customers.look", slow)
    await gateway.post(of(ANA))
    monkeypatch.setattr("whatshooked.web.customers._TIMES", 10_000)
    assert [row[0] for row in await listed(gateway)] == [ANA]
    await asyncio.sleep(0.1)
    await listed(gateway)
    assert looks == 1
    assert (await gateway.api("DELETE", f"/api/people/{ANA}?confirm=true")).status_code == 200
    assert await listed(gateway) == []
    assert looks == 2
