"""The numbers of a WABA: listed, added, changed; and what users see of the business.

Source: Meta's pages on phone numbers, two-step verification, overrides and business profiles.
"""

from typing import Any

from whatshooked.simulator.account import callbacks, nodes, registration
from whatshooked.simulator.graph import refusals
from whatshooked.simulator.graph.call import Call, Routes, pick
from whatshooked.simulator.graph.paging import page
from whatshooked.simulator.world.model import MANAGEMENT, Number, Waba

#: What a profile holds, and the most characters of each text.
PROFILE = "about,address,description,email,websites,vertical,profile_picture_url"
LONGEST = {"about": 139, "address": 256, "description": 512, "email": 128}
WEBSITES = 2


async def listed(call: Call) -> dict[str, Any]:
    """List the numbers of a WABA."""
    state, app_id = call.world.state, call.token.app_id if call.token else ""
    rows = [nodes.number(state, one, app_id) for one in state.numbers.values() if one.waba_id == call.node.id]
    found = page(call, rows)
    return found | {"data": [call.show(row, nodes.NUMBER_FIELDS) for row in found["data"]]}


async def add(call: Call) -> dict[str, Any]:
    """Add a number to a WABA: neither verified nor registered yet."""
    call.ignored({"country_code", "phone_number", "verified_name"})
    country, rest = _digits(call, "country_code"), _digits(call, "phone_number")
    numbers = call.world.state.numbers
    if any(one.phone == country + rest for one in numbers.values()):
        raise refusals.parameter("The phone number is in use by a WhatsApp Business Account")
    number = Number(
        id=call.world.new_id("number"),
        waba_id=call.node.id,
        phone=country + rest,
        display_phone_number=f"+{country} {rest}",
        verified_name=str(call.need("verified_name")),
        quality_rating="UNKNOWN",
        status="PENDING",
        name_status="PENDING_REVIEW",
        code_verification_status="NOT_VERIFIED",
        registered=False,
    )
    numbers[number.id] = number
    return {"id": number.id}


async def change(call: Call) -> dict[str, Any]:
    """Set a number's PIN, its own callback URL, or both."""
    call.ignored({"pin", "webhook_configuration"})
    webhook = call.value("webhook_configuration")
    pin = registration.need_pin(call) if webhook is None or call.value("pin") is not None else ""
    if webhook is not None:
        if not isinstance(webhook, dict):
            raise refusals.parameter("Param webhook_configuration must be an object")
        call.node.override = await callbacks.override(call, webhook)
    if pin:
        _set_pin(call, pin)
    return {"success": True}


async def profile(call: Call) -> dict[str, Any]:
    """Show the business profile: a list of one."""
    found = pick(call.node.profile, call.params.get("fields"), PROFILE)
    return {"data": [found | {"messaging_product": "whatsapp"}]}


async def set_profile(call: Call) -> dict[str, Any]:
    """Change those parts of the profile that are given."""
    call.need_product()
    call.ignored({"messaging_product", "websites", "vertical", *LONGEST})
    given = {name: call.value(name) for name in (*LONGEST, "vertical") if call.value(name) is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            raise refusals.parameter(f"Param {name} must be a string")
        if len(value) > LONGEST.get(name, len(value)):
            raise refusals.parameter(f"Param {name} must be at most {LONGEST[name]} characters long")
    if (websites := call.value("websites")) is not None:
        given["websites"] = _websites(websites)
    call.node.profile |= given
    return {"success": True}


def _set_pin(call: Call, pin: str) -> None:
    """Set the PIN, and tell the apps that it changed."""
    number: Number = call.node
    number.pin = pin
    value = {"display_phone_number": number.phone, "event": "PIN_CHANGED"}
    if call.token is not None:
        value["requester"] = call.token.user_id
    call.world.webhooks.publish(call.world.state.wabas[number.waba_id], number, "security", value)


def _digits(call: Call, name: str) -> str:
    """Return the digits of a part of a phone number; raises Refusal for signs that none has."""
    given = str(call.need(name))
    digits = "".join(sign for sign in given if sign not in "+-() ")
    if not digits.isascii() or not digits.isdecimal():
        raise refusals.parameter(f"Param {name} must be a phone number")
    return digits


def _websites(given: Any) -> list[str]:
    if not isinstance(given, list) or len(given) > WEBSITES:
        raise refusals.parameter(f"Param websites must be a list of at most {WEBSITES} URLs")
    for url in given:
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise refusals.parameter("Param websites must hold URLs that begin with http:// or https://")
    return given


ROUTES: Routes = registration.ROUTES | {
    ("GET", Waba, "phone_numbers"): (MANAGEMENT, listed),
    ("POST", Waba, "phone_numbers"): (MANAGEMENT, add),
    ("POST", Number, ""): (MANAGEMENT, change),
    ("GET", Number, "whatsapp_business_profile"): (MANAGEMENT, profile),
    ("POST", Number, "whatsapp_business_profile"): (MANAGEMENT, set_profile),
}
