"""The outbox as people look at it and decide about it: pages of messages, and what is sent once more or given up."""

import asyncio

import pytest

from tests.streams import LONG
from whatshooked.keys import Keys
from whatshooked.stream import messages
from whatshooked.stream import outbox as module
from whatshooked.stream.link import Link
from whatshooked.stream.messages import Wanted
from whatshooked.stream.outbox import Failed, Lease, Message, Outbox, Outcome, Record, Sent, State, Told, Unknown

ANA, BO = "4915100000001", "4915100000002"


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """An outbox under this test's prefix."""
    return Outbox(link, keys)


async def put(outbox: Outbox, *names: str, to: str = ANA, account: str = "a") -> None:
    """Put texts in."""
    await outbox.add(account, [Message(id=name, recipient=to, kind="text", body=b"{}") for name in names])


async def leased(outbox: Outbox, *, lease_ms: int = LONG, resend: bool = False) -> Lease:
    """Claim the only message that is due."""
    heads = (await outbox.due(["a"], 100))["a"]
    (lease,) = (await outbox.claim("a", heads, most=1, a_second=100_000, lease_ms=lease_ms, resend=resend)).leases
    return lease


async def ended(outbox: Outbox, name: str, outcome: Outcome) -> Record:
    """Put a message in and let its send come to this."""
    await put(outbox, name)
    await outbox.settle(await leased(outbox), outcome)
    return await record(outbox, name)


async def record(outbox: Outbox, name: str) -> Record:
    """A message as it is."""
    found = await outbox.get("a", name)
    assert found is not None
    return found


async def told(outbox: Outbox, name: str, status: str, **fields: str) -> None:
    """A status webhook comes."""
    await outbox.statuses([Told("a", name, status, 1_000, fields)])


async def names(outbox: Outbox, *accounts: str, **wanted: object) -> list[str]:
    """The ids of a page, in its order."""
    found, _ = await messages.listing(outbox, accounts or ["a"], Wanted(**wanted))  # type: ignore[arg-type] # as given
    return [one.record.id for one in found]


@pytest.mark.parametrize("outcome", [Unknown("no answer"), Failed(131047, "window closed")])
async def test_what_ended_badly_can_be_sent_once_more(outbox: Outbox, outcome: Outcome) -> None:
    """It goes to its line's end as new, without what became of the last attempt, and counts the attempts on."""
    before = await ended(outbox, "m1", outcome)
    await put(outbox, "m2")
    assert await outbox.decide("a", before, "resend") == (True, "new")
    found = await record(outbox, "m1")
    assert (found.state, found.error, found.code, found.at) == ("new", "", 0, before.at)
    for name in ("m2", "m1"):
        lease = await leased(outbox)
        assert lease.message.id == name
        await outbox.settle(lease, Sent("wamid." + name))
    found = await record(outbox, "m1")
    assert (found.state, found.wamid, found.attempts) == ("sent", "wamid.m1", 2)
    assert await outbox.counts("a") == {"new": 0, "sending": 0, "sent": 2, "failed": 0, "unknown": 0}


async def test_an_old_status_says_nothing_of_the_next_attempt(outbox: Outbox) -> None:
    """Accepted, failed later, sent again: the old failure neither stands in the record nor keeps the new status out."""
    await ended(outbox, "m1", Sent("wamid.1"))
    await told(outbox, "m1", "failed", code="131026", error="Undeliverable", wamid="wamid.1")
    await outbox.decide("a", await record(outbox, "m1"), "resend")
    found = await record(outbox, "m1")
    assert (found.status, found.times, found.wamid) == ("", {}, "")
    assert await outbox.settle(await leased(outbox), Sent("wamid.2")) == "sent"
    await told(outbox, "m1", "delivered")
    assert (await record(outbox, "m1")).status == "delivered"


async def test_the_unknown_can_be_given_up(outbox: Outbox) -> None:
    """It is failed from then on and says by whom; a status that comes late shows, but changes nothing any more."""
    found = await ended(outbox, "m1", Unknown("no answer"))
    assert await outbox.decide("a", found, "drop") == (True, "failed")
    await told(outbox, "m1", "delivered")
    found = await record(outbox, "m1")
    assert (found.state, found.error, found.status) == ("failed", module.DROPPED, "delivered")
    assert await outbox.due(["a"], 10) == {}


