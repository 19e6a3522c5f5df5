"""The calls that set an account up and look at it: tokens, numbers, WABAs, subscriptions; typed.

Every call returns a GraphFailure in place of its value when Graph did not do it. Fields that Graph left out are "" or
empty: only ids are sure to be there.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

from whatshooked.meta import objects
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import Business, Number, Subscriber, Subscription, Token, Waba

#: What a check of the credentials asks for, and what `doctor` wants to know beyond it.
_BRIEF = "id,display_phone_number,verified_name,quality_rating,status,throughput"
_WHOLE = f"{_BRIEF},name_status,code_verification_status,account_mode,platform_type,webhook_configuration,health_status"
_NO_NUMBER = "phone_number_id may be the WABA's or the app's: whatshooked account numbers lists the right ones"
_NO_WABA = "the WABA's id is wrong, or the WABA is not assigned to the token's system user"
_NO_APP = "app_secret or app_id is wrong: copy both again (app dashboard > App settings > Basic)"
_WABA = "id,name,account_review_status,business_verification_status,country,currency,ownership_type"
_OBJECT = "whatsapp_business_account"
#: Codes of a node that is not there, and of an app's own token that is none.
_MISSING, _UNPROVEN = frozenset({100}), frozenset({100, 101, 190})

Found = TypeVar("Found")


async def debug_token(graph: Graph, access: Access, input_token: str) -> Token | GraphFailure:
    """Return what Meta says of a token; `access` is the app's, or the token itself."""
    found = await graph.ask(access, "GET", "debug_token", params={"input_token": input_token})
    return found if isinstance(found, GraphFailure) else objects.token(found.get("data"))


async def number(graph: Graph, access: Access, number_id: str, *, whole: bool = False) -> Number | GraphFailure:
    """Return a number: a GET that proves id and token; `whole` asks for all that there is to know.

    An object that is there and no number is a failure as well.
    """
    fields = _WHOLE if whole else _BRIEF
    found = await graph.ask(access, "GET", _id(number_id), params={"fields": fields})
    if isinstance(found, GraphFailure):
        return found
    described = objects.number(found)
    return described if described.phone else GraphFailure(200, 0, 0, "this id is no phone number's", _NO_NUMBER)


async def waba(graph: Graph, access: Access, waba_id: str) -> Waba | GraphFailure:
    """Return a WABA."""
    found = await graph.ask(access, "GET", _id(waba_id), params={"fields": _WABA})
    found = _about(found, _NO_WABA, _MISSING)
    return found if isinstance(found, GraphFailure) else objects.waba(found)


async def numbers(graph: Graph, access: Access, waba_id: str) -> list[Number] | GraphFailure:
    """Return a WABA's numbers."""
    params = {"fields": f"{_BRIEF},code_verification_status,platform_type"}
    rows = _about(await graph.pages(access, f"{_id(waba_id)}/phone_numbers", params), _NO_WABA, _MISSING)
    return rows if isinstance(rows, GraphFailure) else [objects.number(row) for row in rows]


async def businesses(graph: Graph, access: Access) -> list[Business] | GraphFailure:
    """Return the businesses that a token sees: it needs `business_management`."""
    rows = await graph.pages(access, "me/businesses", {"fields": "id,name"})
    return rows if isinstance(rows, GraphFailure) else [objects.business(row) for row in rows]


async def wabas(graph: Graph, access: Access, business_id: str, *, client: bool = False) -> list[Waba] | GraphFailure:
    """Return the WABAs that a business owns, or those that its clients share with it."""
    edge = f"{'client' if client else 'owned'}_whatsapp_business_accounts"
    rows = await graph.pages(access, f"{_id(business_id)}/{edge}", {"fields": "id,name"})
    return rows if isinstance(rows, GraphFailure) else [objects.waba(row) for row in rows]


async def subscribers(graph: Graph, access: Access, waba_id: str) -> list[Subscriber] | GraphFailure:
    """Return the apps that get a WABA's webhooks."""
    rows = _about(await graph.pages(access, f"{_id(waba_id)}/subscribed_apps"), _NO_WABA, _MISSING)
    return rows if isinstance(rows, GraphFailure) else [objects.subscriber(row) for row in rows]


