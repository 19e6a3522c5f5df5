"""A number's way to Meta: proven by a code, registered with a PIN, taken off again.

Source: Meta's pages on registration, two-step verification and its limit of ten calls in 72 hours.
"""

from typing import Any

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.graph.call import Call, Routes
from whatshooked.simulator.graph.limits import REGISTRATION_SECONDS, REGISTRATIONS
from whatshooked.simulator.world.model import MANAGEMENT, Number

METHODS = ("SMS", "VOICE")
_DIGITS = 6


async def register(call: Call) -> dict[str, Any]:
    """Register a number; its PIN is set by the first time and must be given ever after."""
    number: Number = call.node
    call.need_product()
    pin = need_pin(call)
    call.ignored({"messaging_product", "pin", "data_localization_region"})
    _count(call)
    if number.code_verification_status != "VERIFIED":
        raise refusals.message(133006, "Phone number re-verification needed", "The phone number must be verified.")
    if number.pin not in ("", pin):
        raise refusals.message(133005, "Two-step verification PIN mismatch", "The PIN is not the one that was set.")
    number.pin, number.registered = pin, True
    if number.status in ("PENDING", "DISCONNECTED", "UNVERIFIED"):
        number.status = "CONNECTED"
    return {"success": True}


async def deregister(call: Call) -> dict[str, Any]:
    """Take a number off; it keeps its PIN."""
    number: Number = call.node
    call.ignored({"messaging_product"})
    _count(call)
    if not number.registered:
        raise refusals.message(133010, "Account not registered", "The phone number is not registered.")
    number.registered = False
    return {"success": True}


async def request_code(call: Call) -> dict[str, Any]:
    """Send a number its code, by SMS or voice: whoever watches the simulator hears it."""
    number: Number = call.node
    call.ignored({"code_method", "language"})
    method = call.need("code_method")
    call.need("language")
    if method not in METHODS:
        raise refusals.parameter(f"Param code_method must be one of {{{', '.join(METHODS)}}}")
    if number.code_verification_status == "VERIFIED":
        raise refusals.message(136024, "Request code error", "The phone number is verified already.")
    number.code = f"{call.world.random.randrange(10**_DIGITS):0{_DIGITS}d}"
    call.world.tell({"kind": "code", "number": number.id, "method": method, "code": number.code})
    return {"success": True}


async def verify_code(call: Call) -> dict[str, Any]:
    """Prove a number by the code that it was sent."""
    number: Number = call.node
    call.ignored({"code"})
    if not number.code or str(call.need("code")) != number.code:
        raise refusals.message(136025, "Verify code error", "The code is not the one that was sent.")
    number.code, number.code_verification_status = "", "VERIFIED"
    return {"success": True}


def need_pin(call: Call) -> str:
    """Return the PIN of a call; raises Refusal unless it has six digits."""
    pin = str(call.need("pin"))
    if len(pin) != _DIGITS or not pin.isascii() or not pin.isdecimal():
        raise refusals.parameter("Param pin must be 6 digits")
    return pin


def _count(call: Call) -> None:
    """Count a call against the limit; raises Refusal 133016 above it."""
    now, number = call.world.clock.now(), call.node
    number.registrations = [at for at in number.registrations if at > now - REGISTRATION_SECONDS]
    if len(number.registrations) >= REGISTRATIONS:
        raise refusals.message(
            133016,
            "Account register deregister rate limit exceeded",
            "Too many attempts to register or deregister this number: it is blocked for up to 72 hours.",
        )
    number.registrations.append(now)


ROUTES: Routes = {
    ("POST", Number, "register"): (MANAGEMENT, register),
    ("POST", Number, "deregister"): (MANAGEMENT, deregister),
    ("POST", Number, "request_code"): (MANAGEMENT, request_code),
    ("POST", Number, "verify_code"): (MANAGEMENT, verify_code),
}
