"""The simulator's set-up side: tokens, businesses, WABAs, apps, and whose webhooks go where."""

from typing import Any

import httpx
import pytest

from tests.receiver import status
from tests.simulated import SECRET, START, TOKEN, VERIFY_TOKEN, Meta, callback
from whatshooked.simulator.world.model import BUSINESS, MANAGEMENT, MESSAGING, App, Business, Number, Token, Waba


def app_token(sim: Meta) -> dict[str, str]:
    """The header by which the app itself calls."""
    return {"authorization": f"Bearer {sim.app.id}|{SECRET}"}


async def data(sim: Meta, path: str, **params: Any) -> Any:
    """What a GET answers under `data`."""
    answer = await sim.ask("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_row_20_debug_token_tells_all_of_a_token_that_is_valid(sim: Meta) -> None:
    """The app may ask about its token: type, expiry, scopes, and the WABAs of each scope that is limited to some."""
    token = sim.state.tokens[TOKEN]
    token.issued_at, token.expires_at = int(START) - 10, int(START) + 1000
    token.targets = {MESSAGING: [sim.waba.id]}
    found = await sim.ask("GET", "debug_token", params={"input_token": TOKEN}, headers=app_token(sim))
    assert found.json() == {
        "data": {
            "app_id": sim.app.id,
            "application": "Demo",
            "type": "SYSTEM_USER",
            "is_valid": True,
            "issued_at": int(START) - 10,
            "expires_at": int(START) + 1000,
            "data_access_expires_at": 0,
            "scopes": [MANAGEMENT, MESSAGING],
            "granular_scopes": [{"scope": MANAGEMENT}, {"scope": MESSAGING, "target_ids": [sim.waba.id]}],
            "user_id": token.user_id,
        }
    }


async def test_row_20_a_token_may_ask_about_itself_and_no_other(sim: Meta) -> None:
    """Inspecting itself works; inspecting another takes the app's token."""
    sim.state.tokens["other"] = Token(value="other", app_id=sim.app.id)
    assert (await data(sim, "debug_token", input_token=TOKEN))["is_valid"] is True
    code, error = await sim.refused("GET", "debug_token", params={"input_token": "other"})
    assert (code, error["code"]) == (400, 100)
    code, error = await sim.refused("GET", "debug_token")
    assert (code, error["code"]) == (400, 100)


@pytest.mark.parametrize(
    ("change", "code", "subcode", "told"),
    [
        ({}, 190, None, False),
        ({"expires_at": int(START) - 1}, 190, 463, True),
        ({"invalidated": 460}, 190, 460, True),
    ],
)
async def test_row_20_debug_token_of_an_invalid_token_is_no_error(
    sim: Meta, change: dict[str, int], code: int, subcode: int | None, told: bool
) -> None:
    """Garbled, expired, taken back: the answer is 200 with `is_valid` false and the reason."""
    if change:
        sim.state.tokens["bad"] = Token(value="bad", app_id=sim.app.id, **change)  # type: ignore[arg-type] # by name
    query = {"input_token": "bad", "access_token": f"{sim.app.id}|{SECRET}"}
    async with httpx.AsyncClient(base_url=sim.url, trust_env=False) as client:
        answer = await client.get("/v25.0/debug_token", params=query)
    found = answer.json()["data"]
    assert (answer.status_code, found["is_valid"]) == (200, False)
    assert (found["error"]["code"], found["error"].get("subcode")) == (code, subcode)
    assert (found.get("app_id") == sim.app.id) is told


async def test_a_token_of_another_app_is_not_told_of(sim: Meta) -> None:
    """The app token of one app learns nothing about a token of another, only that it is not its own."""
    sim.state.apps["31"] = App(id="31", secret="s")
    sim.state.tokens["theirs"] = Token(value="theirs", app_id="31")
    sim.state.tokens["old"] = Token(value="old", app_id="31", expires_at=1)
    for value in ("theirs", "old"):
        answer = await sim.ask("GET", "debug_token", params={"input_token": value}, headers=app_token(sim))
        found = answer.json()["data"]
        assert found["is_valid"] is False
        assert set(found) == {"error", "is_valid", "scopes"}


async def test_the_app_token_comes_by_its_secret(sim: Meta) -> None:
    """`oauth/access_token` asks for no token; what it gives calls the app's own paths."""
    query = {"client_id": sim.app.id, "client_secret": SECRET, "grant_type": "client_credentials"}
    async with httpx.AsyncClient(base_url=sim.url, trust_env=False) as client:
        given = (await client.get("/v25.0/oauth/access_token", params=query)).json()
        assert given["token_type"] == "bearer"
        path, token = f"/{sim.app.id}/subscriptions", given["access_token"]
        assert (await client.get(path, params={"access_token": token})).status_code == 200
        for wrong, code in ({"client_secret": "x"}, 1), ({"client_id": "9"}, 101), ({"grant_type": "x"}, 100):
            answer = await client.get("/v25.0/oauth/access_token", params=query | wrong)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_me_is_whose_token_it_is(sim: Meta) -> None:
    """`me` names the token's user; an app is no user."""
    assert (await sim.ask("GET", "me", params={"fields": "id"})).json() == {"id": sim.state.tokens[TOKEN].user_id}
    code, error = await sim.refused("GET", "me", headers=app_token(sim))
    assert (code, error["code"]) == (400, 2500)


async def test_businesses_need_their_scope_and_come_in_pages(sim: Meta) -> None:
    """Without `business_management` 403; with it those of its targets, page by page."""
    code, error = await sim.refused("GET", "me/businesses")
    assert (code, error["code"]) == (403, 10)
    token = sim.state.tokens[TOKEN]
    token.scopes.append(BUSINESS)
    mine = next(iter(sim.state.businesses))
    sim.state.businesses["401"] = Business(id="401", name="Second")
    first = (await sim.ask("GET", "me/businesses", params={"limit": 1})).json()
    assert first["data"] == [{"id": mine, "name": "Demo"}]
    assert (await sim.client.get(first["paging"]["next"])).json()["data"] == [{"id": "401", "name": "Second"}]
    token.targets[BUSINESS] = ["401"]
    assert [row["id"] for row in await data(sim, "me/businesses")] == ["401"]
    code, error = await sim.refused("GET", mine)
    assert (code, error["code"], error["error_subcode"]) == (400, 100, 33)


async def test_the_wabas_of_a_business_are_its_own_or_shared_with_it(sim: Meta) -> None:
    """Owned and client WABAs are told apart, and those that the token does not reach are left out."""
    mine = sim.waba.business_id
    sim.state.wabas["201"] = Waba(id="201", business_id="9", name="Client's", clients=[mine])
    sim.state.wabas["202"] = Waba(id="202", business_id=mine, name="Hidden")
    sim.state.tokens[TOKEN].targets = {MANAGEMENT: [sim.waba.id, "201"], MESSAGING: []}
    assert [row["id"] for row in await data(sim, f"{mine}/owned_whatsapp_business_accounts")] == [sim.waba.id]
    found = await data(sim, f"{mine}/client_whatsapp_business_accounts", fields="name,ownership_type")
    assert found == [{"name": "Client's", "ownership_type": "CLIENT_OWNED", "id": "201"}]


async def test_row_20_fields_are_honoured(sim: Meta) -> None:
    """A WABA shows what was asked for, its health included; without `fields` what Graph usually shows."""
    plain = (await sim.ask("GET", sim.waba.id)).json()
    assert set(plain) == {"id", "name", "timezone_id", "message_template_namespace"}
    asked = "currency,country,account_review_status,business_verification_status,health_status{can_send_message}"
    found = (await sim.ask("GET", sim.waba.id, params={"fields": asked})).json()
    assert found.pop("health_status")["can_send_message"] == "AVAILABLE"
    assert found == {
        "id": sim.waba.id,
        "currency": "EUR",
        "country": "DE",
        "account_review_status": "APPROVED",
        "business_verification_status": "verified",
    }


async def test_fields_that_the_simulator_does_not_have_are_noted(sim: Meta) -> None:
    """A field unknown here is left out of the answer and stands in the request log."""
    found = (await sim.ask("GET", sim.waba.id, params={"fields": "name,shoe_size"})).json()
    assert found == {"name": "Demo", "id": sim.waba.id}
    assert sim.world.calls[-1].unknown == ["fields.shoe_size"]


async def test_an_id_of_the_wrong_kind_is_not_found(sim: Meta) -> None:
    """A WABA, an app or a business in a number's place, and the reverse, are 100/33: the doctor's wrong id."""
    sim.state.tokens[TOKEN].scopes.append(BUSINESS)
    for node_id in (sim.waba.id, sim.app.id, sim.waba.business_id):
        code, error = await sim.refused("GET", node_id, params={"fields": "display_phone_number,verified_name"})
        assert (code, error["code"], error["error_subcode"]) == (400, 100, 33)
    code, error = await sim.refused("GET", sim.number.id, params={"fields": "id,timezone_id"})
    assert (code, error["code"], error["error_subcode"], error["type"]) == (400, 100, 33, "GraphMethodException")


async def test_row_20_health_names_what_stops_a_number(sim: Meta) -> None:
    """`health_status` goes by the worst entity, and carries the ids of WABA, business and app."""
    path, query = sim.number.id, {"params": {"fields": "health_status"}}
    health = (await sim.ask("GET", path, **query)).json()["health_status"]
    assert health["can_send_message"] == "AVAILABLE"
    ids = [sim.number.id, sim.waba.id, sim.waba.business_id, sim.app.id]
    assert [one["id"] for one in health["entities"]] == ids
    sim.waba.business_verification_status = "not_verified"
    health = (await sim.ask("GET", path, **query)).json()["health_status"]
    assert health["can_send_message"] == "LIMITED"
    assert health["entities"][2]["additional_info"] == ["Its verification is not_verified."]
    sim.number.registered = False
    health = (await sim.ask("GET", path, **query)).json()["health_status"]
    assert health["can_send_message"] == "BLOCKED"
    assert health["entities"][0]["errors"][0]["error_code"] == 133010


@pytest.mark.parametrize(
    ("change", "expected", "code"),
    [
        ({"status": "BANNED"}, "BLOCKED", 131031),
        ({"status": "FLAGGED"}, "LIMITED", None),
        ({"name_status": "DECLINED"}, "LIMITED", 131037),
    ],
)
async def test_row_20_health_follows_the_status_of_a_number(
    sim: Meta, change: dict[str, str], expected: str, code: int | None
) -> None:
    """A ban stops a number, a flag or a declined name limits it."""
    for name, value in change.items():
        setattr(sim.number, name, value)
    sim.waba.account_review_status = "APPROVED"
    found = (await sim.ask("GET", sim.number.id, params={"fields": "health_status"})).json()["health_status"]
    entity = found["entities"][0]
    assert (found["can_send_message"], entity["can_send_message"]) == (expected, expected)
    assert [one["error_code"] for one in entity.get("errors", [])] == ([code] if code else [])


@pytest.mark.parametrize("prefix", ["/v20.0", "/v19.0", "/v26.0", ""])
async def test_dead_versions_and_none_are_served_silently(sim: Meta, prefix: str) -> None:
    """A version that died, or none, is answered like any other."""
    answer = await sim.client.get(f"{prefix}/{sim.waba.id}")
    assert (answer.status_code, answer.json()["id"]) == (200, sim.waba.id)


async def test_row_14_subscribing_the_app_lets_its_webhooks_flow(sim: Meta) -> None:
    """A WABA without a subscribed app sends nothing; the same POST that subscribes is harmless when repeated."""
    edge = f"{sim.waba.id}/subscribed_apps"
    assert (await sim.ask("DELETE", edge)).json() == {"success": True}
    assert await data(sim, edge) == []
    assert sim.world.webhooks.publish(sim.waba, sim.number, "messages", {}) == 0
    for _ in range(2):
        assert (await sim.ask("POST", edge)).json() == {"success": True}
    (row,) = await data(sim, edge)
    assert set(row) == {"whatsapp_business_api_data"}
    assert row["whatsapp_business_api_data"]["id"] == sim.app.id
    assert set(row["whatsapp_business_api_data"]) == {"id", "name", "link"}
    assert sim.world.webhooks.publish(sim.waba, sim.number, "messages", {}) == 1


async def test_row_14_an_override_is_verified_while_it_is_set(sim: Meta) -> None:
    """The WABA's override answers Meta's challenge before it stands; an empty POST takes it away again."""
    edge, url = f"{sim.waba.id}/subscribed_apps", sim.receiver.url("/waba")
    answer = await sim.ask("POST", edge, json={"override_callback_uri": url, "verify_token": VERIFY_TOKEN})
    assert answer.json() == {"success": True}
    (asked,) = sim.receiver.received
    assert (asked.method, asked.query["hub.mode"], asked.target.partition("?")[0]) == ("GET", "subscribe", "/waba")
    assert (await data(sim, edge))[0]["override_callback_uri"] == url
    assert (await sim.ask("POST", edge, json={})).json() == {"success": True}
    assert "override_callback_uri" not in (await data(sim, edge))[0]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"verify_token": "wrong"}, 2200),
        ({"verify_token": ""}, 100),
        ({"override_callback_uri": "http://127.0.0.1/" + "x" * 200}, 100),
        ({"override_callback_uri": "http://127.0.0.1:9/nobody"}, 2200),
        ({"override_callback_uri": "https://gateway.example.com/webhook"}, 2200),
    ],
)
async def test_row_14_an_override_that_fails_its_check_changes_nothing(
    sim: Meta, given: dict[str, str], code: int
) -> None:
    """A wrong verify token, a dead or outside URL or too long a one fails the call, and what stood before stands."""
    body = {"override_callback_uri": sim.receiver.url("/waba"), "verify_token": VERIFY_TOKEN} | given
    found, error = await sim.refused("POST", f"{sim.waba.id}/subscribed_apps", json=body)
    assert (found, error["code"]) == (400, code)
    assert sim.waba.subscribed == {sim.app.id: None}


