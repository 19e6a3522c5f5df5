"""fsck of the outboxes: each disagreement, planted by hand, is found and mended; what works is never reported."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.commands import run
from tests.conftest import Gateway, account
from tests.sends import ANA, arrive
from tests.simulated import Meta
from tests.streams import LONG, until
from whatshooked import logs
from whatshooked.keys import Keys
from whatshooked.meta.send import prepare
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Lease, Message, Outbox, Sent
from whatshooked.stream.outbox_fsck import MEANINGS, examine_outboxes
from whatshooked.stream.submit import entry

A, BO = "4915100000001", "4915100000002"


class Rig:
    """One account's outbox; nothing runs by itself."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self.link, self.keys, self.box = link, keys, keys.outbox("a")
        self.outbox = Outbox(link, keys)

    async def put(self, *names: str, to: str = A) -> None:
        """Put texts in."""
        await self.outbox.add("a", [Message(id=name, recipient=to, kind="text", body=b"{}") for name in names])

    async def leased(self) -> list[Lease]:
        """Claim what is due."""
        heads = (await self.outbox.due(["a"], 100)).get("a", [])
        return (await self.outbox.claim("a", heads, most=100, a_second=100_000, lease_ms=LONG)).leases

    async def sent(self, name: str) -> None:
        """Put a text in and send it."""
        await self.put(name)
        (lease,) = await self.leased()
        await self.outbox.settle(lease, Sent("wamid.1"))

    async def found(self, *, repair: bool = False) -> list[tuple[str, str]]:
        """What disagrees."""
        found = await examine_outboxes(self.link, self.keys, repair=repair)
        return [(one.id, one.what) for one in found]


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation of its own."""
    return Rig(link, keys)


Plant = Callable[[Rig], Awaitable[str]]


async def _account_not_listed(rig: Rig) -> str:
    await rig.put("m1")
    await rig.link.call("DEL", rig.keys.accounts)
    return "a"


async def _listed_without_message(rig: Rig) -> str:
    await rig.sent("m1")
    await rig.link.call("DEL", rig.box.message("m1"))
    return "a/m1"


async def _listed_in_another_state(rig: Rig) -> str:
    await rig.sent("m1")
    await rig.link.call("ZADD", rig.box.of_state("unknown"), 1, "m1")
    return "a/m1"


async def _message_not_listed(rig: Rig) -> str:
    await rig.sent("m1")
    await rig.link.call("DEL", rig.box.of_state("sent"))
    return "a/m1"


async def _lined_without_message(rig: Rig) -> str:
    await rig.put("m1", "m2")
    await rig.link.call("DEL", rig.box.message("m2"))
    return "a/m2"


async def _finished_in_line(rig: Rig) -> str:
    await rig.sent("m1")
    await rig.put("m2")
    await rig.link.call("LPUSH", rig.box.line(A), "m1")
    return "a/m1"


async def _twice_in_line(rig: Rig) -> str:
    await rig.put("m1", "m2")
    await rig.link.call("RPUSH", rig.box.line(A), "m1")
    return "a/m1"


async def _waiting_in_no_line(rig: Rig) -> str:
    await rig.put("m1")
    await rig.link.call("DEL", rig.box.line(A))
    return "a/m1"


async def _line_not_due(rig: Rig) -> str:
    await rig.put("m1")
    await rig.link.call("DEL", rig.box.due)
    return f"a/{logs.mask(A)}"


async def _due_without_line(rig: Rig) -> str:
    await rig.link.call("ZADD", rig.box.due, 1, BO)
    await rig.put("m1")
    return f"a/{logs.mask(BO)}"


PLANTS: dict[str, Plant] = {
    plant.__name__.removeprefix("_"): plant
    for plant in (
        _account_not_listed,
        _listed_without_message,
        _listed_in_another_state,
        _message_not_listed,
        _lined_without_message,
        _finished_in_line,
        _twice_in_line,
        _waiting_in_no_line,
        _line_not_due,
        _due_without_line,
    )
}


def test_every_kind_is_planted() -> None:
    """No kind of disagreement goes untested."""
    assert PLANTS.keys() == MEANINGS.keys()


@pytest.mark.parametrize("what", MEANINGS)
async def test_a_disagreement_is_found_and_mended(rig: Rig, what: str) -> None:
    """It is named with its message, looking alone changes nothing, and after one repair nothing is left to find."""
    name = await PLANTS[what](rig)
    found = await rig.found()
    assert (name, what) in found
    assert A not in str(found)
    assert await rig.found() == found
    assert (name, what) in await rig.found(repair=True)
    assert await rig.found() == []


@pytest.mark.parametrize("what", MEANINGS)
async def test_what_was_mended_is_sent_once(rig: Rig, what: str) -> None:
    """After the repair every message that waits and exists is claimed once, in its order, and what was sent is not."""
    await PLANTS[what](rig)
    await rig.found(repair=True)
    waiting = [one.id for one in reversed(await rig.outbox.page("a", "new"))]
    claimed = []
    while leases := await rig.leased():
        (lease,) = leases
        claimed.append(lease.message.id)
        await rig.outbox.settle(lease, Sent("wamid.2"))
    assert claimed == waiting
    assert (await rig.outbox.counts("a"))["new"] == 0
    assert await rig.found() == []


async def test_a_send_in_flight_that_lost_its_line_is_unknown_in_the_end(rig: Rig) -> None:
    """It stands at the head again, before what came later: its lease's end makes it unknown, and the rest goes on."""
    await rig.put("m1", "m2")
    await rig.leased()
    await rig.link.call("LREM", rig.box.line(A), 0, "m1")
    assert await rig.found(repair=True) == [("a/m1", "waiting_in_no_line")]
    assert await rig.leased() == []
    await rig.link.call("ZADD", rig.box.due, 1, A)
    heads = (await rig.outbox.due(["a"], 1))["a"]
    assert (await rig.outbox.claim("a", heads, most=1, a_second=9_999)).unknown == ["m1"]
    assert [lease.message.id for lease in await rig.leased()] == ["m2"]


