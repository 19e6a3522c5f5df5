"""What Meta tells about businesses, WABAs and numbers: reviews, restrictions, quality, limits, flows, payments."""

from whatshooked.simulator.fields.place import Makers, Place
from whatshooked.simulator.people.details import Object

_FLOW, _SOLUTION = "800000000000001", "810000000000001"


def _account_update(place: Place, event: str) -> Object:
    info = {"waba_id": place.waba.id, "owner_business_id": place.waba.business_id}
    with_info = event.startswith("PARTNER_") or event in ("AD_ACCOUNT_LINKED", "MM_LITE_TERMS_SIGNED")
    return {"event": event} | ({"waba_info": info} if with_info else {}) | _account_details(place).get(event, {})


def _account_details(place: Place) -> dict[str, Object]:
    """Return what comes with the events that come with something of their own."""
    restriction = {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": place.now + 3 * 86_400}
    return {
        "ACCOUNT_RESTRICTION": {"restriction_info": [restriction | {"remediation": "Send what people asked for."}]},
        "ACCOUNT_VIOLATION": {"violation_info": {"violation_type": "SCAM"}},
        "DISABLED_UPDATE": {"ban_info": {"waba_ban_state": "DISABLE", "waba_ban_date": "April 17, 2026"}},
        "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE": {"country": place.waba.country},
        "VOLUME_BASED_PRICING_TIER_UPDATE": {
            "volume_tier_info": {"pricing_category": "UTILITY", "tier": "25000:50000", "effective_month": "2026-11"}
        },
        "PARTNER_REMOVED": {"disconnection_info": {"reason": "UNINSTALLED", "initiated_by": "business"}},
        "VERIFIED_ACCOUNT": {"phone_number": place.number.phone},
    }


_ACCOUNT_EVENTS = (
    "ACCOUNT_RESTRICTION",
    "ACCOUNT_VIOLATION",
    "ACCOUNT_DELETED",
    "ACCOUNT_OFFBOARDED",
    "ACCOUNT_RECONNECTED",
    "AD_ACCOUNT_LINKED",
    "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE",
    "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE",
    "DISABLED_UPDATE",
    "MM_LITE_TERMS_SIGNED",
    "PARTNER_ADDED",
    "PARTNER_APP_INSTALLED",
    "PARTNER_APP_UNINSTALLED",
    "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE",
    "PARTNER_REMOVED",
    "VERIFIED_ACCOUNT",
    "VOLUME_BASED_PRICING_TIER_UPDATE",
)


def _alerts(place: Place, event: str) -> Object:
    info = {
        "alert_severity": "INFORMATIONAL" if event.startswith("OBA_APPROVED") else "WARNING",
        "alert_status": "ACTIVE",
        "alert_type": event,
        "alert_description": "Something about this account needs your attention.",
    }
    return {"entity_type": "PHONE_NUMBER", "entity_id": place.number.id, "alert_info": info}


def _settings(place: Place, _: str) -> Object:
    calling = {"status": "ENABLED", "call_icon_visibility": "DEFAULT"}
    settings = {"phone_number_id": place.number.id, "calling": calling}
    told = {"messaging_product": "whatsapp", "timestamp": place.stamp, "type": "phone_number_settings"}
    return told | {"phone_number_settings": settings}


def _quality(place: Place, event: str) -> Object:
    found: Object = {"display_phone_number": place.number.phone, "event": event}
    if event in ("UPGRADE", "DOWNGRADE", "FLAGGED", "UNFLAGGED"):
        found |= {"current_limit": "TIER_2K", "old_limit": "TIER_250"}
    return found | {"max_daily_conversations_per_business": "TIER_2K"}


def _name(place: Place, event: str) -> Object:
    found = {"display_phone_number": place.number.phone, "decision": event}
    found |= {"requested_verified_name": place.number.verified_name}
    return found | {"rejection_reason": "NAME_NOT_CONSISTENT" if event == "REJECTED" else None}


def _capability(_: Place, event: str) -> Object:
    if event == "old":
        return {"max_daily_conversation_per_phone": 1000, "max_phone_numbers_per_waba": 25}
    if event == "number":
        return {"max_daily_conversations_per_business": 2000, "max_phone_numbers_per_business": 2}
    return {"max_daily_conversations_per_business": "TIER_2K", "max_phone_numbers_per_business": 2}


def _security(place: Place, event: str) -> Object:
    found = {"display_phone_number": place.number.phone, "event": event}
    return found | ({"requester": "122100000000000001"} if event == "PIN_CHANGED" else {})


def _username(place: Place, event: str) -> Object:
    found = {"display_phone_number": place.number.phone, "status": event}
    return found | ({} if event == "deleted" else {"username": "example.shop"})


def _flows(place: Place, event: str) -> Object:
    found: Object = {"event": event, "flow_id": _FLOW, "message": f"{event} of flow {_FLOW}"}
    match event:
        case "FLOW_STATUS_CHANGE":
            return found | {"old_status": "DRAFT", "new_status": "PUBLISHED"}
        case "CLIENT_ERROR_RATE" | "ENDPOINT_ERROR_RATE":
            errors = [{"error_type": "timeout_error", "error_count": 12, "error_rate": 6.5}]
            return found | {"error_rate": 6.5, "threshold": 5, "alert_state": "ACTIVATED", "errors": errors}
        case "ENDPOINT_LATENCY":
            found |= {"p50_latency": 900, "p90_latency": 3200, "requests_count": 240}
            return found | {"threshold": 3000, "alert_state": "ACTIVATED"}
        case "ENDPOINT_AVAILABILITY":
            return found | {"availability": 75, "threshold": 90, "alert_state": "ACTIVATED"}
        case _:
            return found | {"warning": f"The version of this flow expires at {place.now + 30 * 86_400}."}


_FLOW_EVENTS = (
    "FLOW_STATUS_CHANGE",
    "CLIENT_ERROR_RATE",
    "ENDPOINT_ERROR_RATE",
    "ENDPOINT_LATENCY",
    "ENDPOINT_AVAILABILITY",
    "FLOW_VERSION_EXPIRY_WARNING",
)


def _solutions(_: Place, event: str) -> Object:
    return {"event": event, "solution_id": _SOLUTION, "solution_status": "ACTIVE"}


def _payments(place: Place, event: str) -> Object:
    found: Object = {"configuration_name": "shop", "provider_name": "razorpay", "provider_mid": "mid-0001"}
    return found | {"status": event, "created_timestamp": place.now - 86_400, "updated_timestamp": place.now}


FIELDS: Makers = {
    "account_update": (_account_update, _ACCOUNT_EVENTS),
    "account_alerts": (
        _alerts,
        (
            "INCREASED_CAPABILITIES_ELIGIBILITY_DEFERRED",
            "INCREASED_CAPABILITIES_ELIGIBILITY_FAILED",
            "INCREASED_CAPABILITIES_ELIGIBILITY_NEED_MORE_INFO",
            "OBA_APPROVED",
            "OBA_REJECTED",
            "PROFILE_PICTURE_LOST",
        ),
    ),
    "account_review_update": (
        lambda _, event: {"decision": event},
        ("APPROVED", "REJECTED", "PENDING", "DEFERRED"),
    ),
    "account_settings_update": (_settings, ()),
    "phone_number_quality_update": (
        _quality,
        ("ONBOARDING", "THROUGHPUT_UPGRADE", "FLAGGED", "UNFLAGGED", "UPGRADE", "DOWNGRADE"),
    ),
    "phone_number_name_update": (_name, ("APPROVED", "REJECTED")),
    "business_capability_update": (_capability, ("tier", "number", "old")),
    "security": (_security, ("PIN_CHANGED", "PIN_RESET_REQUEST", "PIN_REQUEST_SUCCESS")),
    "business_username_update": (_username, ("approved", "deleted", "reserved")),
    "flows": (_flows, _FLOW_EVENTS),
    "partner_solutions": (_solutions, ("SOLUTION_CREATED", "SOLUTION_UPDATED")),
    "payment_configuration_update": (_payments, ("Active", "Needs Connecting", "Needs Testing")),
}
