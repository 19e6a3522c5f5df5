"""The cache's API: listing with paging and states, counts, delete and clear."""

import re
from collections.abc import Callable

import pytest

from tests import meta
from tests.commands import run
from tests.conftest import Gateway, hook
from tests.receiver import Receiver, status
from tests.streams import Rig, until
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

MakeGateway = Callable[..., Gateway]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def rig(link: Link, keys: Keys) -> Rig:
    """Steps by hand on the gateway's own keys."""
    return Rig(link, keys, "h1", "h2")


@pytest.fixture
async def web(make_gateway: MakeGateway, receiver: Receiver, rig: Rig) -> Gateway:
    """The web app without a worker: what is cached stays as it is."""
    found = make_gateway(
        hook("h1", receiver.url("/1")),
        hook("h2", receiver.url("/2")),
        message_cache={"max_events": 500, "max_age_days": 1.5},
    )
    await found.start(workers=0)
    await rig.consumer.ensure_group()
    return found


async def test_an_untouched_redis_has_an_empty_cache(make_gateway: MakeGateway) -> None:
    """Before anything came in every call answers as for an empty cache, and an unknown id is a 404."""
    gateway = make_gateway()
    await gateway.start(workers=0)
    assert (await gateway.api("GET", "/api/cache")).json() == {"events": [], "next": None, "total": 0}
    assert (await gateway.api("GET", "/api/cache/stats")).json()["total"] == 0
    assert (await gateway.api("POST", "/api/cache/replay")).json() == {"replayed": 0}
    assert (await gateway.api("DELETE", "/api/cache/clear?confirm=true")).json() == {"deleted": 0}
    assert (await gateway.api("POST", "/api/cache/event/replay?id=1-0")).status_code == 404
    assert (await gateway.api("DELETE", "/api/cache/event/delete?id=1-0")).status_code == 404


async def test_the_listing_has_the_contract_s_shape(gateway: Gateway, receiver: Receiver) -> None:
    """A refused event is shown with its hook's state, attempts, next try, last status and error, and its payload."""
    receiver.behave = status(503)
    await gateway.post(meta.webhook(meta.value(message := meta.text("kept"))))
    await receiver.wait(1)

    async def refused() -> bool:
        return bool((await gateway.cached(1))[0]["hooks"]["h1"]["last_status"])

    await until(refused)
    page = (await gateway.api("GET", "/api/cache")).json()
    (event,) = page["events"]
    assert (page["next"], page["total"]) == (None, 1)
    assert event.keys() == {"id", "event", "account_id", "received_at", "state", "hooks", "payload"}
    assert (event["event"], event["account_id"], event["state"]) == ("message.received", "business", "waiting")
    assert TIME.fullmatch(event["received_at"])
    h1 = event["hooks"]["h1"]
    assert h1.keys() == {"state", "attempts", "next_try", "last_status", "last_error"}
    assert (h1["state"], h1["attempts"], h1["last_status"], h1["last_error"]) == ("retrying", 1, 503, "HTTP 503")
    assert TIME.fullmatch(h1["next_try"])
    assert h1["next_try"] > event["received_at"]
    assert event["payload"] == receiver.received[0].json
    assert event["payload"]["message_id"] == message["id"]


async def test_every_state_is_listed(web: Gateway, rig: Rig) -> None:
    """waiting, dead, unmatched and poison stand as such, and a dead hook beside one that waits is waiting."""
    (unmatched,) = await rig.routed()
    (dead,) = await rig.dead("h1")
    (mixed,) = await rig.dead("h1", "h2")
    poison = await rig.poison("h1")
    (waiting,) = await rig.routed("h2", leased=False)
    events = {one["id"]: one for one in (await web.api("GET", "/api/cache")).json()["events"]}
    states = {event_id: one["state"] for event_id, one in events.items()}
    assert states == {
        unmatched: "unmatched",
        dead: "dead",
        mixed: "waiting",
        poison: "poison",
        waiting: "waiting",
    }
    assert events[dead]["hooks"]["h1"] == {
        "state": "dead",
        "attempts": 1,
        "next_try": None,
        "last_status": 503,
        "last_error": "HTTP 503",
    }
    assert {hook: one["state"] for hook, one in events[mixed]["hooks"].items()} == {"h1": "dead", "h2": "in_flight"}
    assert events[unmatched]["hooks"] == {}


