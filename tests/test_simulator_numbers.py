"""The simulator's numbers: listed, added, proven, registered, and the business profile."""

from typing import Any

import pytest

from tests.simulated import VERIFY_TOKEN, Meta
from whatshooked.simulator.world.model import Number

HOUR = 3600.0


def more_numbers(sim: Meta, count: int) -> None:
    """Put numbers into the WABA beside its first."""
    for index in range(count):
        phone = f"1555020{index:04d}"
        number = Number(id=f"11{index:013d}", waba_id=sim.waba.id, phone=phone, display_phone_number=f"+{phone}")
        sim.state.numbers[number.id] = number


async def pages(sim: Meta, path: str, **params: Any) -> list[list[str]]:
    """The ids of each page of a list, followed by its `after` cursors."""
    found = []
    while True:
        answer = (await sim.ask("GET", path, params=params)).json()
        found.append([row["id"] for row in answer["data"]])
        if "next" not in answer["paging"]:
            return found
        params["after"] = answer["paging"]["cursors"]["after"]


async def test_row_20_numbers_come_in_pages_by_cursor(sim: Meta) -> None:
    """25 to a page unless told otherwise, never above 100; the cursors lead to each number once."""
    more_numbers(sim, 129)
    edge, ids = f"{sim.waba.id}/phone_numbers", list(sim.state.numbers)
    for size, params in (25, {}), (60, {"limit": 60}), (100, {"limit": 5000}):
        found = await pages(sim, edge, **params)
        assert found == [ids[start : start + size] for start in range(0, 130, size)]


async def test_row_20_the_next_page_has_a_url_of_its_own(sim: Meta) -> None:
    """`next` keeps limit and fields, holds no token, and leads on; the last page has none."""
    more_numbers(sim, 1)
    query = {"limit": 1, "fields": "display_phone_number"}
    first = (await sim.ask("GET", f"{sim.waba.id}/phone_numbers", params=query)).json()
    assert sim.token not in first["paging"]["next"]
    last = (await sim.client.get(first["paging"]["next"])).json()
    assert last["data"] == [{"display_phone_number": "+15550200000", "id": "110000000000000"}]
    assert set(last["paging"]) == {"cursors"}


async def test_a_cursor_that_is_none_is_refused(sim: Meta) -> None:
    """A made-up cursor or limit is an error, not an empty page."""
    for query in {"after": "nonsense"}, {"limit": "0"}, {"limit": "many"}:
        code, error = await sim.refused("GET", f"{sim.waba.id}/phone_numbers", params=query)
        assert (code, error["code"]) == (400, 131059 if "after" in query else 100)


async def test_row_20_fields_of_a_number_are_honoured(sim: Meta) -> None:
    """A number shows what was asked for; without `fields` what it shows in practice."""
    usual = set((await sim.ask("GET", sim.number.id)).json())
    shown = {"id", "verified_name", "display_phone_number", "quality_rating", "code_verification_status"}
    assert usual == shown | {"platform_type", "throughput", "webhook_configuration"}
    fields = "status,account_mode,name_status,whatsapp_business_manager_messaging_limit,throughput"
    assert (await sim.ask("GET", sim.number.id, params={"fields": fields})).json() == {
        "id": sim.number.id,
        "status": "CONNECTED",
        "account_mode": "LIVE",
        "name_status": "APPROVED",
        "whatsapp_business_manager_messaging_limit": "TIER_250",
        "throughput": {"level": "STANDARD"},
    }


async def test_a_number_that_is_not_registered_is_pending(sim: Meta) -> None:
    """Until it is registered a number is PENDING, on no platform and without throughput."""
    sim.number.registered = False
    fields = {"fields": "status,platform_type,throughput"}
    found = (await sim.ask("GET", sim.number.id, params=fields)).json()
    assert found == {
        "id": sim.number.id,
        "status": "PENDING",
        "platform_type": "NOT_APPLICABLE",
        "throughput": {"level": "NOT_APPLICABLE"},
    }


