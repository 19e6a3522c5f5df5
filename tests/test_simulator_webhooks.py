"""The simulator's webhooks: where they go, how often they are tried, and where they never go."""

import asyncio
from itertools import pairwise

from tests.receiver import Received, Receiver, status
from tests.simulated import VERIFY_TOKEN, Meta, callback, message_ids
from whatshooked.meta.signature import Signer, Verdict
from whatshooked.simulator.webhooks import delivery as webhooks
from whatshooked.simulator.world.model import App, Override, Subscription

OTHER_APP = "300000000000002"


async def attempted(sim: Meta, count: int) -> list[webhooks.Attempt]:
    """The attempts, once they are so many."""
    async with asyncio.timeout(10):
        while len(sim.world.webhooks.attempts) < count:
            await asyncio.sleep(0.01)
    return list(sim.world.webhooks.attempts)


def add_app(sim: Meta, url: str) -> App:
    """Subscribe a second app to the WABA."""
    app = App(id=OTHER_APP, secret="another-secret")
    app.subscription = Subscription(callback_url=url, verify_token=VERIFY_TOKEN, fields=["messages"])
    sim.state.apps[app.id] = app
    sim.waba.subscribed[app.id] = None
    return app


async def test_row_13_only_200_is_success(sim: Meta) -> None:
    """Any other answer brings the same bytes again until 200 comes, and then nothing more."""
    answers = iter([201, 204, 302, 404, 500, 200])

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await status(next(answers), b"")(request, writer)

    sim.receiver.behave = callback(behave)
    sim.world.clock.run(2000)
    sim.publish()
    requests = await sim.arrived(6)
    attempts = await attempted(sim, 6)
    await asyncio.sleep(0.05)
    assert len(sim.posts()) == 6
    assert len({(one.body, one.headers["x-hub-signature-256"]) for one in requests}) == 1
    assert [(one.number, one.status) for one in attempts] == [
        (1, 201),
        (2, 204),
        (3, 302),
        (4, 404),
        (5, 500),
        (6, 200),
    ]
    assert attempts[0].body == requests[0].body
    assert attempts[0].messages == ["wamid.1"]


async def test_row_13_seven_days_and_then_dropped(sim: Meta) -> None:
    """Tries come at once, then ever more seldom for seven days of the simulated clock; then the body is given up."""
    sim.world.clock.run(0)
    sim.receiver.behave = callback(status(503))
    sim.publish()
    await attempted(sim, 1)
    sim.world.clock.advance(webhooks.GIVE_UP)
    attempts = await attempted(sim, len(webhooks.TRIES))
    async with asyncio.timeout(5):
        while not sim.world.webhooks.dropped:
            await asyncio.sleep(0.01)
    assert [one.number for one in attempts] == list(range(1, len(webhooks.TRIES) + 1))
    assert len({one.body for one in attempts}) == 1
    assert len(sim.posts()) == len(webhooks.TRIES)


def test_row_13_the_plan_of_tries() -> None:
    """The first retry comes within seconds, no pause is shorter than the one before, the last try within seven days."""
    pauses = [later - earlier for earlier, later in pairwise(webhooks.TRIES)]
    assert pauses[0] <= 2 and pauses == sorted(pauses)
    assert webhooks.GIVE_UP - 86_400 < webhooks.TRIES[-1] < webhooks.GIVE_UP == 7 * 86_400


