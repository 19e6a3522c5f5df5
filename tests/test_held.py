"""An event with a file in Redis: `_media` first, the hooks held, and let go in the step that notes what was found."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.streams import ENDED, LONG, Rig
from whatshooked import events
from whatshooked.errors import StoreUnavailable
from whatshooked.events import Event
from whatshooked.hooks.retry import JITTER
from whatshooked.keys import MEDIA_HOOK, Keys
from whatshooked.stream.budget import MOST, Budget
from whatshooked.stream.consume import Park, Route, Want
from whatshooked.stream.intake import Addition
from whatshooked.stream.leases import Wish, claim, renew
from whatshooked.stream.link import Link
from whatshooked.stream.media import Finding, Findings, known, needed, records
from whatshooked.stream.record import Record
from whatshooked.stream.settle import NotTaken
from workers import fetch_retry

STORED = Record("wamid.1_aabbccdd.jpg", "image/jpeg", "ab" * 32, 3, "business")
RAW = b'{"id":"wamid.1","type":"image","image":{"id":"900"}}'


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """An installation with two hooks."""
    return Rig(link, keys, "h1", "h2")


async def held(rig: Rig, *hooks: str, lease: int = LONG, hold: int = LONG) -> tuple[str, int]:
    """Append and route an event with a file; returns its id and the token of the lease on its fetch."""
    event = Event(events.ENTRY_VERSION, "message.received", "business", RAW)
    (added,) = await rig.intake.add([Addition(events.encode(event), Path(rig.keys.prefix).name.encode()[:16], 1)])
    wants = [Want(MEDIA_HOOK, leased=True), *(Want(hook, leased=False, held=True) for hook in hooks)]
    routes = [Route(entry.id, Park.YES, wants) for entry in await rig.read()]
    leases = {MEDIA_HOOK: lease} | dict.fromkeys(hooks, LONG)
    routed = await rig.consumer.route(routes, leases, hold_ms=hold)
    assert routed.ids == {added.id}
    return added.id, routed.now + lease


def findings(rig: Rig, hooks: Sequence[str] = ("h1", "h2")) -> Findings:
    """What notes the ends of fetches."""
    return Findings(rig.link, rig.keys, lambda: hooks)


async def fetch_leases(rig: Rig, *, to_poison: int = 1_000) -> list[int]:
    """Claim what is due to be fetched; returns the leases that had no outcome before, of each."""
    wish = Wish(MEDIA_HOOK, 10, LONG, to_poison)
    found = (await claim(rig.link, rig.keys, [wish])).get(MEDIA_HOOK)
    return [lease.unfinished for lease in found.leases] if found else []


async def test_hooks_are_held_until_the_file_is_noted(rig: Rig) -> None:
    """No hook is due while the fetch goes on; the note lets all of them go at once."""
    event_id, token = await held(rig, "h1", "h2")
    assert (await rig.claim("h1")).leases == []
    assert await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    for hook in ("h1", "h2"):
        assert [lease.event_id for lease in (await rig.claim(hook)).leases] == [event_id]
    assert await records(rig.link, rig.keys, [event_id]) == {event_id: STORED}
    assert await rig.examine() == []


async def test_the_hold_ends_by_itself(rig: Rig) -> None:
    """Whatever becomes of the fetch: a hook is due when the hold is over."""
    event_id, _ = await held(rig, "h1", hold=0)
    (lease,) = (await rig.claim("h1")).leases
    assert (lease.event_id, lease.attempt) == (event_id, 1)
    assert await known(rig.link, rig.keys, event_id) == Record(error="not fetched in time")


async def test_only_the_lease_may_note(rig: Rig) -> None:
    """A fetch whose lease another has by now changes nothing."""
    event_id, token = await held(rig, "h1", lease=ENDED)
    assert await fetch_leases(rig) == [1]
    assert not await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    assert await records(rig.link, rig.keys, [event_id]) == {}
    assert (await rig.claim("h1")).leases == []


async def test_what_was_tried_has_its_own_time(rig: Rig) -> None:
    """A hook that was tried when its hold was over, and refused, is not made due by a late note."""
    event_id, token = await held(rig, "h1", "h2", hold=0)
    (lease,) = (await rig.claim("h1")).leases
    assert await rig.settler.record(NotTaken(event_id, "h1", lease.token, "again", LONG))
    (flying,) = (await rig.claim("h2")).leases
    assert await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    assert (await rig.claim("h1")).leases == []
    assert (await rig.claim("h2")).leases == []
    assert await rig.settler.record(NotTaken(event_id, "h2", flying.token, "free"))  # its lease is what it was


async def test_an_event_stays_while_its_file_is_fetched(rig: Rig) -> None:
    """All hooks took it without its file: it is acknowledged when the fetch ends, and not before."""
    event_id, token = await held(rig, "h1", hold=0)
    await rig.claim("h1")
    assert await rig.take(event_id, "h1")
    assert await rig.cached() == [event_id]
    assert await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    assert await rig.cached() == []


@pytest.mark.parametrize(("park", "state"), [(Park.YES, "unmatched"), (Park.NO, "")])
async def test_a_file_without_a_hook(rig: Rig, park: Park, state: str) -> None:
    """An event that nobody wants is unmatched once its file is here, or leaves where the cache is off."""
    event_id, token = await held(rig)
    assert (await rig.states(event_id))[""] == "waiting"
    assert await findings(rig).note(Finding(event_id, token, STORED, park))
    assert await rig.cached() == ([event_id] if state else [])
    if state:
        assert (await rig.states(event_id))[""] == state
    assert await rig.examine() == []


async def test_a_hook_of_another_config_goes_when_its_hold_ends(rig: Rig) -> None:
    """A process that does not know a hook leaves it held: it goes out by time."""
    event_id, token = await held(rig, "h1", "h2")
    assert await findings(rig, ["h1"]).note(Finding(event_id, token, STORED, Park.YES))
    assert len((await rig.claim("h1")).leases) == 1
    assert (await rig.claim("h2")).leases == []


async def test_a_lease_that_is_renewed_is_nobody_elses(rig: Rig) -> None:
    """RENEW moves a lease's end for its holder alone."""
    event_id, token = await held(rig, "h1", lease=500)
    (renewed,) = await renew(rig.link, rig.keys, MEDIA_HOOK, [(event_id, token)], LONG)
    assert renewed > token
    assert await renew(rig.link, rig.keys, MEDIA_HOOK, [(event_id, token), ("1-1", 5)], LONG) == [0, 0]
    await asyncio.sleep(0.6)
    assert await fetch_leases(rig) == []
    assert not await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    assert await findings(rig).note(Finding(event_id, renewed, STORED, Park.YES))


