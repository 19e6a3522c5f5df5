"""The simulator's Graph: paths and versions, tokens and scopes, errors as Graph words them, usage, the log of calls."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.simulated import START, TOKEN, Meta
from whatshooked.simulator.graph import dispatch as graph
from whatshooked.simulator.graph.call import Call, pick
from whatshooked.simulator.world.model import MANAGEMENT, MESSAGING, App, Business, Number, Token, Waba

OTHER_WABA, OTHER_NUMBER = "200000000000002", "100000000000002"


def text(to: str = "+15550100002", body: str = "hi") -> dict[str, Any]:
    """A text message as it is sent."""
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": body}}


def add_foreign(sim: Meta) -> None:
    """Add a WABA with a number that the token has no right to, and one that it has."""
    state = sim.state
    state.businesses["400000000000002"] = Business(id="400000000000002", name="Another")
    state.apps["300000000000002"] = App(id="300000000000002", secret="other")
    state.wabas[OTHER_WABA] = Waba(id=OTHER_WABA, business_id="400000000000002")
    state.numbers[OTHER_NUMBER] = Number(
        id=OTHER_NUMBER, waba_id=OTHER_WABA, phone="15550100009", display_phone_number="+1 555-010-0009"
    )
    state.tokens[TOKEN].targets = {scope: [sim.waba.id] for scope in (MESSAGING, MANAGEMENT)}


async def test_row_01_any_version(sim: Meta) -> None:
    """Every version is served, dead ones silently, and so is a path without one."""
    for prefix in ("", "/v25.0", "/v21.0", "/v1.0", "/v99.9"):
        answer = await sim.client.get(f"{prefix}/{sim.number.id}")
        assert (answer.status_code, answer.json().get("id")) == (200, sim.number.id)


async def test_row_01_unknown_path(sim: Meta) -> None:
    """An unknown path is answered as Graph does: 400 with code 2500 as JSON, never a page that is not found."""
    calls = [("GET", "no"), ("GET", "no/such/path/at/all"), ("GET", ""), ("PUT", "x"), ("PATCH", "x"), ("POST", "x/y")]
    for method, path in calls:
        status, error = await sim.refused(method, path)
        assert (status, error["code"], error["type"]) == (400, 2500, "OAuthException")
        assert error["message"].startswith("(#2500) Unknown path components: /")


async def test_row_01_unknown_edge(sim: Meta) -> None:
    """An edge that no object has is an unknown path; one that another object has is not there."""
    _, error = await sim.refused("GET", f"{sim.number.id}/nonsense")
    assert error["message"] == "(#2500) Unknown path components: /nonsense"
    _, error = await sim.refused("POST", f"{sim.waba.id}/messages", json=text())
    assert (error["code"], error["error_subcode"]) == (100, 33)
    _, error = await sim.refused("GET", f"{sim.number.id}/messages")
    assert (error["code"], error["error_subcode"]) == (100, 33)


async def test_row_02_no_token(sim: Meta) -> None:
    """A call without a token is answered with 401, code 104 and how to authenticate."""
    async with httpx.AsyncClient(base_url=sim.url, trust_env=False) as stranger:
        answer = await stranger.get(f"/v25.0/{sim.number.id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 104)
    assert answer.headers["www-authenticate"].startswith('OAuth "Facebook Platform" "invalid_request" "')


@pytest.mark.parametrize(
    ("change", "subcode", "begins"),
    [
        ({}, None, "Invalid OAuth access token - Cannot parse access token"),
        ({"expires_at": int(START) - 1}, 463, "Error validating access token: Session has expired on "),
        ({"invalidated": 460}, 460, "Error validating access token: "),
    ],
)
async def test_row_02_bad_token(sim: Meta, change: dict[str, Any], subcode: int | None, begins: str) -> None:
    """An unknown, an expired and a withdrawn token are 401 with code 190, told apart by the subcode."""
    if change:
        sim.state.tokens["EAAother"] = Token(value="EAAother", app_id=sim.app.id, **change)
    answer = await sim.ask("GET", sim.number.id, headers={"authorization": "Bearer EAAother"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("error_subcode")) == (401, 190, subcode)
    assert error["message"].startswith(begins)
    assert begins in answer.headers["www-authenticate"]


async def test_row_02_token_expires_by_the_clock(sim: Meta) -> None:
    """A token is good until the simulated time has come to its end."""
    sim.state.tokens[TOKEN].expires_at = int(sim.world.clock.now()) + 3600
    assert (await sim.ask("GET", sim.number.id)).status_code == 200
    sim.world.clock.advance(3601)
    assert (await sim.refused("GET", sim.number.id))[1]["error_subcode"] == 463


async def test_row_02_lacking_scope(sim: Meta) -> None:
    """A token without a call's scope is refused with 403 and code 10, one whose scope is for another WABA too."""
    sim.state.tokens[TOKEN].scopes = [MANAGEMENT]
    status, error = await sim.refused("POST", f"{sim.number.id}/messages", json=text())
    assert (status, error["code"]) == (403, 10)
    assert MESSAGING in error["message"]
    sim.state.tokens[TOKEN].scopes = [MANAGEMENT, MESSAGING]
    sim.state.tokens[TOKEN].targets = {MESSAGING: [OTHER_WABA]}
    status, error = await sim.refused("POST", f"{sim.number.id}/messages", json=text())
    assert (status, error["code"]) == (403, 10)