async def test_row_13_a_timeout_is_a_failure(sim: Meta) -> None:
    """A callback that answers too late is tried again; the log says why."""

    async def late(request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        await status(200)(request, writer)

    sim.world.clock.run(0)
    sim.world.knobs.webhook_timeout = 0.1
    sim.receiver.behave = callback(late)
    sim.publish()
    (first,) = await attempted(sim, 1)
    assert first.status == 0 and "Timeout" in first.error
    sim.receiver.behave, sim.world.knobs.webhook_timeout = callback(status(200)), 10.0
    sim.world.clock.advance(2)
    assert (await attempted(sim, 2))[1].status == 200


async def test_row_13_nobody_listens(sim: Meta) -> None:
    """A refused connection is logged and tried again."""
    assert sim.app.subscription
    sim.app.subscription.callback_url = "http://127.0.0.1:1/webhook"
    sim.publish()
    attempts = await attempted(sim, 2)
    assert all(one.status == 0 and one.error for one in attempts)


async def test_row_13_no_order_among_retries(sim: Meta) -> None:
    """What failed does not hold up what comes after."""
    refuse = iter([500])

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await status(next(refuse, 200))(request, writer)

    sim.world.clock.run(0)
    sim.receiver.behave = callback(behave)
    sim.publish(id_="wamid.1")
    await attempted(sim, 1)
    sim.publish(id_="wamid.2")
    await attempted(sim, 2)
    sim.world.clock.advance(1)
    attempts = await attempted(sim, 3)
    assert [one.messages for one in attempts] == [["wamid.1"], ["wamid.2"], ["wamid.1"]]


async def test_row_13_a_failing_app_makes_duplicates_for_a_healthy_one(sim: Meta) -> None:
    """Retries go to every app that is subscribed, each with its own signature."""
    async with Receiver(behave=status(200)) as healthy:
        other = add_app(sim, healthy.url("/other"))
        refuse = iter([500, 500])

        async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
            await status(next(refuse, 200))(request, writer)

        sim.world.clock.run(0)
        sim.receiver.behave = callback(behave)
        assert sim.publish() == 2
        await attempted(sim, 2)
        sim.world.clock.advance(11)
        await sim.arrived(3)
        copies = await healthy.wait(3)
    assert [message_ids(one) for one in copies] == [["wamid.1"]] * 3
    assert Signer([other.secret]).check(copies[2].body, copies[2].headers["x-hub-signature-256"]) is Verdict.OK


async def test_row_14_number_before_waba_before_app(sim: Meta) -> None:
    """Exactly one URL gets each update: the number's, else the WABA's, else the app's."""
    sim.publish()
    sim.waba.subscribed[sim.app.id] = Override(sim.receiver.url("/waba"), VERIFY_TOKEN)
    sim.publish()
    sim.number.override = Override(sim.receiver.url("/number"), VERIFY_TOKEN, sim.app.id)
    sim.publish()
    sim.number.override = Override(sim.receiver.url("/number"), VERIFY_TOKEN, OTHER_APP)
    sim.publish()
    assert sorted(one.target for one in await sim.arrived(4)) == ["/number", "/waba", "/waba", "/webhook"]


async def test_row_14_only_some_fields_follow_overrides(sim: Meta) -> None:
    """Events of templates and of the account go to the app's URL, whatever a WABA or a number says."""
    sim.waba.subscribed[sim.app.id] = Override(sim.receiver.url("/waba"), VERIFY_TOKEN)
    fields = ("calls", "history", "account_settings_update", "message_template_status_update", "account_update")
    for field in fields:
        assert sim.world.webhooks.publish(sim.waba, sim.number, field, {"event": field}) == 1
    found = {one.json["entry"][0]["changes"][0]["field"]: one.target for one in await sim.arrived(5)}
    assert found == dict.fromkeys(fields[:3], "/waba") | dict.fromkeys(fields[3:], "/webhook")


async def test_row_14_nothing_without_subscribed_apps(sim: Meta) -> None:
    """Without `subscribed_apps`, or without the field, no event leaves; nothing arrives though all is verified."""
    sim.waba.subscribed.clear()
    assert sim.publish() == 0
    sim.waba.subscribed[sim.app.id] = None
    assert sim.app.subscription
    sim.app.subscription.fields = ["account_update"]
    assert sim.publish() == 0
    sim.app.subscription.fields = ["messages"]
    sim.app.subscription.active = False
    assert sim.publish() == 0
    sim.app.subscription = None
    assert sim.publish() == 0
    await asyncio.sleep(0.05)
    assert sim.posts() == []


async def test_row_14_verification(sim: Meta) -> None:
    """A callback URL is asked by GET, with dots in the names, for a challenge of digits that it must echo."""
    assert await sim.world.webhooks.verify(sim.receiver.url("/x?a=1"), VERIFY_TOKEN) == ""
    (request,) = sim.receiver.received
    assert (request.method, request.query["hub.mode"], request.query["a"]) == ("GET", "subscribe", "1")
    assert request.query["hub.challenge"].isdigit()
    assert "x-hub-signature-256" not in request.headers
    assert request.headers["user-agent"].startswith("facebookplatform/1.0")
    wrong = await sim.world.webhooks.verify(sim.receiver.url(), "another token")
    assert wrong.endswith("Response does not match challenge (HTTP 403).")
    sim.receiver.behave = status(200, b"not the challenge")
    assert "does not match challenge (HTTP 200)" in await sim.world.webhooks.verify(sim.receiver.url(), VERIFY_TOKEN)
    assert "no answer" in await sim.world.webhooks.verify("http://127.0.0.1:1/", VERIFY_TOKEN)


async def test_row_22_no_outside_host_is_contacted(sim: Meta) -> None:
    """Webhooks and verifications go to this machine alone; a URL that looks like it in disguise does not count."""
    outside = [
        "https://example.com/hook",
        "http://127.evil.example/",
        "http://localhost.evil.example/",
        "http://evil.example\\@127.0.0.1/",
        "http://127.0.0.1@evil.example/",
        "http://10.0.0.1/",
        "http://[::2]/",
        "ftp://127.0.0.1/",
        "no url",
        "",
    ]
    inside = ["http://127.0.0.1:8080/x", "http://localhost/", "http://[::1]:80/", "http://127.1/", "https://LOCALHOST/"]
    assert [url for url in outside if sim.world.webhooks.allowed(url)] == []
    assert [url for url in inside if not sim.world.webhooks.allowed(url)] == []
    assert sim.app.subscription
    sim.app.subscription.callback_url = outside[0]
    sim.publish()
    (attempt,) = await attempted(sim, 1)
    assert attempt.error == "example.com is not this machine: start the simulator with --allow-host example.com"
    assert await sim.world.webhooks.verify(outside[0], VERIFY_TOKEN) == attempt.error


async def test_row_22_hosts_that_are_allowed(sim: Meta) -> None:
    """A host that was allowed by name counts as this machine, and none that merely resembles it."""
    allowed = webhooks.Webhooks(sim.world, ("Gateway", "10.0.0.7"))
    assert allowed.allowed("http://gateway:8080/x") and allowed.allowed("http://10.0.0.7/")
    assert not allowed.allowed("http://gateway.example/") and not allowed.allowed("http://10.0.0.8/")
    await allowed.close()
