"""Whose event it is: phone numbers, WABAs, secrets in common, users without a number."""

from collections.abc import Callable
from typing import Any

import pytest

from tests import meta
from tests.conftest import Gateway, account, hook
from tests.receiver import Received, Receiver
from whatshooked import metrics

OTHER = "other-app-secret"


def two(**second: Any) -> list[dict[str, Any]]:
    """Two accounts, `business` of number 1 and `second` of number 2."""
    return [account(1), account(2, "second", **second)]


def unsecured(one: dict[str, Any]) -> dict[str, Any]:
    del one["business_api"]["app_secret"]
    return one


async def deliver(gateway: Gateway, receiver: Receiver, body: bytes, path: str, secret: str = meta.SECRET) -> Received:
    """Post a body of one event and return its delivery."""
    before = len(receiver.received)
    assert (await gateway.post(body, path, secret)).status_code == 200
    (got,) = (await receiver.wait(before + 1))[before:]
    return got


def of_number(number: int) -> bytes:
    return meta.webhook(meta.value(meta.text(), account=number))


async def test_a_number_of_the_same_app_goes_to_its_account(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """One app delivers every number to one path: with a secret in common the number decides."""
    accounts = two(app_secret=[OTHER, meta.SECRET])
    gateway = make_gateway(hook("h1", receiver.url()), accounts=accounts)
    await gateway.start()
    got = await deliver(gateway, receiver, of_number(2), "business")
    assert (got.query["account_id"], got.json["account_id"]) == ("second", "second")
    assert "foreign_number" not in got.json


async def test_a_number_of_another_app_stays_on_the_path(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """Who knows one account's secret cannot speak for another: the path's account, marked as foreign."""
    gateway = make_gateway(hook("h1", receiver.url()), accounts=two(app_secret=OTHER))
    await gateway.start()
    got = await deliver(gateway, receiver, of_number(2), "business")
    assert got.json["account_id"] == "business"
    assert got.json["foreign_number"] is True
    got = await deliver(gateway, receiver, of_number(1), "second", OTHER)
    assert got.json["account_id"] == "second"
    assert got.json["foreign_number"] is True


async def test_an_unsecured_path_never_speaks_for_a_secured_account(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """Anybody can post there; nor does a secured path speak for an unsecured account, but two unsecured ones do."""
    accounts = [account(1), unsecured(account(2, "second")), unsecured(account(3, "third"))]
    gateway = make_gateway(hook("h1", receiver.url()), accounts=accounts)
    await gateway.start()
    for number, path, owner, foreign in (
        (1, "second", "second", True),
        (2, "business", "business", True),
        (3, "second", "third", False),
    ):
        got = await deliver(gateway, receiver, of_number(number), path)
        assert (got.json["account_id"], got.json.get("foreign_number", False)) == (owner, foreign)


async def test_foreign_numbers_are_dropped_where_they_are_not_accepted(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """Answered 200, counted, and the good neighbour in the same body is delivered."""
    gateway = make_gateway(hook("h1", receiver.url()), accounts=[account(1, "picky", accept_foreign_numbers=False)])
    await gateway.start()
    counter = metrics.FOREIGN_DROPPED.labels("picky")
    before = counter._value.get()
    mine, foreign = meta.value(meta.text("mine")), meta.value(meta.text("x"), meta.text("y"), account=7)
    assert (await gateway.post(meta.webhook(foreign, mine), "picky")).status_code == 200
    (got,) = await receiver.wait(1)
    assert got.json["text"] == "mine"
    await gateway.cached(0)
    assert counter._value.get() == before + 2
    assert (
        'whatshooked_events_foreign_dropped_total{account="picky"}'
        in (await gateway.client.get(f"{gateway.base}/metrics")).text
    )


async def test_a_user_without_a_phone_number(gateway: Gateway, receiver: Receiver) -> None:
    """Messages and statuses of people who show no number carry their user id as `from`."""
    user = "DE.123456789012345"
    message = meta.text("hi", from_user_id=user)
    del message["from"]
    contacts = [{"profile": {"name": "Ana", "username": "ana.k"}, "user_id": user}]
    got = await deliver(gateway, receiver, meta.webhook(meta.value(message, contacts=contacts)), "business")
    assert (got.json["from"], got.json["user_id"], got.json["sender_name"]) == (user, user, "Ana")
    status = meta.status(recipient_user_id=user)
    del status["recipient_id"]
    got = await deliver(gateway, receiver, meta.webhook(meta.value(statuses=[status])), "business")
    assert (got.json["data"]["from"], got.json["data"]["user_id"]) == (user, user)


@pytest.mark.parametrize(("waba", "owner"), [("222", "second"), ("111", "business"), ("999", "business")])
async def test_other_events_belong_to_the_account_of_their_waba(
    make_gateway: Callable[..., Gateway], receiver: Receiver, waba: str, owner: str
) -> None:
    """A template's status names no number: the entry's id is the WABA, else the path decides."""
    accounts = [account(1, business_account_id="111"), account(2, "second", business_account_id="222")]
    gateway = make_gateway(hook("h1", receiver.url(), events=["meta.*"]), accounts=accounts)
    await gateway.start()
    value = {"event": "APPROVED", "message_template_id": 5}
    body = meta.webhook(value, field="message_template_status_update", waba=waba)
    got = await deliver(gateway, receiver, body, "business")
    assert got.event == "meta.message_template_status_update"
    assert got.json["data"]["account_id"] == owner
    assert got.json["data"]["value"] == value


async def test_the_waba_of_another_app_is_not_believed(
    make_gateway: Callable[..., Gateway], receiver: Receiver
) -> None:
    """Without a secret in common the path's account keeps the event."""
    accounts = [account(1), account(2, "second", business_account_id="222", app_secret=OTHER)]
    gateway = make_gateway(hook("h1", receiver.url(), events=["meta.*"]), accounts=accounts)
    await gateway.start()
    body = meta.webhook({"event": "DISABLED_UPDATE"}, field="account_update", waba="222")
    assert (await deliver(gateway, receiver, body, "business")).json["data"]["account_id"] == "business"


async def test_a_hook_gets_only_the_accounts_it_names(make_gateway: Callable[..., Gateway], receiver: Receiver) -> None:
    """`accounts` of a hook, over HTTP: the other account's message stays in the cache as unmatched."""
    gateway = make_gateway(hook("h1", receiver.url(), accounts=["second"]), accounts=two())
    await gateway.start()
    await gateway.post(of_number(1))
    got = await deliver(gateway, receiver, of_number(2), "second")
    assert got.json["account_id"] == "second"
    (cached,) = await gateway.cached(1, state="unmatched")
    assert cached["account_id"] == "business"