@pytest.mark.parametrize(
    ("decision", "state", "outcome"),
    [
        ("resend", "sent", Sent("w")),
        ("drop", "sent", Sent("w")),
        ("drop", "failed", Failed(131047, "closed")),
        ("resend", "new", None),
        ("drop", "new", None),
    ],
)
async def test_what_is_settled_or_under_way_is_left_alone(
    outbox: Outbox, decision: module.Decision, state: State, outcome: Outcome | None
) -> None:
    """Nothing is sent twice by a decision that comes late or is made twice."""
    if outcome is None:
        await put(outbox, "m1")
    else:
        await ended(outbox, "m1", outcome)
    assert await outbox.decide("a", await record(outbox, "m1"), decision) == (False, state)
    assert sum((await outbox.counts("a")).values()) == 1


async def test_a_decision_counts_for_the_state_of_that_moment(outbox: Outbox) -> None:
    """Two say resend, or a status settles the message just before: the second finds it gone on."""
    shown = await ended(outbox, "m1", Unknown("no answer"))
    assert await outbox.decide("a", shown, "resend") == (True, "new")
    assert await outbox.decide("a", shown, "resend") == (False, "new")
    await leased(outbox)
    assert await outbox.decide("a", shown, "drop") == (False, "sending")
    gone = Record(id="m9", state="unknown", at=1, to=ANA, kind="text", body=b"{}")
    assert await outbox.decide("a", gone, "drop") == (False, None)


async def test_pages_meet_each_message_once(outbox: Outbox, keys: Keys, link: Link) -> None:
    """Newest first over all states, also those of one millisecond and two accounts, up to a last page that says so."""
    for account in ("a", "b"):
        await put(outbox, *(f"{account}{n}" for n in range(7)), account=account)
        for n in range(7):
            state = ("new", "sent", "unknown")[n % 3]
            await link.call("ZREM", keys.outbox(account).of_state("new"), f"{account}{n}")
            await link.call("ZADD", keys.outbox(account).of_state(state), 1_000 + n // 4, f"{account}{n}")
            await link.call("HSET", keys.outbox(account).message(f"{account}{n}"), "at", 1_000 + n // 4, "state", state)
    seen: list[str] = []
    sizes, after = [], None
    while True:
        found, after = await messages.listing(outbox, ["a", "b"], Wanted(after=after, limit=3))
        seen += [one.record.id for one in found]
        sizes.append(len(found))
        if after is None:
            break
        assert messages.place_of(messages.cursor(after)) == after
    assert seen == [*(f"{a}{n}" for a in "ba" for n in (6, 5, 4)), *(f"{a}{n}" for a in "ba" for n in (3, 2, 1, 0))]
    assert sizes == [3, 3, 3, 3, 2]
    assert await names(outbox, since=1_001) == ["a6", "a5", "a4"]
    assert await names(outbox, until=1_001, states=("sent",)) == ["a1"]


async def test_the_messages_of_one_recipient_are_found_among_many(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks at a bounded number of messages, and the next one goes on where it ended."""
    monkeypatch.setattr(messages, "_A_PASS", 10)
    await put(outbox, "first", to=BO)
    await asyncio.sleep(0.002)
    await put(outbox, *(f"m{n:02d}" for n in range(60)))
    wanted = Wanted(recipients=messages.recipients("+49 151 00000002", "1"))
    found, after = await messages.listing(outbox, ["a"], wanted)
    assert (found, after is not None) == ([], True)
    found, after = await messages.listing(outbox, ["a"], Wanted(recipients=wanted.recipients, after=after))
    assert ([one.record.id for one in found], after) == (["first"], None)
    page, after = await messages.listing(outbox, ["a"], Wanted(recipients=frozenset({ANA}), limit=5))
    assert [one.record.id for one in page] == ["m59", "m58", "m57", "m56", "m55"]
    assert after is not None


@pytest.mark.parametrize("text", ["", "x", "12", "12.", ".m1", "-1.m1", "1" * 16 + ".m1", "\u0661.m1"])
def test_what_is_no_place_is_none(text: str) -> None:
    """A cursor that no page gave is told from one that did."""
    assert messages.place_of(text) is None
