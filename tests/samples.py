"""The samples of the page on events: what Meta sent, what a message says by its type, and what answers ask for."""

from typing import Any

from whatshooked.config import Account, BusinessApi
from whatshooked.meta.failure import GraphFailure
from whatshooked.meta.flatten import Handed
from whatshooked.meta.objects import Number
from workers.accounts import described

Object = dict[str, Any]

_PHONE, _USER = "4915112345678", "DE.20451209655302741923"
_ANA = {"profile": {"name": "Ana Silva"}, "wa_id": _PHONE, "user_id": _USER}
_BO = {"profile": {"name": "Bo Lee"}, "user_id": "DE.30981208655302741111"}
_FROM_ANA = {"from": _PHONE, "from_user_id": _USER}
_GROUP = "Y2FwaV9ncm91cDoxOTUwNTU1MDA3OToxMjAzNjMz"
_METADATA = {"display_phone_number": "4930123456", "phone_number_id": "100000000000001"}


def _webhook(field: str, value: Object, **more: Any) -> Object:
    entry = {"id": "200000000000001", **more, "changes": [{"field": field, "value": value}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def _of_number(**arrays: Any) -> Object:
    return _webhook("messages", {"messaging_product": "whatsapp", "metadata": _METADATA} | arrays)


def _message(name: str, kind: str, told: Any, **more: Any) -> Object:
    """A message of Ana's, unless `more` says who wrote it."""
    item = {"id": f"wamid.HBgN{name}", "timestamp": "1790000000", "type": kind, kind: told}
    if "group_id" in more:
        return _of_number(contacts=[_BO], messages=[{"from_user_id": _BO["user_id"]} | item | more])
    return _of_number(contacts=[_ANA], messages=[_FROM_ANA | item | more])


def _status(**told: Any) -> Object:
    return _of_number(statuses=[{"id": "wamid.HBgNOUT", "timestamp": "1790000005", "recipient_id": _PHONE} | told])


_IMAGE = {"id": "1047239271", "mime_type": "image/jpeg", "sha256": "3Q2+7w==", "caption": "My receipt"}
_PRESSED = {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes, please"}}
_PRICED = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "service"}
_CLOSED = {
    "code": 131047,
    "title": "Re-engagement message",
    "message": "Re-engagement message",
    "error_data": {"details": "More than 24 hours have passed since the recipient last replied."},
}
_ALERT = {
    "entity_type": "PHONE_NUMBER",
    "entity_id": "100000000000001",
    "alert_info": {"alert_severity": "WARNING", "alert_status": "ACTIVE", "alert_type": "PROFILE_PICTURE_LOST"},
}
#: The webhook of each example that comes of one, in the page's order.
BODIES = (
    _message("TEXT", "text", {"body": "Hello World"}),
    _message("FILE", "image", _IMAGE),
    _message("PRESS", "interactive", _PRESSED, context={"from": "4930123456", "id": "wamid.HBgNOUT"}),
    _message("GROUP", "text", {"body": "Hi all"}, group_id=_GROUP),
    _message("NEW", "hologram", {"depth": 12}),
    _status(status="delivered", pricing=_PRICED, biz_opaque_callback_data="wh:1790000001250-0.crm.1790000001300.0"),
    _status(status="failed", errors=[_CLOSED], biz_opaque_callback_data="wh:m1790000003000-0a1b2c3d4e5f|order-17"),
    _webhook("account_alerts", _ALERT, time=1_790_000_060),
)

_ACCOUNT = Account(
    id="shop",
    type="business-api",
    phone_number="+4930123456",
    business_api=BusinessApi(phone_number_id="100000000000001", access_token="t", verify_token="v"),
)
_GOOD = Number(id="100000000000001", phone="+49 30 123456", verified_name="Blumen Silva", quality_rating="GREEN")
_EXPIRED = '{"error":{"message":"Session has expired","code":190,"error_subcode":463}}'
_BAD = GraphFailure(401, 190, 463, _EXPIRED, "the access token has expired: make one that never expires")
#: Type and data of our own events, which follow.
OURS: dict[str, Object] = {kind: dict(data) for kind, _, data in (described(_ACCOUNT, one) for one in (_GOOD, _BAD))}
OURS["hook.failed"] = {
    "hook_id": "crm",
    "event_id": "1790000001250-0",
    "event_type": "message.received",
    "attempt": 1,
    "status": 0,
    "duration_ms": 1.4,
    "error": "tcp connect error: Connection refused (os error 111)",
}

_NAME = "wamid.HBgNFILE_deadbeef.jpg"
#: The file of the sample that brings one.
HANDED = Handed(
    _NAME,
    "image/jpeg",
    48_213,
    f"https://wh.shop.example/api/media/shop/{_NAME}?expires=1790604801&signature=6b1f",
)

#: What stands under the key of a type's name, by type, in the page's order.
OF_TYPE: dict[str, Any] = {
    "text": {"body": "Hello World"},
    "image": {"id": "1", "caption": "My receipt"},
    "video": {"id": "1", "caption": "Our garden"},
    "document": {"id": "1", "filename": "bill.pdf"},
    "audio": {"id": "1", "voice": True},
    "sticker": {"id": "1"},
    "location": {"latitude": 40.7128, "longitude": -74.006, "name": "Office", "address": "123 Main St"},
    "contacts": [{"name": {"formatted_name": "Ana Silva"}}, {"name": {"formatted_name": "Bo Lee"}}],
    "interactive": _PRESSED,
    "button": {"payload": "stop", "text": "Stop"},
    "reaction": {"message_id": "wamid.HBgNOUT", "emoji": "\N{FIRE}"},
    "order": {"catalog_id": "1", "product_items": [{}, {}, {}], "text": "By Friday"},
    "system": {"type": "user_changed_number", "body": "Ana changed to 4915187654321"},
    "edit": {"original_message_id": "wamid.HBgNTEXT", "message": {"type": "text", "text": {"body": "Hello you"}}},
    "revoke": {"original_message_id": "wamid.HBgNTEXT"},
    "request_welcome": None,
    "unsupported": {"type": "poll_creation"},
    "unknown": None,
}

_TO = {"messaging_product": "whatsapp", "to": f"+{_PHONE}"}
_THANKS = _TO | {"type": "text", "text": {"body": "Thanks for your message!"}}
_QUOTE = {"message_id": "wamid.HBgNTEXT"}
_BUTTONS = [{"type": "reply", "reply": {"id": "yes", "title": "Yes, please"}}]
#: Account, kind and Meta's body of the messages that each answer asks for, in the page's order.
REPLIES: list[list[tuple[str, str, Object]]] = [
    [("shop", "text", _THANKS)],
    [("support", "text", _THANKS | {"to": "+4930999999"})],
    [("shop", "text", _THANKS | {"context": _QUOTE})],
    [("shop", "image", _TO | {"type": "image", "image": {"link": "https://shop.example/map.png", "caption": "Here"}})],
    [
        (
            "shop",
            "interactive",
            _TO
            | {
                "type": "interactive",
                "interactive": {
                    "type": "button",
                    "body": {"text": "Shall we deliver it?"},
                    "action": {"buttons": _BUTTONS},
                },
            },
        )
    ],
    [
        (
            "shop",
            "template",
            _TO | {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}},
        )
    ],
    [
        (
            "shop",
            "read",
            {"messaging_product": "whatsapp", "status": "read", **_QUOTE, "typing_indicator": {"type": "text"}},
        ),
        ("shop", "reaction", _TO | {"type": "reaction", "reaction": {**_QUOTE, "emoji": "\N{THUMBS UP SIGN}"}}),
        ("shop", "text", _TO | {"type": "text", "text": {"body": "One moment, please."}}),
    ],
]