async def test_row_20_a_new_number_is_added_proven_and_registered(sim: Meta) -> None:
    """A number that was added gets a code, is verified by it, and then registers; in no other order."""
    watcher = sim.world.watch()
    form = {"country_code": "49", "phone_number": "30 200-0001", "verified_name": "Second"}
    added = (await sim.ask("POST", f"{sim.waba.id}/phone_numbers", json=form)).json()["id"]
    assert sim.state.numbers[added].phone == "49302000001"
    pin = {"messaging_product": "whatsapp", "pin": "123456"}
    assert (await sim.refused("POST", f"{added}/register", json=pin))[1]["code"] == 133006
    how = {"code_method": "SMS", "language": "en_US"}
    assert (await sim.ask("POST", f"{added}/request_code", json=how)).json() == {"success": True}
    news = await watcher.get()
    assert news is not None
    code = news["code"]
    assert (await sim.refused("POST", f"{added}/verify_code", json={"code": "1"}))[1]["code"] == 136025
    assert (await sim.ask("POST", f"{added}/verify_code", json={"code": code})).json() == {"success": True}
    assert (await sim.ask("POST", f"{added}/register", json=pin)).json() == {"success": True}
    found = (await sim.ask("GET", added, params={"fields": "status,code_verification_status,is_pin_enabled"})).json()
    assert found == {"id": added, "status": "CONNECTED", "code_verification_status": "VERIFIED", "is_pin_enabled": True}


async def test_the_same_phone_number_is_not_added_twice(sim: Meta) -> None:
    """A number in use, or one that is none, is refused."""
    for country, phone in ("1", "555 010 0001"), ("1", "call me"):
        form = {"country_code": country, "phone_number": phone, "verified_name": "Again"}
        assert (await sim.refused("POST", f"{sim.waba.id}/phone_numbers", json=form))[1]["code"] == 100
    assert len(sim.state.numbers) == 1


async def test_a_verified_number_gets_no_code(sim: Meta) -> None:
    """`request_code` on a verified number is 136024; without its method or language it is 100."""
    edge = f"{sim.number.id}/request_code"
    how = {"code_method": "VOICE", "language": "de"}
    assert (await sim.refused("POST", edge, json=how))[1]["code"] == 136024
    for wrong in {"code_method": "POST"}, {"language": ""}:
        assert (await sim.refused("POST", edge, json=how | wrong))[1]["code"] == 100


async def test_row_20_registering_takes_the_pin_that_was_set(sim: Meta) -> None:
    """Another PIN is 133005, one without six digits 100, no product key 100; the right one may come again and again."""
    sim.number.pin, sim.number.registered = "123456", False
    edge, product = f"{sim.number.id}/register", {"messaging_product": "whatsapp"}
    for body, code in (
        (product | {"pin": "654321"}, 133005),
        (product | {"pin": "12345"}, 100),
        (product | {"pin": "12345x"}, 100),
        (product, 100),
        ({"pin": "123456"}, 100),
    ):
        found, error = await sim.refused("POST", edge, json=body)
        assert (found, error["code"]) == (400, code)
    assert sim.number.registered is False
    for _ in range(2):
        assert (await sim.ask("POST", edge, json=product | {"pin": "123456"})).json() == {"success": True}
    assert sim.number.registered is True


async def test_row_20_ten_registrations_in_72_hours(sim: Meta) -> None:
    """The eleventh register or deregister within 72 hours is 133016, and those hours later it works again."""
    sim.world.clock.run(0)
    edge, body = f"{sim.number.id}/register", {"messaging_product": "whatsapp", "pin": "123456"}
    for _ in range(5):
        assert (await sim.ask("POST", edge, json=body)).status_code == 200
        assert (await sim.ask("POST", f"{sim.number.id}/deregister")).json() == {"success": True}
    for path in "register", "deregister":
        code, error = await sim.refused("POST", f"{sim.number.id}/{path}", json=body)
        assert (code, error["code"]) == (400, 133016)
    sim.world.clock.advance(71 * HOUR)
    assert (await sim.refused("POST", edge, json=body))[1]["code"] == 133016
    sim.world.clock.advance(1.1 * HOUR)
    assert (await sim.ask("POST", edge, json=body)).json() == {"success": True}


async def test_a_number_that_is_off_cannot_be_taken_off(sim: Meta) -> None:
    """Deregistering twice is 133010, as is sending from such a number."""
    assert (await sim.ask("POST", f"{sim.number.id}/deregister")).json() == {"success": True}
    assert (await sim.refused("POST", f"{sim.number.id}/deregister"))[1]["code"] == 133010


async def test_the_pin_is_set_and_the_app_is_told(sim: Meta) -> None:
    """`POST {pin}` on the number sets the PIN for the next registration, and a `security` webhook tells of it."""
    assert sim.app.subscription is not None
    sim.app.subscription.fields = ["security"]
    assert (await sim.ask("POST", sim.number.id, json={"pin": "111222"})).json() == {"success": True}
    assert sim.number.pin == "111222"
    (change,) = await sim.changes(field="security")
    assert change["value"]["event"] == "PIN_CHANGED"
    for body in ({}, {"pin": "12"}, {"pin": "abcdef"}, {"webhook_configuration": "x"}):
        code, error = await sim.refused("POST", sim.number.id, json=body)
        assert (code, error["code"]) == (400, 100)
    assert sim.number.pin == "111222"


