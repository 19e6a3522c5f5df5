"""The outbox step by step: lines, leases, rates, what is unknown, and what a status webhook settles."""

import asyncio
from typing import Any

import pytest

from tests.streams import LONG, Rig
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.meta import callback, send
from whatshooked.stream import outbox as module
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Again, Claimed, Failed, Lease, Message, Outbox, Sent, State, Told, Unknown
from whatshooked.stream.settle import Taken

ACCOUNT = "business"
ANA, BO = "4915100000001", "4915100000002"


def message(name: str, recipient: str = ANA) -> Message:
    """A text."""
    return Message(id=name, recipient=recipient, kind="text", body=b'{"type":"text"}', cause="1-1", hook_id="h1")


@pytest.fixture
def outbox(link: Link, keys: Keys) -> Outbox:
    """An outbox under this test's prefix."""
    return Outbox(link, keys)


async def put(outbox: Outbox, *messages: Message) -> None:
    """Put messages in, all of them new."""
    assert all(new for _, _, new in await outbox.add(ACCOUNT, messages))


async def claim(
    outbox: Outbox, *, lease_ms: int = LONG, most: int = 100, a_second: int = 100_000, **more: int
) -> Claimed:
    """Claim what is due."""
    heads = (await outbox.due([ACCOUNT], 200)).get(ACCOUNT, [])
    resend = bool(more.pop("resend", 0))
    return await outbox.claim(ACCOUNT, heads, most=most, a_second=a_second, lease_ms=lease_ms, resend=resend, **more)


async def one(outbox: Outbox, **more: int) -> Lease:
    """Claim the only message that is due."""
    (lease,) = (await claim(outbox, **more)).leases
    return lease


async def state(outbox: Outbox, name: str) -> State:
    """A message's state."""
    found = await outbox.get(ACCOUNT, name)
    assert found is not None
    return found.state


async def told(outbox: Outbox, name: str, status: str, at: int = 1_000, **fields: str) -> None:
    """A status webhook comes."""
    await outbox.statuses([Told(ACCOUNT, name, status, at, fields)])


async def test_a_message_goes_from_new_to_sent(outbox: Outbox) -> None:
    """Each state has it in one list and no other, and the record keeps what Meta said."""
    await put(outbox, message("m1"))
    assert await outbox.counts(ACCOUNT) == {"new": 1, "sending": 0, "sent": 0, "failed": 0, "unknown": 0}
    lease = await one(outbox)
    assert (lease.message.body, lease.message.attempts) == (b'{"type":"text"}', 1)
    assert (await outbox.counts(ACCOUNT))["sending"] == 1
    assert await outbox.settle(lease, Sent("wamid.1")) == "sent"
    found = await outbox.get(ACCOUNT, "m1")
    assert found is not None
    assert (found.state, found.wamid, found.cause, found.hook) == ("sent", "wamid.1", "1-1", "h1")
    assert [record.id for record in await outbox.page(ACCOUNT, "sent")] == ["m1"]
    assert not await outbox.due([ACCOUNT], 10)


async def test_the_same_id_is_put_once(outbox: Outbox) -> None:
    """A reply that is moved a second time, after a crash, adds nothing."""
    await put(outbox, message("m1"))
    assert await outbox.add(ACCOUNT, [message("m1")]) == [("m1", "", False)]
    await outbox.settle(await one(outbox), Sent("wamid.1"))
    assert await outbox.add(ACCOUNT, [message("m1")]) == [("m1", "", False)]
    assert not (await claim(outbox)).leases


async def test_an_idempotency_key_stands_for_one_message(outbox: Outbox) -> None:
    """The second call with a key answers with the first one's message, and with what was asked then."""
    assert await outbox.add(ACCOUNT, [message("m1")], known="k", digest="abc") == [("m1", "abc", True)]
    assert await outbox.add(ACCOUNT, [message("m2")], known="k", digest="xyz") == [("m1", "abc", False)]
    assert await outbox.get(ACCOUNT, "m2") is None


async def test_a_recipient_gets_messages_in_order(outbox: Outbox) -> None:
    """Only the head of a line is ever in flight, a retry blocks its own line, and others go on."""
    await put(outbox, message("a1"), message("a2"), message("b1", BO))
    first = await claim(outbox)
    assert sorted(lease.message.id for lease in first.leases) == ["a1", "b1"]
    by_id = {lease.message.id: lease for lease in first.leases}
    assert await outbox.settle(by_id["a1"], Again(60_000, "later", 131016)) == "new"
    assert await outbox.settle(by_id["b1"], Sent("wamid.b")) == "sent"
    assert not (await claim(outbox)).leases
    assert (await state(outbox, "a1"), await state(outbox, "a2")) == ("new", "new")