async def test_row_02_token_elsewhere(sim: Meta) -> None:
    """The token may also stand in the query, in a form or in a JSON body."""
    async with httpx.AsyncClient(base_url=f"{sim.url}/v25.0", trust_env=False) as stranger:
        in_query = await stranger.get(f"/{sim.number.id}?access_token={TOKEN}")
        in_form = await stranger.post(f"/{sim.waba.id}/subscribed_apps", data={"access_token": TOKEN})
        in_json = await stranger.post(f"/{sim.waba.id}/subscribed_apps", json={"access_token": TOKEN})
    assert [one.status_code for one in (in_query, in_form, in_json)] == [200, 200, 200]


async def test_row_02_app_token(sim: Meta) -> None:
    """`app id|secret` is a token of the app: it sees the app and nothing of its WABAs."""
    good, wrong = f"{sim.app.id}|{sim.secret}", f"{sim.app.id}|guessed"
    seen = await sim.ask("GET", f"{sim.app.id}/subscriptions", headers={"authorization": f"Bearer {good}"})
    assert seen.status_code == 200
    _, error = await sim.refused("GET", sim.waba.id, headers={"authorization": f"Bearer {good}"})
    assert (error["code"], error["error_subcode"]) == (100, 33)
    _, error = await sim.refused("GET", sim.app.id, headers={"authorization": f"Bearer {wrong}"})
    assert error["code"] == 190


async def test_row_03_unknown_and_foreign_look_the_same(sim: Meta) -> None:
    """What is not there and what is somebody else's get one answer: 400, 100/33, GraphMethodException."""
    add_foreign(sim)
    answers = []
    for id_ in ("999999999999999", OTHER_NUMBER, OTHER_WABA, "300000000000002"):
        status, error = await sim.refused("GET", id_)
        shape = error["message"].replace(id_, "ID")
        answers.append((status, error["code"], error["error_subcode"], error["type"], shape))
    assert len(set(answers)) == 1
    assert answers[0][:4] == (400, 100, 33, "GraphMethodException")
    assert answers[0][4].startswith("Unsupported get request. Object with ID 'ID' does not exist, cannot be loaded")


async def test_row_03_a_post_says_so(sim: Meta) -> None:
    """The text names the method: "Unsupported post request"."""
    _, error = await sim.refused("POST", "999999999999999/messages", json=text())
    assert error["message"].startswith("Unsupported post request.")


