"""What Graph's objects say, as Structs: tokens, numbers, WABAs, businesses, subscriptions; pure.

Graph leaves out what it likes and writes ids and times as text or numbers: here they are text ("" when absent) and unix
seconds (0 when absent).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from whatshooked.meta import lenient

MESSAGING, MANAGEMENT = "whatsapp_business_messaging", "whatsapp_business_management"


class Token(Struct, frozen=True):
    """What Meta says of a token; times are unix seconds, 0 = never; `targets` of a scope absent = all WABAs."""

    app_id: str
    application: str
    type: str
    is_valid: bool
    expires_at: int
    scopes: tuple[str, ...]
    targets: Mapping[str, tuple[str, ...]]
    #: Why it is not valid.
    error: str = ""
    subcode: str = ""

    def reaches(self, scope: str, waba_id: str) -> bool:
        """Return whether the token has a permission for a WABA."""
        return scope in self.scopes and waba_id in self.targets.get(scope, (waba_id,))


class Health(Struct, frozen=True):
    """Whether one part of an account can send: AVAILABLE, LIMITED or BLOCKED, and why not."""

    kind: str
    id: str
    can_send: str
    problems: tuple[str, ...]


class Number(Struct, frozen=True):
    """A business number as Graph describes it; `phone` is "" for an object that is no number."""

    id: str
    phone: str
    verified_name: str
    quality_rating: str
    status: str = ""
    name_status: str = ""
    code_verification_status: str = ""
    account_mode: str = ""
    platform_type: str = ""
    throughput: str = ""
    #: Callback URLs that count, by level: phone_number, whatsapp_business_account, application.
    webhooks: Mapping[str, str] = {}
    health: tuple[Health, ...] = ()

    def owner(self, kind: str) -> str:
        """Return the id of the WABA, BUSINESS or APP that the number's health names."""
        return next((one.id for one in self.health if one.kind == kind), "")


class Waba(Struct, frozen=True):
    """A WhatsApp Business Account."""

    id: str
    name: str
    review: str = ""
    verification: str = ""


class Business(Struct, frozen=True):
    """A business portfolio."""

    id: str
    name: str


class Subscriber(Struct, frozen=True):
    """An app that is subscribed to a WABA, and the callback URL of its own that it has there."""

    app_id: str
    name: str
    override: str


class Subscription(Struct, frozen=True):
    """An app's webhook: one callback URL and the fields it gets, each with its version."""

    object: str
    callback_url: str
    active: bool
    fields: Mapping[str, str]


def token(data: Any) -> Token:
    """Return the token that `debug_token` describes."""
    row = _object(data)
    error = _object(row.get("error"))
    return Token(
        **_texts(row, app_id="app_id", application="application", type="type"),
        is_valid=row.get("is_valid") is True,
        expires_at=lenient.seconds(row.get("expires_at")),
        scopes=_strings(row.get("scopes")),
        targets={
            lenient.text(one.get("scope")): _strings(one["target_ids"])
            for one in _rows(row.get("granular_scopes"))
            if isinstance(one.get("target_ids"), list)
        },
        error=lenient.text(error.get("message")),
        subcode=lenient.text(error.get("subcode")),
    )


def number(row: dict[str, Any]) -> Number:
    """Return a business number."""
    same = "id verified_name quality_rating status name_status code_verification_status account_mode platform_type"
    return Number(
        **_texts(row, phone="display_phone_number", **{name: name for name in same.split()}),
        throughput=lenient.text(_object(row.get("throughput")).get("level")),
        webhooks={name: lenient.text(url) for name, url in _object(row.get("webhook_configuration")).items()},
        health=tuple(_health(part) for part in _rows(_object(row.get("health_status")).get("entities"))),
    )


def waba(row: dict[str, Any]) -> Waba:
    """Return a WABA."""
    names = _texts(
        row, id="id", name="name", review="account_review_status", verification="business_verification_status"
    )
    return Waba(**names)


def business(row: dict[str, Any]) -> Business:
    """Return a business portfolio."""
    return Business(**_texts(row, id="id", name="name"))


def subscriber(row: dict[str, Any]) -> Subscriber:
    """Return an app that is subscribed to a WABA."""
    app = _object(row.get("whatsapp_business_api_data"))
    return Subscriber(**_texts(app, app_id="id", name="name"), override=lenient.text(row.get("override_callback_uri")))


def subscription(row: dict[str, Any]) -> Subscription:
    """Return an app's webhook."""
    fields = {lenient.text(one.get("name")): lenient.text(one.get("version")) for one in _rows(row.get("fields"))}
    bare = {name: "" for name in _strings(row.get("fields")) if name}
    return Subscription(
        **_texts(row, object="object", callback_url="callback_url"),
        active=row.get("active") is not False,
        fields=fields or bare,
    )


def _health(row: dict[str, Any]) -> Health:
    problems = [
        " ".join(filter(None, _texts(error, text="error_description", remedy="possible_solution").values()))
        for error in _rows(row.get("errors"))
    ]
    return Health(**_texts(row, kind="entity_type", id="id", can_send="can_send_message"), problems=tuple(problems))


def _texts(row: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Return fields of an object as texts, by the names that we give them."""
    return {ours: lenient.text(row.get(theirs)) for ours, theirs in names.items()}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(map(lenient.text, value)) if isinstance(value, list) else ()
