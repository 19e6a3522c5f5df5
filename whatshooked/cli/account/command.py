"""`account list|businesses|numbers|token`: what Meta knows of the accounts."""

import argparse
import time

from whatshooked.boot import config_path
from whatshooked.cli.account import wabas
from whatshooked.cli.ask import resolved
from whatshooked.cli.doctor.facts import WHERE
from whatshooked.cli.graph import GRAPH_URL, chosen, connected, need, refusal, with_graph
from whatshooked.cli.program import program
from whatshooked.config import load
from whatshooked.config.model import DEFAULT_VERSION
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
    access, _, _ = _asked(options)

    async def work(graph: Graph) -> list[str]:
        said = []
        seen = await setup.businesses(graph, access)
        if isinstance(seen, GraphFailure) and (seen.code in (3, 10) or 200 <= seen.code <= 299):
            other = f"{program()} account numbers"
            raise CommandRefused(f"the token lacks the permission business_management; {other} does without it")
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
    access, number_id, configured = _asked(options)
    given = options.waba or configured

    async def work(graph: Graph) -> list[str]:
        described = None if given else need(await setup.debug_token(graph, access, access.token))
        there = [given] if described is None else await wabas.seen(graph, access, described)
        if not there:
            raise CommandRefused(f"the token is for all WABAs and names none: give one with --waba ({WHERE})")
        said = []
        for waba_id in there:
            found = await setup.numbers(graph, access, waba_id)
            if isinstance(found, GraphFailure):
                raise await wabas.refused(graph, access, "" if options.waba else number_id, waba_id, found)
            said += [f"{one.id:<18} {one.phone:<20} WABA {waba_id}  {_state(one)}" for one in found]
        return said

    nothing = "no number: add one in the WhatsApp manager, or name another WABA with --waba"
    return _print(with_graph(work), nothing)


def token(options: argparse.Namespace) -> int:
    """Print what Meta says of the account's token, never the token; 1 when it is not valid."""
    access, _, _ = _asked(options)

    async def work(graph: Graph) -> Token:
        return need(await setup.debug_token(graph, access, access.token))

    found = with_graph(work)
    end = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.expires_at)) if found.expires_at else "never"
    print(f"valid    {'yes' if found.is_valid else f'no: {found.error}'}")
    print(f"type     {found.type or 'not told'}")
    print(f"app      {found.app_id} {found.application}")
    print(f"expires  {end}")
    for scope in found.scopes:
        print(f"scope    {scope}  for {', '.join(found.targets.get(scope, ('all WABAs',)))}")
    return int(not found.is_valid)


def _asked(options: argparse.Namespace) -> tuple[Access, str, str]:
    """Return as whom Meta is asked, with the ids of number and WABA: an account, or before a config `--token` alone.

    Raises ConfigError and CommandRefused.
    """
    if options.token:
        return Access(options.graph_url or GRAPH_URL, DEFAULT_VERSION, resolved(options.token)), "", ""
    if options.graph_url:
        raise CommandRefused("--graph-url goes with --token: an account has both in the config")
    account, api = chosen(options.account)
    return Access.of(account), api.phone_number_id, api.business_account_id or ""


def _state(number: Number | GraphFailure) -> str:
    if isinstance(number, GraphFailure):
        return f"refused: {refusal(number)}"
    status = "not registered" if number.platform_type == "NOT_APPLICABLE" else number.status or "status not told"
    parts = (status, number.quality_rating, number.verified_name)
    return "  ".join(part for part in parts if part)


def _print(lines: list[str], nothing: str) -> int:
    print("\n".join(lines) or nothing)
    return int(not lines)