async def test_a_line_goes_on_behind_what_ended(outbox: Outbox) -> None:
    """Sent, refused or unknown: the next of the line is due at once."""
    await put(outbox, message("m1"), message("m2"), message("m3"), message("m4"))
    for name, outcome in (("m1", Sent("w")), ("m2", Failed(131047, "closed")), ("m3", Unknown("no answer"))):
        lease = await one(outbox)
        assert lease.message.id == name
        await outbox.settle(lease, outcome)
    assert (await one(outbox)).message.id == "m4"
    assert [await state(outbox, name) for name in ("m1", "m2", "m3")] == ["sent", "failed", "unknown"]


async def test_a_lease_that_ends_without_an_outcome_is_unknown(outbox: Outbox) -> None:
    """The process died with the message in its hands: nobody sends it again, and it is listed."""
    await put(outbox, message("m1"), message("m2"))
    await one(outbox, lease_ms=0)
    assert (await claim(outbox)).unknown == ["m1"]
    assert await state(outbox, "m1") == "unknown"
    assert (await one(outbox)).message.id == "m2"


async def test_what_is_unknown_is_sent_again_when_asked(outbox: Outbox) -> None:
    """With resend the lease's end makes it due again, up to five times; then it is unknown after all."""
    await put(outbox, message("m1"))
    for number in range(1, module.MOST_LEASES + 1):
        assert (await one(outbox, lease_ms=0, resend=1)).message.attempts == number
    assert (await claim(outbox, resend=1)).unknown == ["m1"]


async def test_a_late_answer_settles_what_was_unknown(outbox: Outbox) -> None:
    """The worker was slow, not dead: its answer counts although another had set the message aside."""
    await put(outbox, message("m1"))
    lease = await one(outbox, lease_ms=0)
    await claim(outbox)
    assert await outbox.settle(lease, Sent("wamid.1")) == "sent"
    assert await outbox.counts(ACCOUNT) == {"new": 0, "sending": 0, "sent": 1, "failed": 0, "unknown": 0}


@pytest.mark.parametrize("tried", [True, False])
async def test_what_surely_was_not_sent_waits_again(outbox: Outbox, tried: bool) -> None:
    """Meta said no, or was never asked, and that could not be recorded in time: it is unknown no more, but due."""
    await put(outbox, message("m1"), message("m2"))
    lease = await one(outbox, lease_ms=0)
    assert (await claim(outbox)).unknown == ["m1"]
    assert await outbox.settle(lease, Again(0, "out of order", 131016, tried=tried)) == "new"
    second = await one(outbox)
    assert second.message.id == "m2"
    assert not (await claim(outbox)).leases
    await outbox.settle(second, Sent("wamid.2"))
    again = await one(outbox)
    assert (again.message.id, again.message.attempts) == ("m1", 1 + tried)
    assert await outbox.settle(lease, Again(0, "out of order", 131016)) is None