async def test_row_14_a_number_has_a_callback_url_of_its_own(sim: Meta) -> None:
    """Set after its check, read back beside those of WABA and app, and taken away by an empty URL."""
    own, wabas = sim.receiver.url("/number"), sim.receiver.url("/waba")
    for path, body in (
        (f"{sim.waba.id}/subscribed_apps", {"override_callback_uri": wabas, "verify_token": VERIFY_TOKEN}),
        (sim.number.id, {"webhook_configuration": {"override_callback_uri": own, "verify_token": VERIFY_TOKEN}}),
    ):
        assert (await sim.ask("POST", path, json=body)).json() == {"success": True}
    query = {"params": {"fields": "webhook_configuration"}}
    urls = (await sim.ask("GET", sim.number.id, **query)).json()["webhook_configuration"]
    apps = sim.receiver.url("/webhook")
    assert urls == {"phone_number": own, "whatsapp_business_account": wabas, "application": apps}
    assert len(sim.receiver.received) == 2
    await sim.ask("POST", sim.number.id, json={"webhook_configuration": {"override_callback_uri": ""}})
    urls = (await sim.ask("GET", sim.number.id, **query)).json()["webhook_configuration"]
    assert urls == {"whatsapp_business_account": wabas, "application": apps}


async def test_a_change_of_pin_and_url_is_whole_or_none(sim: Meta) -> None:
    """Both may come in one call; a PIN that is none leaves the URL as it was, and the reverse."""
    right = {"override_callback_uri": sim.receiver.url("/number"), "verify_token": VERIFY_TOKEN}
    for pin, webhook in ("12", right), ("111222", right | {"verify_token": "wrong"}):
        await sim.refused("POST", sim.number.id, json={"pin": pin, "webhook_configuration": webhook})
        assert (sim.number.pin, sim.number.override) == ("", None)
    await sim.ask("POST", sim.number.id, json={"pin": "111222", "webhook_configuration": right})
    assert sim.number.pin == "111222"
    assert sim.number.override is not None


async def test_row_14_a_number_keeps_its_url_when_the_new_one_fails(sim: Meta) -> None:
    """A callback that refuses Meta's challenge is error 2200 and is not set."""
    webhook = {"override_callback_uri": sim.receiver.url("/number"), "verify_token": "wrong"}
    _, error = await sim.refused("POST", sim.number.id, json={"webhook_configuration": webhook})
    assert error["code"] == 2200
    assert sim.number.override is None


async def test_row_20_the_profile_is_changed_part_by_part(sim: Meta) -> None:
    """What is given replaces what stood, the rest stays; reading gives a list of one, with the fields asked for."""
    edge = f"{sim.number.id}/whatsapp_business_profile"
    product = {"messaging_product": "whatsapp"}
    first = {"about": "Open", "websites": ["https://a.example"], "vertical": "RETAIL"}
    for body in first, {"about": "Closed", "email": "a@b.example"}:
        assert (await sim.ask("POST", edge, json=product | body)).json() == {"success": True}
    rest = first | {"about": "Closed", "email": "a@b.example"}
    assert (await sim.ask("GET", edge)).json() == {"data": [rest | product]}
    found = (await sim.ask("GET", edge, params={"fields": "about,description"})).json()
    assert found == {"data": [{"about": "Closed"} | product]}


@pytest.mark.parametrize(
    "body",
    [
        {"messaging_product": "sms"},
        {"about": "x" * 140},
        {"address": "x" * 257},
        {"description": "x" * 513},
        {"email": "x" * 129},
        {"email": 5},
        {"websites": ["https://a.example"] * 3},
        {"websites": ["a.example"]},
        {"websites": "https://a.example"},
    ],
)
async def test_a_profile_beyond_its_limits_is_refused(sim: Meta, body: dict[str, Any]) -> None:
    """Texts that are too long, too many websites and wrong types are 100, and nothing changes."""
    edge = f"{sim.number.id}/whatsapp_business_profile"
    code, error = await sim.refused("POST", edge, json={"messaging_product": "whatsapp"} | body)
    assert (code, error["code"]) == (400, 100)
    assert sim.number.profile == {}