async def test_row_04_every_error_has_graphs_shape(sim: Meta) -> None:
    """An error has its type, a numeric code, a fbtrace_id of its own, and on messages `error_data`."""
    bodies: list[dict[str, Any]] = [{"json": one} for one in (text(to=""), {}, [1], text(to="1"))]
    bodies.insert(0, {"content": b"{nope"})
    errors = [(await sim.refused("POST", f"{sim.number.id}/messages", **body))[1] for body in bodies]
    assert all(isinstance(error["code"], int) and error["type"] for error in errors)
    assert all(f"(#{error['code']})" in error["message"] for error in errors)
    assert len({error["fbtrace_id"] for error in errors}) == len(errors)
    assert errors[-1]["error_data"]["messaging_product"] == "whatsapp"
    assert errors[-1]["error_data"]["details"]


async def test_row_04_a_broken_body_is_refused(sim: Meta) -> None:
    """A body that cannot be read is Graph's error too, and no failure of the simulator's."""
    form, path = "multipart/form-data", f"{sim.number.id}/media"
    bodies = [
        (f"{form}; boundary=x", b"no part"),
        (form, b""),
        ("application/json", b"\xff"),
        ("application/json", b"{"),
    ]
    for kind, body in bodies:
        status, error = await sim.refused("POST", path, content=body, headers={"content-type": kind})
        assert (status, error["code"]) == (400, 100)


async def test_row_07_usage_headers_rise(sim: Meta) -> None:
    """The usage headers tell in percent how much of an hour's management calls was used; messages do not count."""
    sim.world.clock.run(0)
    sim.world.knobs.calls_per_hour = 4

    async def used(answer: httpx.Response) -> tuple[int, int]:
        business = json.loads(answer.headers["x-business-use-case-usage"])[sim.waba.id][0]
        assert business["type"] and {"total_cputime", "total_time"} <= business.keys()
        return business["call_count"], json.loads(answer.headers["x-app-usage"])["call_count"]

    shares = [await used(await sim.ask("GET", sim.number.id)) for _ in range(4)]
    assert shares == [(25, 25), (50, 50), (75, 75), (100, 100)]
    sent = await sim.ask("POST", f"{sim.number.id}/messages", json=text())
    assert await used(sent) == (100, 100)


async def test_row_07_too_many_calls(sim: Meta) -> None:
    """The call after the last is refused with 80008 and the minutes to wait; an hour later all is well again."""
    sim.world.clock.run(0)
    sim.world.knobs.calls_per_hour = 1
    await sim.ask("GET", sim.number.id)
    answer = await sim.ask("GET", sim.number.id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 80008)
    usage = json.loads(answer.headers["x-business-use-case-usage"])[sim.waba.id][0]
    assert usage["estimated_time_to_regain_access"] == 60
    sim.world.knobs.throttle_status = 429
    answer = await sim.ask("GET", sim.number.id)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "6")
    sim.world.clock.advance(3601)
    assert (await sim.ask("GET", sim.number.id)).status_code == 200


async def test_row_07_before_a_number_is_registered(sim: Meta) -> None:
    """200 calls an hour are allowed on a WABA without a registered number, 5000 with one."""
    sim.number.registered = False
    answer = await sim.ask("GET", sim.waba.id)
    for _ in range(3):
        answer = await sim.ask("GET", sim.waba.id)
    assert json.loads(answer.headers["x-app-usage"])["call_count"] == 2
    sim.number.registered = True
    answer = await sim.ask("GET", sim.waba.id)
    assert json.loads(answer.headers["x-app-usage"])["call_count"] == 0


async def test_row_22_unknown_keys_are_recorded(sim: Meta, caplog: pytest.LogCaptureFixture) -> None:
    """A key that Graph ignores is accepted, recorded and said aloud, wherever in the request it was."""
    path = f"{sim.waba.id}/subscribed_apps?surprise=1"
    assert (await sim.ask("POST", path, json={"verify_tokn": "x"})).status_code == 200
    assert sim.world.calls[-1].unknown == ["surprise", "verify_tokn"]
    assert [record.message for record in caplog.records] == ["Graph ignores keys of a call: misspelt?"]