async def test_a_fetch_is_never_poison(rig: Rig) -> None:
    """However often its worker dies, the fetch can be claimed, and says how often: it is given up by its worker."""
    await held(rig, "h1", lease=ENDED)
    wish = Wish(MEDIA_HOOK, 10, ENDED, 1_000, suspects=1)
    counts = []
    for _ in range(8):
        counts += [lease.unfinished for lease in (await claim(rig.link, rig.keys, [wish]))[MEDIA_HOOK].leases]
    assert counts == list(range(1, 9))


async def test_nobody_was_there_to_fetch(rig: Rig) -> None:
    """A hold that ended long ago, with the file still to be fetched, begins once more, and only once."""
    event_id, _ = await held(rig, "h1", lease=ENDED, hold=0)
    await rig.link.call("ZADD", rig.keys.due("h1"), await rig.link.now() - 10_000, event_id)
    found = await claim(rig.link, rig.keys, [Wish("h1", 10, LONG)], hold_ms=200)
    assert found["h1"].leases == []
    await asyncio.sleep(0.25)
    await rig.link.call("ZADD", rig.keys.due("h1"), await rig.link.now() - 10_000, event_id)
    found = await claim(rig.link, rig.keys, [Wish("h1", 10, LONG)], hold_ms=LONG)
    assert [lease.event_id for lease in found["h1"].leases] == [event_id]


async def test_a_fetch_that_goes_on_holds_nobody_longer(rig: Rig) -> None:
    """A hook that was claimed late since it had no room does not wait once more for a file that is being fetched."""
    event_id, _ = await held(rig, "h1", lease=LONG, hold=0)
    await rig.link.call("ZADD", rig.keys.due("h1"), await rig.link.now() - 10_000, event_id)
    found = await claim(rig.link, rig.keys, [Wish("h1", 10, LONG)], hold_ms=LONG)
    assert [lease.event_id for lease in found["h1"].leases] == [event_id]


async def test_a_store_that_is_away_stops_no_replay(rig: Rig) -> None:
    """Whether a file is there is asked of the store; one that does not answer is believed to have it."""
    event_id, token = await held(rig, "h1", "h2")
    await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    for hook in ("h1", "h2"):
        await rig.claim(hook)
        await rig.take(event_id, hook)

    async def away(account_id: str, filename: str) -> bool:
        raise StoreUnavailable("the bucket does not answer")

    rig.operator._has_file = away
    assert await rig.operator.replay([event_id], again=True) == {event_id: 2}
    assert len((await rig.claim("h1")).leases) == 1