async def test_pages_follow_one_another(web: Gateway, rig: Rig) -> None:
    """Following `next` meets each event once, oldest first; the last page says null, also when it is full."""
    ids = await rig.routed(count=25)
    seen: list[str] = []
    after: str | None = ""
    sizes = []
    while after is not None:
        page = (await web.api("GET", f"/api/cache?limit=5&after={after}")).json()
        assert page["total"] == 25
        seen += [one["id"] for one in page["events"]]
        sizes.append(len(page["events"]))
        after = page["next"]
    assert seen == ids
    assert sizes == [5] * 5


async def test_a_listing_finds_what_is_looked_for(web: Gateway, rig: Rig) -> None:
    """By state, by hook, and by what an event is to a hook; in pages that meet each event once, and no others."""
    await rig.routed(count=3)
    dead = await rig.dead("h1", count=2)
    (mixed,) = await rig.dead("h1", "h2")
    poison = await rig.poison("h2")

    async def found(question: str) -> list[str]:
        ids: list[str] = []
        after: str | None = ""
        while after is not None:
            page = (await web.api("GET", f"/api/cache?limit=1&{question}&after={after}")).json()
            ids += [one["id"] for one in page["events"]]
            after = page["next"]
        return ids

    assert await found("state=dead") == dead
    assert await found("hook=h1") == [*dead, mixed]
    assert await found("state=dead&hook=h1") == [*dead, mixed]
    assert await found("state=waiting") == await found("state=waiting&hook=h2") == [mixed]
    assert await found("state=poison&hook=h2") == [poison]
    assert await found("state=unmatched&hook=h1") == await found("hook=gone") == []
    assert (await web.api("GET", "/api/cache?state=lost")).status_code == 400


