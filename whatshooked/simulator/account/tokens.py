"""What a token says of itself: `debug_token`, `me`, and the app's own token.

Source: Meta's pages on access tokens and their debugging.
"""

from typing import Any

from whatshooked.simulator.graph import access, refusals
from whatshooked.simulator.graph.call import Call, Routes, pick
from whatshooked.simulator.graph.refusals import Refusal
from whatshooked.simulator.world.model import State, Token


async def debug(call: Call) -> dict[str, Any]:
    """Describe `input_token`; one that is not valid is no error of the call."""
    given = str(call.need("input_token"))
    asking, state = call.token, call.world.state
    if asking is None or (asking.type != "APP" and asking.value != given):
        raise refusals.parameter(
            "You must provide an app access token, or a user access token that is an owner or developer of the app"
        )
    try:
        token = access.token_of(state, f"Bearer {given}", {}, call.world.clock.now())
    except Refusal as refusal:
        return {"data": _invalid(state, state.tokens.get(given), asking.app_id, refusal)}
    if token.app_id != asking.app_id:
        return {"data": _invalid(state, None, asking.app_id, _foreign())}
    return {"data": described(state, token, is_valid=True)}


def described(state: State, token: Token, *, is_valid: bool) -> dict[str, Any]:
    """Return all that Graph tells of a token."""
    found: dict[str, Any] = {"app_id": token.app_id, "application": state.apps[token.app_id].name, "type": token.type}
    found |= {"is_valid": is_valid, "issued_at": token.issued_at, "expires_at": token.expires_at}
    found |= {"data_access_expires_at": 0, "scopes": token.scopes}
    if token.type != "APP":
        found["granular_scopes"] = [_granular(scope, token.targets.get(scope)) for scope in token.scopes]
        found["user_id"] = token.user_id
    return found


async def app_token(call: Call) -> dict[str, Any]:
    """Give the token of an app that proves itself by its secret."""
    app_id, secret = str(call.need("client_id")), str(call.need("client_secret"))
    if call.need("grant_type") != "client_credentials":
        raise refusals.parameter("Param grant_type must be client_credentials")
    app = call.world.state.apps.get(app_id)
    if app is None:
        raise Refusal(400, 101, "Error validating application. Cannot get application info due to a system error.")
    if app.secret != secret:
        raise Refusal(400, 1, "Error validating client secret.")
    return {"access_token": f"{app_id}|{secret}", "token_type": "bearer"}


async def me(call: Call) -> dict[str, Any]:
    """Show whose token it is."""
    if call.token is None or call.token.type == "APP":
        text = "An active access token must be used to query information about the current user."
        raise Refusal(400, 2500, text)
    user = {"id": call.token.user_id, "name": f"{call.world.state.apps[call.token.app_id].name} {call.token.type}"}
    return pick(user, call.params.get("fields"), "id,name")


def _invalid(state: State, token: Token | None, app_id: str, refusal: Refusal) -> dict[str, Any]:
    """Return what is told of a token that will not do; of a stranger's or a garbled one nothing but why."""
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.text}
    if refusal.subcode:
        error["subcode"] = refusal.subcode
    if token is None or token.app_id != app_id:
        return {"error": error, "is_valid": False, "scopes": []}
    return described(state, token, is_valid=False) | {"error": error}


def _granular(scope: str, targets: list[str] | None) -> dict[str, Any]:
    return {"scope": scope} if targets is None else {"scope": scope, "target_ids": targets}


def _foreign() -> Refusal:
    return refusals.parameter("The App_id in the input_token did not match the Viewing App")


ROUTES: Routes = {
    ("GET", None, "debug_token"): ("", debug),
    ("GET", None, "oauth/access_token"): ("", app_token),
    ("GET", None, "me"): ("", me),
}