async def test_row_14_the_apps_subscription_is_set_after_its_check(sim: Meta) -> None:
    """The app token sets URL and fields at once, form fields or query alike, and reads them back."""
    url = sim.receiver.url("/new")
    form = {
        "object": "whatsapp_business_account",
        "callback_url": url,
        "verify_token": VERIFY_TOKEN,
        "fields": "messages, security,messages",
        "include_values": "true",
    }
    edge = f"{sim.app.id}/subscriptions"
    for body in ({"data": form}, {"params": form}):
        assert (await sim.ask("POST", edge, headers=app_token(sim), **body)).json() == {"success": True}
    assert [one.method for one in sim.receiver.received] == ["GET", "GET"]
    found = (await sim.ask("GET", edge, headers=app_token(sim))).json()
    fields = [{"name": "messages", "version": "v25.0"}, {"name": "security", "version": "v25.0"}]
    expected = {"object": "whatsapp_business_account", "callback_url": url, "active": True, "fields": fields}
    assert found == {"data": [expected]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"verify_token": "wrong"}, 2200),
        ({"object": "page"}, 100),
        ({"fields": ""}, 100),
        ({"fields": "messages,mesages"}, 100),
        ({"callback_url": ""}, 100),
    ],
)
async def test_row_14_a_subscription_that_fails_changes_nothing(sim: Meta, change: dict[str, str], code: int) -> None:
    """A callback that does not echo the challenge, a field that does not exist or one left out fails the call."""
    before = sim.app.subscription
    form = {"object": "whatsapp_business_account", "callback_url": sim.receiver.url("/new"), "fields": "messages"}
    form |= {"verify_token": VERIFY_TOKEN} | change
    found, error = await sim.refused("POST", f"{sim.app.id}/subscriptions", headers=app_token(sim), data=form)
    assert (found, error["code"]) == (400, code)
    assert sim.app.subscription == before