async def test_a_search_ends_and_can_be_gone_on_with(web: Gateway, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind many others a page is empty and has a `next`; the command says so, and how to go on."""
    monkeypatch.setattr("whatshooked.stream.cache.PASSED_LIMIT", 4)
    monkeypatch.setattr("whatshooked.stream.cache.PAGE", 2)
    passed = await rig.routed(count=5)
    (dead,) = await rig.dead("h1")
    page = (await web.api("GET", "/api/cache?state=dead")).json()
    assert (page["events"], page["next"]) == ([], passed[3])
    said = await run("cache", "list", "-c", str(web.path), "--state", "dead", "--json")
    assert (said.code, said.out) == (0, "")
    assert said.err.endswith(f"looked no further: --after {passed[3]} goes on\n")
    said = await run("cache", "list", "-c", str(web.path), "--hook", "h1", "--after", passed[3])
    assert (said.out.split()[:2], said.err) == ([dead, "dead"], "")
    said = await run("cache", "list", "-c", str(web.path), "--hook", "gone", "--after", dead)
    assert (said.out, said.err) == ("", f"nothing of this kind is cached behind {dead}\n")


async def test_a_page_holds_500_events_at_most(web: Gateway, rig: Rig) -> None:
    """Without a limit a page has 100, at most 500; more, fewer than one and no number are refused."""
    for _ in range(2):
        await rig.add(256)
        await rig.route(await rig.read())
    assert len((await web.api("GET", "/api/cache")).json()["events"]) == 100
    page = (await web.api("GET", "/api/cache?limit=500")).json()
    assert (len(page["events"]), page["total"]) == (500, 512)
    assert len((await web.api("GET", f"/api/cache?limit=500&after={page['next']}")).json()["events"]) == 12
    for wrong in ("501", "0", "-1", "many"):
        answer = await web.api("GET", f"/api/cache?limit={wrong}")
        assert answer.status_code == 400
        assert answer.json()["error"].keys() == {"code", "message", "hint"}


@pytest.mark.parametrize("wrong", ["x", "1", "1-", "-1-0", "1-0-0", "\u0661-\u0660", "1-0%00", "+", "(1-0"])
async def test_an_id_that_is_none_is_refused(web: Gateway, wrong: str) -> None:
    """Whatever is no stream id is a 400 with a hint, never a 5xx."""
    for method, path in (
        ("GET", "/api/cache?after="),
        ("POST", "/api/cache/event/replay?id="),
        ("DELETE", "/api/cache/event/delete?id="),
    ):
        answer = await web.api(method, path + wrong)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "bad_id"


async def test_stats_count_by_state_event_and_hook(web: Gateway, rig: Rig) -> None:
    """The counts are those of the listing, with the oldest's time and the limits of the config."""
    await rig.routed(count=2)
    await rig.dead("h1", "h2", count=3)
    await rig.dead("h1")
    await rig.add(type_="message.read")
    await rig.route(await rig.read(), "h2")
    stats = (await web.api("GET", "/api/cache/stats")).json()
    assert stats["total"] == 7
    assert stats["by_state"] == {"unmatched": 2, "waiting": 4, "dead": 1}
    assert stats["by_event"] == {"message.received": 6, "message.read": 1}
    assert stats["by_hook"] == {"h1": 4, "h2": 4}
    assert stats["limits"] == {"max_age_days": 1.5, "max_events": 500}
    assert TIME.fullmatch(stats["oldest"])


async def test_delete_removes_one_event_for_good(web: Gateway, rig: Rig) -> None:
    """A deleted event is in no list any more and cannot be replayed; the second delete finds nothing."""
    gone, stays = await rig.dead("h1", "h2", count=2)
    assert (await web.api("DELETE", f"/api/cache/event/delete?id={gone}")).json() == {"deleted": 1}
    assert [one["id"] for one in await web.cached(1)] == [stays]
    assert (await web.api("DELETE", f"/api/cache/event/delete?id={gone}")).status_code == 404
    assert (await web.api("POST", f"/api/cache/event/replay?id={gone}")).status_code == 404
    assert await rig.examine() == []


async def test_clear_without_confirm_changes_nothing(web: Gateway, rig: Rig) -> None:
    """It is a 400 that says how, also with any other value than true."""
    await rig.routed(count=3)
    for query in ("", "?confirm=false", "?confirm=", "?confirm=maybe"):
        answer = await web.api("DELETE", "/api/cache/clear" + query)
        assert answer.status_code == 400
        assert answer.json()["error"].keys() == {"code", "message", "hint"}
    assert (await web.api("DELETE", "/api/cache/clear")).json()["error"]["code"] == "confirm_missing"
    await web.cached(3)


async def test_clear_leaves_what_is_in_flight_or_due(web: Gateway, rig: Rig) -> None:
    """Unmatched, dead and poison go; a leased, a due, a half dead and a not yet routed event stay."""
    await rig.routed(count=600 - 256)
    await rig.route(await rig.read())
    await rig.dead("h1", count=3)
    await rig.poison("h1")
    leased = await rig.routed("h1")
    due = await rig.routed("h1", leased=False)
    half = await rig.dead("h1", "h2")
    unrouted = await rig.add()
    await rig.read()
    assert (await web.api("DELETE", "/api/cache/clear?confirm=true")).json() == {"deleted": 344 + 3 + 1}
    assert await rig.cached() == [*leased, *due, *half, *unrouted]
    assert await rig.examine() == []


async def test_an_event_of_a_hook_nobody_remembers_can_be_deleted(web: Gateway, rig: Rig) -> None:
    """Poison of a hook that is in no config and no registry any more is cleared like any other."""
    await rig.poison("gone")
    await rig.link.call("DEL", rig.keys.hooks)
    assert (await web.api("DELETE", "/api/cache/clear?confirm=true")).json() == {"deleted": 1}
    assert await rig.examine() == []
