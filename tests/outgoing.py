"""Bodies as Meta's messages endpoint takes them: one of each documented shape, and makers of those with limits."""

from typing import Any

ANA = "+4915112345678"
USER = "US.13491208655302741918"
GROUP = "Y2FwaV9ncm91cDoxOTUwNTU1MDA3OToxMjAzNjMzOTQzMjAdOTY0MTUZD"
LINK = "https://shop.example/files/a.bin"


def message(kind: str, told: Any, **more: Any) -> dict[str, Any]:
    """A body in Meta's form."""
    return {"messaging_product": "whatsapp", "to": ANA, "type": kind, kind: told, **more}


def interactive(kind: str, action: Any, **more: Any) -> dict[str, Any]:
    return message("interactive", {"type": kind, "body": {"text": "Well?"}, "action": action, **more})


def buttons(*titles: str) -> dict[str, Any]:
    told = [{"type": "reply", "reply": {"id": f"b{n}", "title": title}} for n, title in enumerate(titles)]
    return interactive("button", {"buttons": told})


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "title": f"Row {n}", "description": "more"} for n in range(start, start + count)]


def menu(*sections: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    told = [{"title": f"Part {n}", "rows": part} for n, part in enumerate(sections)]
    return interactive("list", {"button": "Choose", "sections": told}, **more)


def flow(**parameters: Any) -> dict[str, Any]:
    told = {"flow_message_version": "3", "flow_cta": "Book now", "flow_id": "812", **parameters}
    return interactive("flow", {"name": "flow", "parameters": {k: v for k, v in told.items() if v is not None}})


def template(*components: Any) -> dict[str, Any]:
    return message("template", {"name": "order_ready", "language": {"code": "de"}, "components": list(components)})


CARD = {
    "name": {"formatted_name": "Ana M. Silva", "first_name": "Ana", "last_name": "Silva", "middle_name": "M."},
    "addresses": [{"street": "Weg 1", "city": "Ulm", "zip": "89073", "country_code": "de", "type": "HOME"}],
    "birthday": "1990-02-03",
    "emails": [{"email": "ana@mail.example", "type": "WORK"}],
    "org": {"company": "Blumen Silva", "department": "Sales", "title": "Head"},
    "phones": [
        {"phone": "+49 30 1234567", "type": "WORK", "wa_id": "49301234567"},
        {"phone": "+49 151 2", "type": "CELL"},
    ],
    "urls": [{"url": "https://shop.example", "type": "WORK"}],
}
PARAMETERS = [
    {"type": "text", "text": "Ana"},
    {"type": "text", "text": "Ana", "parameter_name": "first_name"},
    {"type": "currency", "currency": {"fallback_value": "9,90 EUR", "code": "EUR", "amount_1000": 9900}},
    {"type": "currency", "currency": {"fallback_value": "9,90 EUR", "code": "EUR", "amount_1000": "9900"}},
    {"type": "date_time", "date_time": {"fallback_value": "3 February", "day_of_month": 3, "month": 2}},
    {"type": "image", "image": {"link": LINK}},
    {"type": "video", "video": {"id": "77"}},
    {"type": "document", "document": {"id": "77", "filename": "bill.pdf"}},
    {"type": "location", "location": {"latitude": "48.4", "longitude": "9.99", "name": "Shop", "address": "Weg 1"}},
    {"type": "payload", "payload": "yes-17"},
    {"type": "coupon_code", "coupon_code": "SAVE20"},
    {"type": "action", "action": {"flow_token": "t", "flow_action_data": {"name": "Ana"}}},
    {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1790000000000}},
]
OTHER_INTERACTIVE = {
    "product": {"catalog_id": "5", "product_retailer_id": "sku-1"},
    "product_list": {
        "catalog_id": "5",
        "sections": [{"title": "New", "product_items": [{"product_retailer_id": "1"}]}],
    },
    "catalog_message": {"name": "catalog_message", "parameters": {"thumbnail_product_retailer_id": "1"}},
    "call_permission_request": {"name": "call_permission_request"},
    "voice_call": {"name": "voice_call", "parameters": {"display_text": "Call us", "ttl_minutes": 100}},
    "request_contact_info": {"name": "request_contact_info"},
    "carousel": {"cards": [{"card_index": 0, "type": "cta_url"}]},
    "address_message": {"name": "address_message", "parameters": {"country": "IN"}},
    "brand_new": {"anything": [1, 2.5, None, True]},
}
#: Each documented shape, as somebody would paste it.
DOCUMENTED: list[dict[str, Any]] = [
    message("text", {"body": "See https://shop.example", "preview_url": True}, recipient_type="individual"),
    message("text", {"body": "Yes", "preview_url": False}, context={"message_id": "wamid.HBgA="}),
    {"to": ANA, "text": {"body": "no type"}},
    *[message(kind, {"id": "1037543291543636"}) for kind in ("image", "video", "audio", "document", "sticker")],
    *[message(kind, {"link": LINK}) for kind in ("image", "video", "audio", "document", "sticker")],
    *[message(kind, {"link": LINK, "caption": "Look"}) for kind in ("image", "video", "document")],
    message("document", {"id": 1037543291543636, "filename": "bill.pdf", "caption": ""}),
    message("audio", {"id": "1037", "voice": True}),
    message("location", {"latitude": 48.4, "longitude": -9.99, "name": "Shop", "address": "Weg 1, Ulm"}),
    message("location", {"latitude": "37.44216251868683", "longitude": "-122.16153582049394"}),
    message("contacts", [CARD, {"name": {"formatted_name": "Bo", "first_name": "Bo"}}]),
    message("reaction", {"message_id": "wamid.HBgA=", "emoji": "\U0001f44d"}),
    message("reaction", {"message_id": "wamid.HBgA=", "emoji": ""}),
    buttons("Yes"),
    buttons("Yes", "No", "Later"),
    *[
        interactive("button", buttons("Yes")["interactive"]["action"], header=header, footer={"text": "Blumen Silva"})
        for header in (
            {"type": "text", "text": "Your order"},
            {"type": "image", "image": {"link": LINK}},
            {"type": "video", "video": {"id": "77"}},
            {"type": "document", "document": {"id": "77", "filename": "bill.pdf"}},
        )
    ],
    menu(rows(10), header={"type": "text", "text": "Menu"}, footer={"text": "Tap"}),
    menu(rows(5), rows(5, start=5)),
    interactive("list", {"button": "Choose", "sections": [{"rows": [{"id": "1", "title": "One"}]}]}),
    interactive("cta_url", {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://shop.example"}}),
    interactive(
        "cta_url",
        {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://shop.example"}},
        header={"text": "Dates"},
        footer={"text": "They may change."},
    ),
    flow(),
    flow(flow_id=None, flow_name="booking", mode="draft", flow_token="t-1", flow_action="data_exchange"),
    flow(flow_action="navigate", flow_action_payload={"screen": "FIRST", "data": {"a": {"b": [1]}}}),
    message(
        "interactive",
        {"type": "location_request_message", "body": {"text": "Where?"}, "action": {"name": "send_location"}},
    ),
    *[interactive(kind, action) for kind, action in OTHER_INTERACTIVE.items()],
    message("template", {"name": "hello_world", "language": {"code": "en_US"}}),
    message("template", {"name": "hello_world", "language": {"policy": "deterministic", "code": "en_US"}}),
    template({"type": "header", "parameters": PARAMETERS[5:9]}, {"type": "body", "parameters": PARAMETERS[:5]}),
    template({"type": "HEADER"}, {"type": "BODY", "parameters": PARAMETERS}),
    template({"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [PARAMETERS[9]]}),
    template({"type": "button", "sub_type": "url", "index": 1, "parameters": [PARAMETERS[0]]}),
    template({"type": "button", "sub_type": "flow", "index": "0", "parameters": [PARAMETERS[11]]}),
    template({"type": "button", "sub_type": "copy_code", "index": 1, "parameters": [PARAMETERS[10]]}),
    template({"type": "button", "sub_type": "catalog", "index": 0}),
    template({"type": "carousel", "cards": [{"card_index": 0, "components": [{"type": "header"}]}]}),
]