async def subscribe(
    graph: Graph, access: Access, waba_id: str, *, override: str = "", verify_token: str = ""
) -> GraphFailure | None:
    """Subscribe the token's app to a WABA; with a callback URL for this WABA alone, or without one any more."""
    fields = {"override_callback_uri": override, "verify_token": verify_token} if override else {}
    done = await _do(graph, access, "POST", f"{_id(waba_id)}/subscribed_apps", fields)
    return _about(done, _NO_WABA, _MISSING)


async def unsubscribe(graph: Graph, access: Access, waba_id: str) -> GraphFailure | None:
    """Take the token's app off a WABA: its webhooks end."""
    done = await _do(graph, access, "DELETE", f"{_id(waba_id)}/subscribed_apps")
    return _about(done, _NO_WABA, _MISSING)


async def subscriptions(graph: Graph, access: Access, app_id: str) -> list[Subscription] | GraphFailure:
    """Return an app's webhooks for WhatsApp; `access` is the app's own."""
    rows = _about(await graph.pages(access, f"{_id(app_id)}/subscriptions"), _NO_APP, _UNPROVEN)
    if isinstance(rows, GraphFailure):
        return rows
    return [found for row in rows if (found := objects.subscription(row)).object == _OBJECT]


async def set_subscription(
    graph: Graph, access: Access, app_id: str, callback_url: str, verify_token: str, fields: list[str]
) -> GraphFailure | None:
    """Set an app's callback URL and fields; Meta verifies the URL within this call, so the gateway must be up."""
    wanted = {
        "object": _OBJECT,
        "callback_url": callback_url,
        "verify_token": verify_token,
        "fields": ",".join(fields),
        "include_values": "true",
    }
    done = await _do(graph, access, "POST", f"{_id(app_id)}/subscriptions", wanted)
    return _about(done, _NO_APP, _UNPROVEN - _MISSING)


async def set_number_webhook(
    graph: Graph, access: Access, number_id: str, callback_url: str, verify_token: str
) -> GraphFailure | None:
    """Set a callback URL for one number alone, or take it off with ""."""
    wanted = {"override_callback_uri": callback_url} | ({"verify_token": verify_token} if callback_url else {})
    return await _do(graph, access, "POST", _id(number_id), {"webhook_configuration": wanted})


async def register(graph: Graph, access: Access, number_id: str, pin: str) -> GraphFailure | None:
    """Register a number with its six-digit PIN: ten tries in 72 hours are all that Meta allows."""
    return await _do(graph, access, "POST", f"{_id(number_id)}/register", {"messaging_product": "whatsapp", "pin": pin})


async def deregister(graph: Graph, access: Access, number_id: str) -> GraphFailure | None:
    """Take a number off the Cloud API; counts among the ten tries as well."""
    return await _do(graph, access, "POST", f"{_id(number_id)}/deregister", {"messaging_product": "whatsapp"})


async def request_code(
    graph: Graph, access: Access, number_id: str, *, method: str, language: str
) -> GraphFailure | None:
    """Let Meta send the code that verifies a number, by SMS or VOICE."""
    fields = {"code_method": method, "language": language}
    return await _do(graph, access, "POST", f"{_id(number_id)}/request_code", fields)


async def verify_code(graph: Graph, access: Access, number_id: str, code: str) -> GraphFailure | None:
    """Verify a number with the code that came."""
    return await _do(graph, access, "POST", f"{_id(number_id)}/verify_code", {"code": code})


async def set_pin(graph: Graph, access: Access, number_id: str, pin: str) -> GraphFailure | None:
    """Set a number's two-step PIN."""
    return await _do(graph, access, "POST", _id(number_id), {"pin": pin})


async def _do(
    graph: Graph, access: Access, method: str, path: str, fields: Mapping[str, Any] | None = None
) -> GraphFailure | None:
    """Return None when Graph says that it is done."""
    found = await graph.ask(access, method, path, json=fields)
    if isinstance(found, GraphFailure):
        return found
    if found.get("success") is False:
        return GraphFailure(200, 0, 0, "Graph says that it was not done", "try again")
    return None


def _about(found: Found | GraphFailure, hint: str, codes: frozenset[int]) -> Found | GraphFailure:
    """Return a failure of one of these codes with the hint of the object that was asked: a code alone means any."""
    if not isinstance(found, GraphFailure) or found.code not in codes or (found.code == 100 and found.subcode != 33):
        return found
    return replace(found, hint=hint)


def _id(given: str) -> str:
    """Return an id as one part of a path, whatever stands in it."""
    return quote(given, safe="").replace(".", "%2E")
