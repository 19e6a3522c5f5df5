"""Who calls, and what may they see: tokens, scopes and the objects of a call's path."""

import time

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.world.model import BUSINESS, App, Business, Node, State, Token, Waba, node, waba_of


def token_of(state: State, authorization: str, params: dict[str, str], now: float) -> Token:
    """Return the token of a call, from `access_token` or else its header; raises Refusal when it will not do.

    The parameter wins: clients that put their usual token in every header name the app's own that way, call by call.
    """
    scheme, _, value = authorization.partition(" ")
    given = params.get("access_token") or (value.strip() if scheme.lower() in ("bearer", "oauth") else "")
    if not given:
        raise refusals.no_token()
    token = state.tokens.get(given) or _app_token(state, given)
    if token is None:
        raise refusals.garbled_token()
    if token.expires_at and token.expires_at <= now:
        raise refusals.expired_token(time.strftime("%A, %d-%b-%y %H:%M:%S UTC", time.gmtime(token.expires_at)))
    if token.invalidated:
        raise refusals.invalidated_token(token.invalidated)
    return token


def need_scope(token: Token, scope: str, found: Node | None, state: State) -> None:
    """Raise Refusal unless the token has the scope ("" = any token) for the node's WABA."""
    if not scope:
        return
    if scope not in token.scopes:
        raise refusals.lacks_scope(scope)
    waba = waba_of(state, found) if found is not None else None
    targets = token.targets.get(scope)
    if waba is not None and targets is not None and waba.id not in targets:
        raise refusals.lacks_scope(scope)


def visible(state: State, token: Token, node_id: str, method: str) -> Node:
    """Return the object of an id that this token may see; raises Refusal 100/33, the same for what is not there."""
    found = node(state, node_id)
    if found is None or not sees(state, token, found):
        raise refusals.not_found(node_id, method)
    return found


def sees(state: State, token: Token, found: Node) -> bool:
    """Return whether an object is there for this token."""
    if isinstance(found, App):
        return token.app_id == found.id
    if isinstance(found, Business):
        return found.id in token.targets.get(BUSINESS, [found.id])
    waba = waba_of(state, found)
    return waba is not None and any(_reaches(token, waba, scope) for scope in token.scopes)


def _reaches(token: Token, waba: Waba, scope: str) -> bool:
    targets = token.targets.get(scope)
    return targets is None or waba.id in targets


def _app_token(state: State, given: str) -> Token | None:
    """Return the token that `app id|app secret` stands for."""
    app_id, bar, secret = given.partition("|")
    app = state.apps.get(app_id) if bar else None
    if app is None or app.secret != secret:
        return None
    return Token(value=given, app_id=app.id, type="APP", scopes=[])
