"""`account subscribe|unsubscribe|webhook`: whether Meta sends webhooks, where to, and which fields."""

import argparse
from urllib.parse import urlsplit

from whatshooked.boot import config_path
from whatshooked.cli.account import wabas
from whatshooked.cli.doctor.facts import WEBHOOK_PATH, WHERE, callback_of, owner_of
from whatshooked.cli.doctor.gather import app_access
from whatshooked.cli.doctor.webhook import USEFUL_FIELDS
from whatshooked.cli.graph import chosen, connected, need, with_graph
from whatshooked.cli.program import program
from whatshooked.config import Account, BusinessApi, load
from whatshooked.errors import CommandRefused
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph
from whatshooked.meta.objects import Subscription

_FIELDS = ("messages", *USEFUL_FIELDS)
_DASHBOARD = "app dashboard > WhatsApp > Configuration"


def subscribe(options: argparse.Namespace) -> int:
    """Subscribe the app to the account's WABA, and say which fields it gets; raises CommandRefused."""
    account, api = chosen(options.account)

    async def work(graph: Graph) -> list[str]:
        waba_id = await _waba_id(graph, account, api)
        failure = await setup.subscribe(graph, Access.of(account), waba_id)
        if failure is not None:
            raise await wabas.refused(graph, Access.of(account), api.phone_number_id, waba_id, failure)
        said = [f"the app is subscribed to WABA {waba_id}"]
        if not api.app_secret:
            fields = ", ".join(_FIELDS)
            return [*said, f"subscribe the fields {fields} too ({_DASHBOARD}), or set app_secret"]
        return said + _of_fields((await _as_app(graph, account, api))[2], account)

    print("\n".join(with_graph(work)))
    return 0


def unsubscribe(options: argparse.Namespace) -> int:
    """Take the app off the account's WABA; raises CommandRefused."""
    account, api = chosen(options.account)

    async def work(graph: Graph) -> str:
        waba_id = await _waba_id(graph, account, api)
        need(await setup.unsubscribe(graph, Access.of(account), waba_id))
        return waba_id

    print(f"the app gets no webhooks of WABA {with_graph(work)} any more")
    return 0


def webhook(options: argparse.Namespace) -> int:
    """Show the callback URLs and fields, or set them; raises CommandRefused."""
    account, api = chosen(options.account)
    if options.level != "app" and (options.url or options.remove):
        return _override(options, account, api)
    if options.remove:
        raise CommandRefused("an app's callback URL can only be replaced: give --url, or remove an override by --level")
    if options.url or options.fields:
        return _set(options, account, api)
    return _show(account, api)


def callback_url(given: str, account_id: str) -> str:
    """Return the account's callback URL under a base URL; one that is whole already is left as it is."""
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandRefused(f"--url: expected a URL such as https://your-domain.example, got {given!r}")
    ending = WEBHOOK_PATH + account_id
    return given if parts.path.rstrip("/").endswith(ending) else given.rstrip("/") + ending


def _show(account: Account, api: BusinessApi) -> int:
    async def work(graph: Graph) -> list[str]:
        number = need(await setup.number(graph, Access.of(account), api.phone_number_id, whole=True))
        found = (await _as_app(graph, account, api))[2] if api.app_secret else None
        level, url = callback_of(number, found)
        said = [f"{name.replace('_', ' '):<26} {where}" for name, where in number.webhooks.items()]
        said.append(f"{'messages go to':<26} {url or 'nowhere: there is no callback URL'}  ({level or 'none'})")
        if found is None:
            return [*said, "the fields are shown when app_secret is configured"]
        return said + _of_fields(found, account)

    print("\n".join(with_graph(work)))
    return 0


def _set(options: argparse.Namespace, account: Account, api: BusinessApi) -> int:
    accounts = [one for one, _ in connected(load(config_path()).config)]

    async def work(graph: Graph) -> list[str]:
        app, app_id, present = await _as_app(graph, account, api)
        before = present[0] if present else Subscription("", "", active=False, fields={})
        url = callback_url(options.url, account.id) if options.url else before.callback_url
        if not url:
            raise CommandRefused("the app has no callback URL yet: give --url https://your-domain.example")
        owner = owner_of(url, account, accounts) or account
        verify_token = (owner.business_api or api).verify_token
        wanted = _wanted(options.fields, before)
        need(await setup.set_subscription(graph, app, app_id, url, verify_token, wanted))
        return [f"Meta verified {url} and sends there: {', '.join(wanted)}"]

    print("\n".join(with_graph(work)))
    return 0


def _wanted(given: str, before: Subscription) -> list[str]:
    """Return the fields to subscribe: those that are, those that are named, and always messages."""
    named = [name.strip() for name in given.split(",") if name.strip()]
    return list(dict.fromkeys([*before.fields, *(named or (() if before.fields else _FIELDS)), "messages"]))


def _override(options: argparse.Namespace, account: Account, api: BusinessApi) -> int:
    url = "" if options.remove else callback_url(options.url, account.id)

    async def work(graph: Graph) -> None:
        access, verify_token = Access.of(account), api.verify_token
        if options.level == "number":
            need(await setup.set_number_webhook(graph, access, api.phone_number_id, url, verify_token))
            return
        waba_id = await _waba_id(graph, account, api)
        need(await setup.subscribe(graph, access, waba_id, override=url, verify_token=verify_token))

    with_graph(work)
    whose = "the number" if options.level == "number" else "the WABA"
    print(f"Meta verified {url} for {whose}" if url else f"{whose} has no callback URL of its own any more")
    return 0


async def _as_app(graph: Graph, account: Account, api: BusinessApi) -> tuple[Access, str, list[Subscription]]:
    """Return the app's own access, its id and its webhooks, by the first secret that Meta takes.

    Raises CommandRefused.
    """
    if not api.app_secret:
        raise CommandRefused(
            "set business_api.app_secret, and best app_id: Meta shows an app's webhook to the app alone"
        )
    access = Access.of(account)
    app_id = api.app_id or need(await setup.debug_token(graph, access, api.access_token)).app_id
    for secret in api.app_secret:
        app = app_access(access, app_id, secret)
        found = await setup.subscriptions(graph, app, app_id)
        if isinstance(found, list):
            break
    return app, app_id, need(found)


async def _waba_id(graph: Graph, account: Account, api: BusinessApi) -> str:
    """Return the account's WABA: as configured, as the number names it, or the token's only one."""
    if api.business_account_id:
        return api.business_account_id
    access = Access.of(account)
    token = await setup.debug_token(graph, access, access.token)
    number = await setup.number(graph, access, api.phone_number_id, whole=True)
    owner, known = await wabas.owner(graph, access, api.phone_number_id, number, token), wabas.targets(token)
    if not owner and len(known) != 1:
        raise CommandRefused(f"set business_api.business_account_id: which WABA it is cannot be told ({WHERE})")
    return owner or known[0]


def _of_fields(found: list[Subscription], account: Account) -> list[str]:
    """Return what to say of the fields that are subscribed."""
    names = list(found[0].fields) if found else []
    lacking = [name for name in _FIELDS if name not in names]
    said = [f"fields subscribed: {', '.join(names) or 'none'}"]
    if lacking:
        fix = f"{program()} account webhook --account {account.id} --fields {','.join(lacking)}"
        said.append(f"not subscribed: {', '.join(lacking)} -> {fix}")
    return said
