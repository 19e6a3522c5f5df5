"""What `doctor` asks Meta and the callback URL about one account; it judges nothing."""

import secrets
import time
from collections.abc import Sequence
from urllib.parse import urlencode

import httpx

from whatshooked.cli.account import wabas
from whatshooked.cli.doctor.facts import Facts, Probe, callback_of, owner_of
from whatshooked.config import Account, BusinessApi
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import Number, Subscription, Token


async def gather(graph: Graph, account: Account, api: BusinessApi, accounts: Sequence[Account]) -> Facts:
    """Return the facts of an account; `accounts` are all that are configured, since they may share a callback URL."""
    access = Access.of(account)
    token = await _token(graph, access, api)
    app_id = api.app_id or (token.app_id if isinstance(token, Token) else "")
    subscriptions = await _subscriptions(graph, access, app_id, api.app_secret)
    number = await _number(graph, access, api.phone_number_id)
    beneath = None if isinstance(number, Number) else await setup.numbers(graph, access, api.phone_number_id)
    learned = await wabas.owner(graph, access, api.phone_number_id, number, token)
    waba_id = api.business_account_id or learned or _only(wabas.targets(token))
    return Facts(
        account=account,
        api=api,
        now=time.time(),
        token=token,
        app_id=app_id,
        app_secret=_refusal(subscriptions),
        number=number,
        beneath=beneath if isinstance(beneath, list) else None,
        waba_id=waba_id,
        learned_waba=learned,
        numbers=await setup.numbers(graph, access, waba_id) if waba_id else None,
        subscribers=await setup.subscribers(graph, access, waba_id) if waba_id else None,
        subscriptions=subscriptions,
        probe=await _probe(account, accounts, number, subscriptions),
    )


async def _token(graph: Graph, access: Access, api: BusinessApi) -> Token | GraphFailure:
    """Ask as the app, since an expired token cannot ask about itself; else as the token."""
    found: Token | GraphFailure | None = None
    if api.app_id and api.app_secret:
        found = await setup.debug_token(graph, app_access(access, api.app_id, api.app_secret[0]), api.access_token)
    if found is None or isinstance(found, GraphFailure):
        found = await setup.debug_token(graph, access, api.access_token)
    return found


async def _subscriptions(
    graph: Graph, access: Access, app_id: str, app_secrets: Sequence[str]
) -> list[Subscription] | GraphFailure | None:
    """Return the app's webhooks, by the first of its secrets that Meta takes."""
    found: list[Subscription] | GraphFailure | None = None
    for secret in app_secrets if app_id else ():
        found = await setup.subscriptions(graph, app_access(access, app_id, secret), app_id)
        if isinstance(found, list):
            break
    return found


async def _number(graph: Graph, access: Access, number_id: str) -> Number | GraphFailure:
    found = await setup.number(graph, access, number_id, whole=True)
    # An older version may not know a field of ours: what every version knows is enough to go on.
    if isinstance(found, GraphFailure) and found.code == 100 and found.subcode != 33:
        found = await setup.number(graph, access, number_id)
    return found


async def _probe(
    account: Account,
    accounts: Sequence[Account],
    number: Number | GraphFailure,
    subscriptions: list[Subscription] | GraphFailure | None,
) -> Probe | None:
    level, url = callback_of(number, subscriptions)
    if not url:
        return None
    owner = owner_of(url, account, accounts)
    probe = Probe(url=url, level=level, account_id=owner.id if owner else "")
    if owner is None or owner.business_api is None:
        return probe
    try:
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            # Only who answers as a gateway does is shown the verify token. HEAD, since a verification with a wrong
            # one would stand in the gateway's log as a fault; 403 comes where a proxy makes a GET of it.
            first = await client.head(url)
            ours = first.status_code == 403 or (first.status_code == 405 and "POST" in first.headers.get("allow", ""))
            challenge = str(secrets.randbelow(10**9))
            answer = await client.get(_asking(url, owner.business_api.verify_token, challenge)) if ours else first
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Probe(url=url, level=level, account_id=owner.id, error=f"{type(error).__name__}: {error}".rstrip(": "))
    verified = answer.status_code == 200 and answer.text == challenge
    return Probe(url, level, owner.id, status=answer.status_code, ours=ours, verified=verified)


def app_access(access: Access, app_id: str, secret: str) -> Access:
    """Return the app's own access, which Meta wants for its webhooks."""
    return Access(access.graph_url, access.version, f"{app_id}|{secret}", f"app {app_id}")


def _asking(url: str, verify_token: str, challenge: str) -> str:
    """Return the URL as Meta calls it to verify, what stands in its query kept."""
    query = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": challenge}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _only(found: Sequence[str]) -> str:
    return found[0] if len(found) == 1 else ""


def _refusal(found: object) -> GraphFailure | None:
    """Return Meta's answer when it took neither app id nor secret."""
    return found if isinstance(found, GraphFailure) and found.reached and found.status < 500 else None