async def test_row_14_a_wrong_challenge_is_no_verification(sim: Meta) -> None:
    """A callback that answers 200 to anything, without the challenge, is refused."""
    sim.receiver.behave = status(200, b"hello")
    body = {"override_callback_uri": sim.receiver.url(), "verify_token": VERIFY_TOKEN}
    _, error = await sim.refused("POST", f"{sim.waba.id}/subscribed_apps", json=body)
    assert error["code"] == 2200
    sim.receiver.behave = callback(status(200))
    assert (await sim.ask("POST", f"{sim.waba.id}/subscribed_apps", json=body)).status_code == 200


async def test_the_apps_subscription_takes_the_apps_token(sim: Meta) -> None:
    """A system user's token may not touch the app's subscription, and another app's token does not see the app."""
    code, error = await sim.refused("GET", f"{sim.app.id}/subscriptions")
    assert (code, error["code"]) == (400, 15)
    sim.state.apps["31"] = App(id="31", secret="s")
    theirs = {"authorization": "Bearer 31|s"}
    code, error = await sim.refused("GET", f"{sim.app.id}/subscriptions", headers=theirs)
    assert (code, error["code"], error["error_subcode"]) == (400, 100, 33)


async def test_no_secret_of_the_set_up_stands_in_the_log(sim: Meta) -> None:
    """Verify tokens, app secrets and PINs are hidden in the request log, nested ones too."""
    secret = "secret-of-this-very-test"
    number: Number = sim.number
    webhook = {"override_callback_uri": sim.receiver.url(), "verify_token": secret}
    await sim.ask("POST", number.id, json={"webhook_configuration": webhook})
    await sim.ask("GET", "oauth/access_token", params={"client_id": "1", "client_secret": secret, "grant_type": "x"})
    await sim.ask("GET", "debug_token", params={"input_token": secret})
    await sim.ask("POST", number.id, json={"pin": secret})
    assert len(sim.world.calls) == 4
    assert not [one for one in sim.world.calls if secret in f"{one.path}{one.body}"]
