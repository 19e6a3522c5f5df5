"""What commands that call Meta share: which account, one client, and what is said when Meta refuses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from whatshooked.boot import config_path
from whatshooked.cli.program import fitting
from whatshooked.config import Account, BusinessApi, Config, load
from whatshooked.errors import CommandRefused
from whatshooked.meta.codes import Retry
from whatshooked.meta.graph import Graph, GraphFailure

#: Meta's own Graph API.
GRAPH_URL = "https://graph.facebook.com"

Result = TypeVar("Result")


def connected(config: Config, account_id: str = "") -> list[tuple[Account, BusinessApi]]:
    """Return the accounts of the Cloud API, or the one that is named; raises CommandRefused."""
    found = [(one, one.business_api) for one in config.whatsapp if one.business_api is not None]
    if not account_id:
        return found
    named = [pair for pair in found if pair[0].id == account_id]
    if not named:
        ids = ", ".join(account.id for account, _ in found) or "none"
        raise CommandRefused(f"no business-api account {account_id} in the config; there is: {ids}")
    return named


def chosen(account_id: str) -> tuple[Account, BusinessApi]:
    """Return the account that is named, or the only one there is; raises ConfigError and CommandRefused."""
    found = connected(load(config_path()).config, account_id)
    if len(found) != 1:
        ids = ", ".join(account.id for account, _ in found) or "none"
        raise CommandRefused(f"say which account with --account ID; there is: {ids}")
    return found[0]


def with_graph(work: Callable[[Graph], Awaitable[Result]]) -> Result:
    """Return what `work` returns."""

    async def main() -> Result:
        graph = Graph(timeout=30.0)
        try:
            return await work(graph)
        finally:
            await graph.close()

    return asyncio.run(main())


def need(found: Result | GraphFailure) -> Result:
    """Return what Meta answered; raises CommandRefused with its reason and the remedy."""
    if isinstance(found, GraphFailure):
        raise CommandRefused(refusal(found))
    return found


def refusal(failure: GraphFailure) -> str:
    """Return one line on why Meta did not do it, and what to do."""
    said = f"{failure.line.rstrip('.')}; {fitting(failure.hint)}" if failure.hint else failure.line
    if failure.uncertain:
        return f"{said}; Meta may have done it all the same: look before you try again"
    if failure.wait >= 1:
        return f"{said}; try again in {failure.wait:.0f} s at the earliest"
    return f"{said}; try again later" if failure.retry in (Retry.LATER, Retry.FEW) else said
