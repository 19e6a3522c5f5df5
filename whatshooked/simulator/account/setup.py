"""Setting up: businesses, WABAs and apps, and which app gets whose webhooks.

Source: Meta's pages on the WhatsApp Business Management API and on webhook subscriptions.
"""

from typing import Any

from whatshooked.simulator.account import callbacks, nodes, tokens
from whatshooked.simulator.fields.fields import FIELDS
from whatshooked.simulator.graph import access, refusals
from whatshooked.simulator.graph.call import Call, Routes, names
from whatshooked.simulator.graph.paging import page
from whatshooked.simulator.graph.refusals import Refusal
from whatshooked.simulator.world.model import BUSINESS, MANAGEMENT, App, Business, Number, Subscription, Waba

#: The version of the payloads that each subscribed field is sent in.
PAYLOADS = "v25.0"
_OBJECT = "whatsapp_business_account"


async def look(call: Call) -> dict[str, Any]:
    """Show a node's fields; raises Refusal 100/33 for fields of another kind of node: then the id is the wrong one."""
    asked = set(names(call.params.get("fields", "")))
    if any(asked & telling for kind, telling in nodes.TELLING.items() if not isinstance(call.node, kind)):
        raise refusals.not_found(call.node.id, call.method)
    app_id = _app_id(call)
    match call.node:
        case Number() as number:
            return call.show(nodes.number(call.world.state, number, app_id), nodes.NUMBER_FIELDS)
        case Waba() as waba:
            return call.show(nodes.waba(waba, app_id), nodes.WABA_FIELDS)
        case Business() as business:
            return call.show(nodes.business(business), "id,name")
        case app:
            return call.show(nodes.app(app), "id,name,link")


async def businesses(call: Call) -> dict[str, Any]:
    """List the business portfolios that the token may see."""
    state = call.world.state
    seen = [one for one in state.businesses.values() if call.token and access.sees(state, call.token, one)]
    found = page(call, [nodes.business(one) for one in seen])
    return found | {"data": [call.show(row, "id,name") for row in found["data"]]}


async def owned(call: Call) -> dict[str, Any]:
    """List the WABAs that a business owns."""
    return _wabas(call, [one for one in call.world.state.wabas.values() if one.business_id == call.node.id])


async def shared(call: Call) -> dict[str, Any]:
    """List the WABAs that others share with a business."""
    return _wabas(call, [one for one in call.world.state.wabas.values() if call.node.id in one.clients])


async def subscribed_apps(call: Call) -> dict[str, Any]:
    """List the apps that get a WABA's webhooks."""
    state, waba = call.world.state, call.node
    return {"data": [_subscribed(state.apps[app_id], waba) for app_id in waba.subscribed if app_id in state.apps]}


async def subscribe(call: Call) -> dict[str, Any]:
    """Subscribe the token's app to a WABA, with a callback URL of its own or, given none, without."""
    call.ignored({"override_callback_uri", "verify_token"})
    given = {name: call.value(name) for name in ("override_callback_uri", "verify_token")}
    found = await callbacks.override(call, given)
    call.node.subscribed[_app_id(call)] = found
    return {"success": True}


async def unsubscribe(call: Call) -> dict[str, Any]:
    """Let no webhook of a WABA reach the token's app any more."""
    call.node.subscribed.pop(_app_id(call), None)
    return {"success": True}


async def subscriptions(call: Call) -> dict[str, Any]:
    """Show which fields an app gets, and where."""
    _need_app_token(call)
    found = call.node.subscription
    return {"data": [_shown(found)] if found else []}


async def subscribe_app(call: Call) -> dict[str, Any]:
    """Set an app's callback URL and fields, in place of those before."""
    _need_app_token(call)
    call.ignored({"object", "callback_url", "verify_token", "fields", "include_values"})
    if call.need("object") != _OBJECT:
        raise refusals.parameter(f"Param object must be one of {{{_OBJECT}}}")
    url, verify_token = str(call.need("callback_url")), str(call.need("verify_token"))
    fields = _fields(call.need("fields"))
    await callbacks.verify(call, url, verify_token)
    call.node.subscription = Subscription(callback_url=url, verify_token=verify_token, fields=fields)
    return {"success": True}


def _wabas(call: Call, rows: list[Waba]) -> dict[str, Any]:
    """Return the page of those WABAs that the token may see."""
    token, state = call.token, call.world.state
    seen = [nodes.waba(one, _app_id(call)) for one in rows if token and access.sees(state, token, one)]
    found = page(call, seen)
    return found | {"data": [call.show(row, nodes.WABA_FIELDS) for row in found["data"]]}


def _subscribed(app: App, waba: Waba) -> dict[str, Any]:
    override = waba.subscribed[app.id]
    found: dict[str, Any] = {"whatsapp_business_api_data": nodes.app(app)}
    return found | ({"override_callback_uri": override.uri} if override else {})


def _shown(found: Subscription) -> dict[str, Any]:
    return {
        "object": found.object,
        "callback_url": found.callback_url,
        "active": found.active,
        "fields": [{"name": name, "version": PAYLOADS} for name in found.fields],
    }


def _fields(given: Any) -> list[str]:
    """Return the names of subscribed fields, a list or text with commas; raises Refusal for unknown ones."""
    rows = given if isinstance(given, list) else str(given).split(",")
    found = [name for row in rows if (name := str(row).strip())]
    for name in found:
        if name not in FIELDS:
            raise refusals.parameter(f"Param fields must be one of {{{', '.join(FIELDS)}}}: {name} is none")
    return list(dict.fromkeys(found))


def _app_id(call: Call) -> str:
    return call.token.app_id if call.token else ""


def _need_app_token(call: Call) -> None:
    if call.token is None or call.token.type != "APP":
        raise Refusal(400, 15, "(#15) This method must be called with an app access_token.")


ROUTES: Routes = tokens.ROUTES | {
    ("GET", None, "me/businesses"): (BUSINESS, businesses),
    ("GET", Business, "owned_whatsapp_business_accounts"): (MANAGEMENT, owned),
    ("GET", Business, "client_whatsapp_business_accounts"): (MANAGEMENT, shared),
    ("GET", Business, ""): (BUSINESS, look),
    ("GET", App, ""): ("", look),
    ("GET", Waba, ""): (MANAGEMENT, look),
    ("GET", Number, ""): (MANAGEMENT, look),
    ("GET", Waba, "subscribed_apps"): (MANAGEMENT, subscribed_apps),
    ("POST", Waba, "subscribed_apps"): (MANAGEMENT, subscribe),
    ("DELETE", Waba, "subscribed_apps"): (MANAGEMENT, unsubscribe),
    ("GET", App, "subscriptions"): ("", subscriptions),
    ("POST", App, "subscriptions"): ("", subscribe_app),
}
