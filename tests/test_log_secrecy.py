"""What never stands in a log: secrets at any level, numbers above debug unmasked, texts above debug."""

import json
import logging
from collections.abc import Callable

import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.graph import BAD_TOKEN, Graph
from tests.logged import Logged, logged
from tests.receiver import Receiver, status
from whatshooked.hooks import retry

SECRETS = (
    "PLANTED-app-secret",
    "PLANTED-token",
    "PLANTED-verify-token-0123456789-0123",
    "PLANTED-key",
    "PLANTED-query",
)
TEXT = "PLANTED-text of a customer"


async def busy(gateway: Gateway, receiver: Receiver) -> None:
    """Everything that logs: taken, refused, cut, foreign, unmatched, failing, dead, replayed, wrong credentials."""
    body = meta.webhook(meta.value(meta.text(TEXT), meta.text(TEXT, **{"from": "x" + TEXT})))
    assert (await gateway.post(body, secret=SECRETS[0])).status_code == 200
    status_of = meta.status("failed", errors=[{"code": 1, "title": TEXT}])
    await gateway.post(meta.webhook(meta.value(statuses=[status_of], account=5)), secret=SECRETS[0])
    await gateway.post(body[:-9], secret=SECRETS[0])
    await gateway.post(body, secret="wrong")
    await gateway.post(
        json.dumps({"entry": [{"changes": [{"field": TEXT, "value": TEXT}]}]}).encode(), secret=SECRETS[0]
    )
    url = f"{gateway.base}/webhooks/whatsapp/business"
    for token in (SECRETS[2], "wrong"):
        await gateway.client.get(url, params={"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1"})
    for key in ("wrong", SECRETS[3]):
        await gateway.client.get(f"{gateway.base}/api/cache", headers={"x-api-key": key})
    await receiver.wait(3 * 2)


def people_and_texts(log: Logged, level: int) -> list[str]:
    return [line for line in log.of(level) if meta.CUSTOMER in line or TEXT in line]


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
async def test_a_busy_run_tells_no_secrets(
    make_gateway: Callable[..., Gateway], receiver: Receiver, monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    """Neither the secrets of config and URLs at any level, nor customers' numbers and texts above debug."""
    monkeypatch.setattr(retry, "SCHEDULE", (0.05,))
    async with Graph() as graph:
        graph.answers[meta.number_id(1)] = (BAD_TOKEN[0], {"error": {"message": f"bad {SECRETS[1]}", "code": 190}})
        api = {"app_secret": SECRETS[0], "access_token": SECRETS[1], "verify_token": SECRETS[2], "graph_url": graph.url}
        headers = {"Authorization": "Bearer PLANTED-header"}
        url = receiver.url("/in?token=PLANTED-query").replace("//", "//user:PLANTED-password@")
        gateway = make_gateway(
            hook("h1", url, headers=headers, secret="PLANTED-signing"),
            hook("gone", "http://nobody.invalid/?token=PLANTED-query"),
            accounts=[account(1, **api)],
            server={"host": "127.0.0.1", "port": 0, "auth_key": SECRETS[3]},
        )
        receiver.behave = status(500, TEXT.encode())
        with logged(level) as log:
            await gateway.start()
            await busy(gateway, receiver)
            await gateway.stop_workers()
        assert log.holding("Hook does not accept events")
        assert log.holding("Failed to connect client")
        everything = "\n".join(log.lines)
        assert "PLANTED" not in everything.replace(TEXT, "")
        assert people_and_texts(log, logging.INFO) == []