async def test_a_claim_whose_answer_is_lost_leases_nothing(
    outbox: Outbox, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis did it and we never heard: nobody was told to send them, so they are put back and not called unknown."""
    await put(outbox, message("m1"), message("m2", BO))
    run = link.run

    async def lost(*arguments: Any) -> None:
        await run(*arguments)
        raise StreamUnavailable("no answer in time")

    with monkeypatch.context() as patched:
        patched.setattr(link, "run", lost)
        with pytest.raises(StreamUnavailable):
            await claim(outbox)
    assert await state(outbox, "m1") == "sending"
    await outbox.give_back()
    await outbox.give_back()
    assert [lease.message.attempts for lease in (await claim(outbox)).leases] == [1, 1]


async def test_only_the_lease_holder_settles(outbox: Outbox) -> None:
    """After another process sent it again, the first one's refusal says nothing any more."""
    await put(outbox, message("m1"))
    old = await one(outbox, lease_ms=0, resend=1)
    new = await one(outbox, resend=1)
    assert await outbox.settle(old, Failed(1, "no")) is None
    assert await outbox.settle(new, Sent("wamid.1")) == "sent"


@pytest.mark.parametrize(("status", "becomes"), [("delivered", "sent"), ("failed", "failed")])
async def test_a_status_settles_what_was_unknown(outbox: Outbox, status: str, becomes: str) -> None:
    """Meta's webhook names our id: it had the message."""
    await put(outbox, message("m1"))
    await outbox.settle(await one(outbox), Unknown("time-out"))
    await told(outbox, "m1", status, wamid="wamid.1")
    found = await outbox.get(ACCOUNT, "m1")
    assert found is not None
    assert (found.state, found.status, found.wamid) == (becomes, status, "wamid.1")
    assert (await outbox.counts(ACCOUNT))["unknown"] == 0


async def test_a_status_may_come_before_the_answer(outbox: Outbox) -> None:
    """The message is in flight when its status comes: a time-out then means sent, and so does a lease's end."""
    await put(outbox, message("m1"), message("m2", BO))
    leases = {lease.message.id: lease for lease in (await claim(outbox, lease_ms=0)).leases}
    await told(outbox, "m1", "sent")
    await told(outbox, "m2", "delivered")
    assert await outbox.settle(leases["m1"], Unknown("time-out", resend=True)) == "sent"
    found = await claim(outbox, resend=1)
    assert (found.leases, found.settled) == ([], ["m2"])
    assert await state(outbox, "m2") == "sent"


@pytest.mark.parametrize(("status", "becomes"), [("delivered", "sent"), ("failed", "failed")])
async def test_a_status_may_come_while_it_waits_to_be_sent_again(outbox: Outbox, status: str, becomes: str) -> None:
    """An attempt of which nobody knows is to be repeated when its status comes: Meta had it, so it is not."""
    await put(outbox, message("m1"))
    lease = await one(outbox)
    assert await outbox.settle(lease, Unknown("time-out", resend=True)) == "new"
    await told(outbox, "m1", status)
    found = await claim(outbox, resend=1)
    assert (found.leases, found.settled) == ([], ["m1"])
    assert await state(outbox, "m1") == becomes
    assert sum((await outbox.counts(ACCOUNT)).values()) == 1


async def test_a_failure_that_comes_before_the_leases_end(outbox: Outbox) -> None:
    """The worker died and Meta refused the message later: it failed."""
    await put(outbox, message("m1"))
    await one(outbox, lease_ms=0)
    await told(outbox, "m1", "failed", code="131026")
    assert (await claim(outbox)).settled == ["m1"]
    assert await state(outbox, "m1") == "failed"


async def test_a_failure_that_comes_before_the_answer(outbox: Outbox) -> None:
    """Meta's acceptance does not wipe out why it failed the message since."""
    await put(outbox, message("m1"))
    lease = await one(outbox)
    await told(outbox, "m1", "failed", wamid="wamid.1", code="131047", error="Re-engagement message")
    assert await outbox.settle(lease, Sent("wamid.1")) == "failed"
    found = await outbox.get(ACCOUNT, "m1")
    assert found is not None
    assert (found.wamid, found.code, found.error) == ("wamid.1", 131047, "Re-engagement message")


@pytest.mark.parametrize("by", ["answer", "status", "status of what is unknown", "status at the lease's end"])
async def test_what_was_sent_shows_no_fault(outbox: Outbox, by: str) -> None:
    """Why an earlier attempt failed, or was unknown, is over once the message is sent."""
    await put(outbox, message("m1"))
    await outbox.settle(await one(outbox), Again(0, "out of order", 131016))
    lease = await one(outbox, lease_ms=0)
    if by == "answer":
        await outbox.settle(lease, Sent("wamid.1"))
    elif by == "status of what is unknown":
        await outbox.settle(lease, Unknown("time-out"))
    if by != "answer":
        await told(outbox, "m1", "sent")
    if by == "status":
        await outbox.settle(lease, Unknown("time-out"))
    await claim(outbox)
    found = await outbox.get(ACCOUNT, "m1")
    assert found is not None
    assert (found.state, found.code, found.error) == ("sent", 0, "")


async def test_a_status_never_goes_backwards(outbox: Outbox) -> None:
    """Whatever the order of the webhooks, the record shows the furthest, and each one's own time."""
    await put(outbox, message("m1"))
    await outbox.settle(await one(outbox), Sent("wamid.1"))
    for status, at in (("read", 3_000), ("sent", 1_000), ("delivered", 2_000), ("failed", 4_000), ("read", 9_000)):
        await told(outbox, "m1", status, at)
    found = await outbox.get(ACCOUNT, "m1")
    assert found is not None
    assert (found.status, found.state) == ("read", "sent")
    assert found.times == {"sent": 1_000, "delivered": 2_000, "read": 3_000, "failed": 4_000}


async def test_a_failure_after_the_acceptance(outbox: Outbox) -> None:
    """Meta took it and said no later: the message failed, with Meta's reason, and stays so."""
    await put(outbox, message("m1"))
    await outbox.settle(await one(outbox), Sent("wamid.1"))
    await told(outbox, "m1", "failed", code="131047", error="Re-engagement message")
    await told(outbox, "m1", "sent")
    found = await outbox.get(ACCOUNT, "m1")
    assert found is not None
    assert (found.state, found.status, found.code, found.error) == ("failed", "failed", 131047, "Re-engagement message")


async def test_a_strange_key_keeps_no_other_status_back(outbox: Outbox, link: Link, keys: Keys) -> None:
    """Something else lies where a message should: its neighbours' statuses are noted, and the reader goes on."""
    await put(outbox, message("m1"))
    await outbox.settle(await one(outbox), Unknown("time-out"))
    await link.call("SET", keys.outbox(ACCOUNT).message("m0"), "x")
    await outbox.statuses([Told(ACCOUNT, name, "sent", 1_000, {}) for name in ("m0", "m1")])
    assert await state(outbox, "m1") == "sent"


async def test_statuses_of_strangers_are_left_alone(outbox: Outbox) -> None:
    """A status with a mark of ours that nobody remembers makes no record."""
    await told(outbox, "m9", "sent")
    assert await outbox.get(ACCOUNT, "m9") is None


async def test_the_pair_rate_is_kept(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the burst a recipient waits, and only that one."""
    monkeypatch.setattr(module, "PAIR_BURST", 2)
    monkeypatch.setattr(module, "PAIR_MS", 200)
    await put(outbox, *(message(f"a{i}") for i in range(4)))
    for name in ("a0", "a1"):
        lease = await one(outbox)
        assert lease.message.id == name
        await outbox.settle(lease, Sent("w"))
    assert not (await claim(outbox)).leases
    await put(outbox, message("b0", BO))
    assert (await one(outbox)).message.id == "b0"
    await asyncio.sleep(0.21)
    assert (await one(outbox)).message.id == "a2"


async def test_the_throughput_is_kept_in_and_out_together(outbox: Outbox) -> None:
    """A number passes so many messages a second, and those that came in count as well."""
    await put(outbox, *(message(f"m{i}", f"49151000001{i:02d}") for i in range(60)))
    first = len((await claim(outbox, a_second=20)).leases)
    await asyncio.sleep(0.5)
    second = len((await claim(outbox, a_second=20)).leases)
    assert first == 1
    assert 1 <= second <= 20
    assert not (await claim(outbox, a_second=20, came_in=40)).leases


async def test_a_reply_is_kept_with_the_delivery_and_once(link: Link, keys: Keys, outbox: Outbox) -> None:
    """DONE keeps the reply; a second delivery, late or by a named replay, keeps none; again=true does."""
    rig = Rig(link, keys, "h1")
    (event_id,) = await rig.routed("h1")
    assert await rig.settler.record(Taken(event_id, "h1", b"first"))
    assert not await rig.settler.record(Taken(event_id, "h1", b"late"))
    ((name, blob),) = await outbox.replies(10)
    assert (name.startswith(f"{event_id}.h1."), blob) == (True, b"first")
    await outbox.moved([name])
    await rig.operator.replay([event_id], hook_id="h1")
    assert await rig.settler.record(Taken(event_id, "h1", b"replayed"))
    assert await outbox.replies(10) == []
    await rig.operator.replay([event_id], again=True)
    assert await rig.settler.record(Taken(event_id, "h1", b"again"))
    assert [blob for _, blob in await outbox.replies(10)] == [b"again"]
    assert await rig.examine() == []


@pytest.mark.parametrize("hook_id", ["a|b.c:d", "/", "ü" * 300, "x" * 300])
async def test_a_reply_has_a_name_that_travels(link: Link, keys: Keys, outbox: Outbox, hook_id: str) -> None:
    """Whatever a hook is called, the name of its reply comes back from Meta whole and names the event."""
    rig = Rig(link, keys, hook_id)
    (event_id,) = await rig.routed(hook_id)
    assert await rig.settler.record(Taken(event_id, hook_id, b"reply"))
    ((name, _),) = await outbox.replies(10)
    data = callback.mark(callback.reply_id(name, 49), "t" * send.THEIRS)
    assert len(data) <= send.CALLBACK
    assert callback.read(data) == (f"{name}.49", event_id, "t" * send.THEIRS)
    assert callback.of_reply(name) == event_id
