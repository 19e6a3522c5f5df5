"""`account list|businesses|numbers|token`: what Meta knows of the accounts."""

import argparse
import time

from whatshooked.boot import config_path
from whatshooked.cli.graph import chosen, connected, need, refusal, with_graph
from whatshooked.config import load
from whatshooked.errors import CommandRefused
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import Number, Token


def listing(options: argparse.Namespace) -> int:
    """Print the configured accounts, each as Meta sees it; 1 when Meta refuses one."""
    accounts = connected(load(config_path()).config, options.account)

    async def work(graph: Graph) -> list[Number | GraphFailure]:
        return [await setup.number(graph, Access.of(account), api.phone_number_id) for account, api in accounts]

    found = with_graph(work)
    for (account, api), number in zip(accounts, found, strict=True):
        print(f"{account.id:<20} {account.phone_number:<16} {api.phone_number_id:<18} {_state(number)}")
    return int(any(isinstance(number, GraphFailure) for number in found))


def businesses(options: argparse.Namespace) -> int:
    """Print the businesses that the token sees, and their WABAs; raises CommandRefused."""
    account, _ = chosen(options.account)
    access = Access.of(account)

    async def work(graph: Graph) -> list[str]:
        said = []
        seen = await setup.businesses(graph, access)
        if isinstance(seen, GraphFailure) and (seen.code in (3, 10) or 200 <= seen.code <= 299):
            raise CommandRefused("the token lacks the permission business_management: account numbers does without it")
        for business in need(seen):
            said.append(f"{business.id:<18} {business.name}")
            for client, kind in ((False, "own"), (True, "client's")):
                found = await setup.wabas(graph, access, business.id, client=client)
                # A business that shares nothing may refuse the question.
                rows = found if isinstance(found, list) else []
                said += [f"  {one.id:<18} {one.name}  ({kind} WABA)" for one in rows]
        return said

    return _print(with_graph(work), "the token sees no business: it needs the permission business_management")


def numbers(options: argparse.Namespace) -> int:
    """Print the numbers of the account's WABA, or of all that the token is for; raises CommandRefused."""
    account, api = chosen(options.account)
    access = Access.of(account)

    async def work(graph: Graph) -> list[str]:
        given = options.waba or api.business_account_id
        wabas = [given] if given else await targets(graph, access)
        said = []
        for waba_id in wabas:
            found = need(await setup.numbers(graph, access, waba_id))
            said += [f"{one.id:<18} {one.phone:<20} WABA {waba_id}  {_state(one)}" for one in found]
        return said

    nothing = "no number: add one in the WhatsApp manager, or name the WABA with --waba (account businesses lists them)"
    return _print(with_graph(work), nothing)


def token(options: argparse.Namespace) -> int:
    """Print what Meta says of the account's token, never the token; 1 when it is not valid."""
    account, api = chosen(options.account)

    async def work(graph: Graph) -> Token:
        return need(await setup.debug_token(graph, Access.of(account), api.access_token))

    found = with_graph(work)
    end = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.expires_at)) if found.expires_at else "never"
    print(f"valid    {'yes' if found.is_valid else f'no: {found.error}'}")
    print(f"type     {found.type or 'not told'}")
    print(f"app      {found.app_id} {found.application}")
    print(f"expires  {end}")
    for scope in found.scopes:
        print(f"scope    {scope}  for {', '.join(found.targets.get(scope, ('all WABAs',)))}")
    return int(not found.is_valid)


async def targets(graph: Graph, access: Access) -> list[str]:
    """Return the WABAs that a token is made for; raises CommandRefused."""
    found = need(await setup.debug_token(graph, access, access.token))
    return sorted({waba_id for ids in found.targets.values() for waba_id in ids})


def _state(number: Number | GraphFailure) -> str:
    if isinstance(number, GraphFailure):
        return f"refused: {refusal(number)}"
    parts = (number.status or "status not told", number.quality_rating, number.verified_name)
    return "  ".join(part for part in parts if part)


def _print(lines: list[str], nothing: str) -> int:
    print("\n".join(lines) or nothing)
    return int(not lines)
