"""Graph's objects as it shows them: every field that may be asked of a number, a WABA, a business or an app; pure.

Source: Meta's reference of these nodes.
"""

import hashlib
from typing import Any

from whatshooked.simulator.account import health
from whatshooked.simulator.world.model import App, Business, Number, Override, State, Waba

#: What a node shows when no fields are asked for.
NUMBER_FIELDS = (
    "id,verified_name,display_phone_number,quality_rating,code_verification_status,platform_type,throughput,"
    "webhook_configuration"
)
WABA_FIELDS = "id,name,timezone_id,message_template_namespace"
#: Fields by which one kind of node is told from another: whoever asks them of the other has the wrong id.
TELLING: dict[type[Number | Waba], frozenset[str]] = {
    Number: frozenset({"display_phone_number", "verified_name", "quality_rating", "code_verification_status"}),
    Waba: frozenset({"timezone_id", "message_template_namespace", "account_review_status", "ownership_type"}),
}


def number(state: State, found: Number, app_id: str) -> dict[str, Any]:
    """Return all fields of a number, as an app sees them."""
    waba = state.wabas[found.waba_id]
    level = "STANDARD" if found.throughput == "COEXISTENCE" else found.throughput
    return {
        "id": found.id,
        "verified_name": found.verified_name,
        "display_phone_number": found.display_phone_number,
        "quality_rating": found.quality_rating,
        "code_verification_status": found.code_verification_status,
        "platform_type": found.platform_type if found.registered else "NOT_APPLICABLE",
        "throughput": {"level": level if found.registered else "NOT_APPLICABLE"},
        "webhook_configuration": _webhooks(state.apps.get(app_id), waba, found.override),
        "status": "PENDING" if found.status == "CONNECTED" and not found.registered else found.status,
        "name_status": found.name_status,
        "account_mode": found.account_mode,
        "is_pin_enabled": bool(found.pin),
        "messaging_limit_tier": found.tier,
        "whatsapp_business_manager_messaging_limit": found.tier,
        "health_status": health.of_number(found, waba, app_id),
    }


def waba(found: Waba, app_id: str) -> dict[str, Any]:
    """Return all fields of a WABA, as an app sees them."""
    return {
        "id": found.id,
        "name": found.name,
        "timezone_id": found.timezone_id,
        "message_template_namespace": _namespace(found.id),
        "account_review_status": found.account_review_status,
        "business_verification_status": found.business_verification_status,
        "country": found.country,
        "currency": found.currency,
        "ownership_type": "CLIENT_OWNED" if found.clients else "SELF",
        "health_status": health.of_waba(found, app_id),
    }


def business(found: Business) -> dict[str, Any]:
    """Return all fields of a business portfolio."""
    return {"id": found.id, "name": found.name}


def app(found: App) -> dict[str, Any]:
    """Return all fields of an app."""
    return {"id": found.id, "name": found.name, "link": f"https://www.facebook.com/games/?app_id={found.id}"}


def _webhooks(app_: App | None, waba_: Waba, own: Override | None) -> dict[str, str]:
    """Return the callback URLs that an app has set for a number, those that stand; the first of them is used."""
    above = waba_.subscribed.get(app_.id) if app_ else None
    mine = own if own and app_ and own.app_id in ("", app_.id) else None
    urls = {
        "phone_number": mine.uri if mine else "",
        "whatsapp_business_account": above.uri if above else "",
        "application": app_.subscription.callback_url if app_ and app_.subscription else "",
    }
    return {name: url for name, url in urls.items() if url}


def _namespace(waba_id: str) -> str:
    """Return a template namespace: the same WABA has always the same."""
    digits = hashlib.sha256(waba_id.encode()).hexdigest()
    return "_".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