async def test_what_is_finished_is_not_sent_again(rig: Rig) -> None:
    """Even before anybody runs fsck: a message that stands in a line after its end leaves it."""
    await _finished_in_line(rig)
    assert await rig.leased() == []
    assert [lease.message.id for lease in await rig.leased()] == ["m2"]


async def test_more_messages_than_one_step_takes(rig: Rig) -> None:
    """Hundreds of one recipient and hundreds of recipients, all of them unlisted."""
    await rig.put(*(f"m{n}" for n in range(450)))
    await rig.outbox.add(
        "a", [Message(id=f"r{n}", recipient=f"4915{n:08d}", kind="text", body=b"{}") for n in range(450)]
    )
    assert await rig.found() == []
    await rig.link.call("DEL", rig.box.of_state("new"))
    assert len(await rig.found(repair=True)) == 900
    assert await rig.found() == []
    assert (await rig.outbox.counts("a"))["new"] == 900


async def test_the_command_shows_and_mends_them(make_gateway: Callable[..., Gateway], rig: Rig) -> None:
    """One line each, with what was done about it."""
    gateway = make_gateway()
    gateway.write()
    await _line_not_due(rig)
    said = await run("fsck", "-c", str(gateway.path))
    assert (said.code, "line_not_due" in said.out, A in said.out) == (1, True, False)
    said = await run("fsck", "--repair", "-c", str(gateway.path))
    assert (said.code, MEANINGS["line_not_due"] in said.out) == (0, True)
    assert (await run("fsck", "-c", str(gateway.path))).code == 0


async def test_sends_under_way_are_never_a_disagreement(
    make_gateway: Callable[..., Gateway], sim: Meta, link: Link, keys: Keys
) -> None:
    """While 120 messages go out and their statuses come in, no look finds anything."""
    known: dict[str, Any] = {"access_token": sim.token, "app_secret": sim.secret, "graph_url": sim.url}
    gateway = make_gateway(accounts=[account(id_="business", phone_number_id=sim.number.id, **known)])
    await gateway.start()
    assert sim.app.subscription is not None
    sim.app.subscription.callback_url = f"{gateway.base}/webhooks/whatsapp/business"
    outbox, found = Outbox(link, keys), []
    arrive(sim, sim.users[0])

    async def put() -> None:
        for n in range(40):
            outgoing = prepare({"to": ANA, "text": f"{n}"}, country_code="1")
            await outbox.add("business", [entry(f"m1-{n:x}", outgoing)])
            for other in range(2):  # nobody's numbers: Meta refuses these
                away = prepare({"to": f"+4915112{n:03d}{other:03d}", "text": "x"}, country_code="1")
                await outbox.add("business", [entry(f"m2-{n:x}{other}", away)])
            await asyncio.sleep(0.01)

    putting = asyncio.create_task(put())

    async def over() -> bool:
        found.extend(await examine_outboxes(link, keys, repair=False))
        counts = await outbox.counts("business")
        return putting.done() and not counts["new"] + counts["sending"]

    await until(over, timeout=30)
    await putting
    assert found == []
