"""Whether a number or a WABA can send: `health_status`, entity by entity; pure.

Source: Meta's page on messaging health status.
"""

from typing import Any

from whatshooked.simulator.world.model import Number, Waba

#: From best to worst: the worst entity decides for all.
_ORDER = ("AVAILABLE", "LIMITED", "BLOCKED")
#: What a number's `status` means for sending; any other stops it.
_SENDING = {"CONNECTED": "AVAILABLE", "FLAGGED": "LIMITED", "RESTRICTED": "LIMITED", "RATE_LIMITED": "LIMITED"}


def of_number(number: Number, waba: Waba, app_id: str) -> dict[str, Any]:
    """Return the health of a number, as an app sees it."""
    return _status([_number(number), *_above(waba, app_id)])


def of_waba(waba: Waba, app_id: str) -> dict[str, Any]:
    """Return the health of a WABA, as an app sees it."""
    return _status(_above(waba, app_id))


def _status(entities: list[dict[str, Any]]) -> dict[str, Any]:
    worst = max((one["can_send_message"] for one in entities), key=_ORDER.index)
    return {"can_send_message": worst, "entities": entities}


def _number(number: Number) -> dict[str, Any]:
    sending = _SENDING.get(number.status, "BLOCKED")
    if not number.registered:
        sending, error = "BLOCKED", _error(133010, "Account not registered", "Register the phone number.")
    elif sending == "BLOCKED":
        error = _error(131031, "Account has been locked", f"The phone number is {number.status}: see its account.")
    elif number.name_status == "DECLINED":
        sending, error = "LIMITED", _error(131037, "Display name not approved", "Ask for another display name.")
    else:
        info = "" if sending == "AVAILABLE" else f"The phone number is {number.status}."
        return _entity("PHONE_NUMBER", number.id, sending, info)
    return _entity("PHONE_NUMBER", number.id, sending) | {"errors": [error]}


def _above(waba: Waba, app_id: str) -> list[dict[str, Any]]:
    """Return what stands above a number: its WABA, the business that owns it, the app that asks."""
    review, verification = waba.account_review_status, waba.business_verification_status
    reviewed, verified = review == "APPROVED", verification == "verified"
    return [
        _entity(
            "WABA", waba.id, "AVAILABLE" if reviewed else "BLOCKED", "" if reviewed else f"Its review is {review}."
        ),
        _entity(
            "BUSINESS",
            waba.business_id,
            "AVAILABLE" if verified else "LIMITED",
            "" if verified else f"Its verification is {verification}.",
        ),
        _entity("APP", app_id, "AVAILABLE"),
    ]


def _entity(kind: str, id_: str, sending: str, info: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"entity_type": kind, "id": id_, "can_send_message": sending}
    return found | ({"additional_info": [info]} if info else {})


def _error(code: int, description: str, solution: str) -> dict[str, Any]:
    return {"error_code": code, "error_description": description, "possible_solution": solution}
