"""Who may use the API, and who has to wait."""

import base64
from collections.abc import Callable
from types import SimpleNamespace

import httpx
import pytest

from tests import meta
from tests.conftest import API_KEY, Gateway
from whatshooked.web import auth

KEY, USER, PASSWORD = "key-of-the-tests", "admin", "pass:wörd"


@pytest.fixture(autouse=True)
def throttle(monkeypatch: pytest.MonkeyPatch) -> auth.Throttle:
    """A throttle of this test's own: other tests come from the same address."""
    found = auth.Throttle()
    monkeypatch.setattr(auth, "throttle", found)
    return found


async def started(make_gateway: Callable[..., Gateway], **server: str) -> Gateway:
    gateway = make_gateway(server={"host": "127.0.0.1", "port": 0} | server)
    await gateway.start(workers=0)
    return gateway


async def ask(gateway: Gateway, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.client.get(f"{gateway.base}/api/cache", headers=named)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_each_kind_of_credentials(make_gateway: Callable[..., Gateway]) -> None:
    """HTTP Basic, X-API-Key and Bearer; nothing else, and no mixture."""
    gateway = await started(make_gateway, username=USER, password=PASSWORD, auth_key=KEY)
    rights = ({"x_api_key": KEY}, {"authorization": f"bearer {KEY}"}, {"authorization": basic(USER, PASSWORD)})
    for right in rights:
        assert (await ask(gateway, **right)).status_code == 200, right
    wrongs: tuple[dict[str, str], ...] = (
        {},
        {"x_api_key": ""},
        {"x_api_key": KEY + "x"},
        {"authorization": basic(USER, KEY)},
        {"authorization": basic("", PASSWORD)},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic /////w=="},
        {"authorization": KEY},
        {"x_api_key": USER},
    )
    for wrong in wrongs:
        answer = await ask(gateway, **wrong)
        assert answer.status_code == 401, wrong
        assert answer.json()["error"]["code"] == "unauthorized"
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert (await ask(gateway, x_api_key=KEY)).status_code == 200


async def test_an_empty_password_opens_nothing(make_gateway: Callable[..., Gateway]) -> None:
    """With a key alone, Basic with empty fields is wrong."""
    gateway = await started(make_gateway, auth_key=KEY)
    for given in (basic("", ""), "Bearer", "Basic", "bearer x"):
        assert (await ask(gateway, authorization=given)).status_code == 401


async def test_wrong_passwords_are_slowed(
    make_gateway: Callable[..., Gateway], throttle: auth.Throttle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five failures even the right key waits, twice as long each time; webhooks never do."""
    clock = [1000.0]
    monkeypatch.setattr("whatshooked.web.auth.time", SimpleNamespace(monotonic=lambda: clock[0]))
    gateway = await started(make_gateway, auth_key=KEY)
    for _ in range(auth.FREE_FAILURES):
        assert (await ask(gateway, x_api_key="wrong")).status_code == 401
    for wait in (1, 2, 4):
        answer = await ask(gateway, x_api_key=KEY)
        assert answer.status_code == 429
        assert answer.json()["error"]["code"] == "slow_down"
        assert wait <= int(answer.headers["retry-after"]) <= wait + 1
        clock[0] += wait
        assert (await ask(gateway, x_api_key="wrong")).status_code == 401
    assert (await gateway.post(meta.webhook(meta.value(meta.text())))).status_code == 200
    clock[0] += 60
    assert (await ask(gateway, x_api_key=KEY)).status_code == 200
    assert throttle.wait("127.0.0.1", clock[0]) == 0


async def test_without_credentials_only_this_machine(make_gateway: Callable[..., Gateway]) -> None:
    """Nor a request that was passed on, nor one that names another host (DNS rebinding), nor another page's."""
    gateway = await started(make_gateway)
    assert (await ask(gateway)).status_code == 200
    assert (await ask(gateway, host="localhost:8080")).status_code == 200
    for header, value in {
        "x_forwarded_for": "1.2.3.4",
        "forwarded": "for=1.2.3.4",
        "x_real_ip": "127.0.0.1",
        "via": "1.1 proxy",
        "host": "gateway.example",
        "sec_fetch_site": "cross-site",
    }.items():
        answer = await ask(gateway, **{header: value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "no_credentials"), header
    body = meta.webhook(meta.value(meta.text()))
    url = f"{gateway.base}/webhooks/whatsapp/business"
    answer = await gateway.client.post(url, content=body, headers=meta.signed(body) | {"x-forwarded-for": "1.2.3.4"})
    assert answer.status_code == 200


async def test_every_error_has_the_contracts_shape(gateway: Gateway) -> None:
    """`{"error": {"code", "message", "hint"}}`, also where the framework refuses."""
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/api/cache", 405),
        ("GET", "/api/cache?limit=0", 400),
        ("GET", "/api/cache?limit=501", 400),
        ("GET", "/api/cache?limit=x", 400),
        ("GET", "/api/cache?after=x", 400),
        ("DELETE", "/api/cache/clear", 400),
        ("DELETE", "/api/cache/event/delete?id=1-1", 404),
        ("DELETE", "/api/cache/event/delete", 400),
        ("POST", "/api/cache/event/replay?id=99-9", 404),
        ("POST", "/api/cache/event/replay?id=nonsense", 400),
        ("POST", "/api/cache/replay?hook=nobody", 404),
        ("PATCH", "/api/hooks/nobody", 400),
    ):
        answer = await gateway.api(method, path)
        assert answer.status_code == status, (method, path, answer.text)
        error = answer.json()["error"]
        assert error.keys() == {"code", "message", "hint"}
        assert all(isinstance(text, str) and text for text in error.values()), error
    assert (await gateway.api("DELETE", "/api/cache/clear")).json()["error"]["code"] == "confirm_missing"
    assert API_KEY not in (await gateway.api("GET", "/api/nothing")).text