async def test_a_replay_fetches_what_is_not_here(rig: Rig) -> None:
    """An event whose file could not be had is fetched again, and its hooks are held for it."""
    event_id, token = await held(rig, "h1", "h2")
    await findings(rig).note(Finding(event_id, token, Record(error="gone"), Park.YES))
    for hook in ("h1", "h2"):
        await rig.claim(hook)
        await rig.take(event_id, hook)
    assert await rig.operator.replay([event_id], again=True) == {event_id: 2}
    assert (await rig.claim("h1")).leases == []
    assert await fetch_leases(rig) == [0]
    assert await rig.examine() == []
    # Asked for again while it goes on, it neither begins anew nor waits longer.
    before = await rig.link.call("ZSCORE", rig.keys.due("h1"), event_id)
    await rig.operator.replay([event_id], again=True)
    assert await rig.link.call("ZSCORE", rig.keys.due("h1"), event_id) == before
    assert await fetch_leases(rig) == []


async def test_a_replay_of_what_is_here_fetches_nothing(rig: Rig) -> None:
    """A stored file is delivered at once, unless the store has lost it."""
    event_id, token = await held(rig, "h1", "h2")
    await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    for hook in ("h1", "h2"):
        await rig.claim(hook)
        await rig.take(event_id, hook)
    await rig.operator.replay([event_id], hook_id="h1")
    assert len((await rig.claim("h1")).leases) == 1
    assert await fetch_leases(rig) == []
    await rig.take(event_id, "h1")

    async def lost(account_id: str, filename: str) -> bool:
        assert (account_id, filename) == ("business", STORED.filename)
        return False

    rig.operator._has_file = lost
    await rig.operator.replay([event_id], hook_id="h1")
    assert (await rig.claim("h1")).leases == []
    assert await fetch_leases(rig) == [0]


async def test_what_is_deleted_takes_its_note_along(rig: Rig) -> None:
    """DELETE amid a fetch: its end changes nothing, and no key stays."""
    event_id, token = await held(rig, "h1")
    assert await rig.operator.delete(event_id)
    assert not await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    event_id = (await rig.add())[0]
    await rig.route(await rig.read(), "h1")
    await rig.link.call("HSET", rig.keys.media(event_id), "error", "gone")
    assert await rig.operator.delete(event_id)
    assert await rig.link.call("EXISTS", rig.keys.media(event_id)) == 0
    assert await rig.examine() == []


async def test_files_of_cached_events_are_needed(rig: Rig) -> None:
    """Retention is told of the files that cached events brought."""
    event_id, token = await held(rig, "h1")
    await findings(rig).note(Finding(event_id, token, STORED, Park.YES))
    assert await needed(rig.link, rig.keys, [event_id, "1-1"]) == {("business", STORED.filename)}


async def test_the_budget_counts_what_failed(link: Link, keys: Keys) -> None:
    """Five calls that failed, or died, are all of an hour; what went well gives its place back."""
    one, other = Budget(link, keys), Budget(link, keys)
    for _ in range(20):
        mark, wait = await one.enter("a")
        assert wait == 0
        await one.went_well("a", mark)
    for number in range(MOST):
        mark, wait = await (one, other)[number % 2].enter("a")
        assert wait == 0
        if number % 2:
            await one.failed("a", mark)
    mark, wait = await one.enter("a")
    assert (mark, wait < 1) == ("", True)  # three of them may still go well
    for mark in await link.call("ZRANGE", keys.media_calls("a"), 0, -1):
        await one.failed("a", mark.decode())
    mark, wait = await other.enter("a")
    assert mark == ""
    assert 3500 < wait <= 3600
    assert (await other.enter("b"))[1] == 0


@pytest.mark.parametrize("max_wait", [1.0, 20.0, 60.0, 600.0])
def test_tries_fit_into_the_wait(max_wait: float) -> None:
    """Tries that fail at once end within the wait, whatever chance adds; the last is told so."""
    for spread in (-1.0, 0.0, 1.0):
        passed, attempt = 0.0, 1
        while (delay := fetch_retry.delay(attempt, 0.0, 0.0, max_wait, spread=spread)) is not None:
            passed += delay
            attempt += 1
        assert passed <= max_wait * (1 + JITTER)
        assert attempt > 1 or max_wait < fetch_retry.SCHEDULE[0] * 1.3
    assert fetch_retry.delay(1, 0.0, max_wait, max_wait, spread=0.0) is None
    assert fetch_retry.seconds(1, max_wait) < max_wait
    # A try that took all its time is the last, or another would begin as the message goes out.
    assert fetch_retry.delay(1, fetch_retry.seconds(1, max_wait), 0.0, max_wait, spread=-1.0) is None