async def test_row_22_unknown_keys_of_a_refused_call(sim: Meta) -> None:
    """The log has them too when the call was refused for something else."""
    wrong = {"to": "1", "type": "text", "text": {}, "tipe": "x", "messaging_product": "whatsapp"}
    await sim.refused("POST", f"{sim.number.id}/messages", json=wrong)
    assert sim.world.calls[-1].code != 0
    sim.world.knobs.calls_per_hour = 0
    override = {"override_callback_uri": "http://example.com/x", "verify_token": "t", "verfy": 1}
    await sim.refused("POST", f"{sim.waba.id}/subscribed_apps", json=override)
    assert sim.world.calls[-1].unknown == ["verfy"]


async def test_row_22_the_log_of_calls(sim: Meta) -> None:
    """Each call is logged with method, path, status, code and body, the newest last."""
    await sim.ask("GET", f"{sim.number.id}?fields=id,status")
    await sim.refused("POST", f"{sim.number.id}/messages", json=text(to=""))
    first, second = (await sim.control("GET", "calls?last=2"))["calls"]
    assert (first["method"], first["status"]) == ("GET", 200)
    assert first["path"] == f"/v25.0/{sim.number.id}?fields=id,status"
    assert (second["method"], second["status"], second["body"]["text"]) == ("POST", 400, {"body": "hi"})
    assert second["code"]


async def test_row_22_no_secret_in_the_log(sim: Meta) -> None:
    """Tokens, PINs, codes and secrets are hidden wherever they stand, be the call good or refused."""
    secrets = ["S3CRET-a", "S3CRET-b", "S3CRET-c", "123456", "S3CRET-d", "S3CRET-e", "S3CRET-f"]
    asked = f"debug_token?input_token={secrets[0]}&access_token={secrets[1]}&appsecret_proof={secrets[2]}"
    await sim.ask("GET", asked)
    await sim.ask("POST", f"{sim.number.id}/register", json={"messaging_product": "whatsapp", "pin": secrets[3]})
    hidden = {"override_callback_uri": "http://example.com/", "verify_token": secrets[4]}
    await sim.ask("POST", sim.number.id, json={"webhook_configuration": hidden})
    await sim.ask("GET", f"oauth/access_token?client_id={sim.app.id}&client_secret={secrets[5]}")
    await sim.ask("POST", f"{sim.number.id}/messages", json=text() | {"rows": [{"access_token": secrets[6]}]})
    told = json.dumps(await sim.control("GET", "calls"))
    assert not [secret for secret in [*secrets, TOKEN, sim.secret] if secret in told]
    assert told.count("***") == 7


async def test_a_fault_of_the_simulators_own_is_said(
    sim: Meta, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails in the simulator itself is Graph's code 1 to the caller, with the traceback in the log."""

    async def broken(_: Call) -> dict[str, Any]:
        raise KeyError("planted")

    monkeypatch.setitem(graph.ROUTES, ("GET", Number, ""), ("", broken))
    status, error = await sim.refused("GET", sim.number.id)
    assert (status, error["code"], error["message"]) == (500, 1, "(#1) An unknown error occurred")
    assert sim.world.calls[-1].status == 500
    monkeypatch.setattr(sim.world, "clock", None)
    answer = await sim.client.get("/_sim/clock")
    assert (answer.status_code, answer.json()) == (500, {"error": "a fault of the simulator: see its log"})
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError, AttributeError]


def test_fields_of_a_node() -> None:
    """`fields` is honoured, those of nested objects are not split, and `id` is always there."""
    data = {"id": "1", "a": 1, "b": {"c": 2, "d": 3}, "e": 4}
    assert pick(data, "a,b{c,d},e", "") == {"a": 1, "b": {"c": 2, "d": 3}, "e": 4, "id": "1"}
    assert pick(data, None, "e") == {"e": 4, "id": "1"}
    assert pick(data, "b.limit(1){c}", "") == {"b": {"c": 2, "d": 3}, "id": "1"}
    assert re.fullmatch(r"\d+", str(pick(data, "id", "")["id"]))
