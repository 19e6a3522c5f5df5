"""Which WABA is meant: learned from the number that it owns, or from what the token was made for."""

from whatshooked.cli.doctor.facts import WHERE
from whatshooked.cli.program import fitting
from whatshooked.errors import CommandRefused
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import MANAGEMENT, MESSAGING, Number, Token

#: WABAs of a token in which a number is looked for at most.
_MOST = 10


def targets(token: Token | GraphFailure) -> list[str]:
    """Return the WABAs that a token was made for; none when it is for all, or when Meta does not describe it."""
    found = token.targets if isinstance(token, Token) else {}
    return sorted({waba_id for scope in (MANAGEMENT, MESSAGING) for waba_id in found.get(scope, ())})


async def seen(graph: Graph, access: Access, token: Token | GraphFailure) -> list[str]:
    """Return the WABAs that a token was made for, else those of its businesses, as far as it may list them."""
    if found := targets(token):
        return found
    businesses = await setup.businesses(graph, access)
    for business in businesses if isinstance(businesses, list) else ():
        for client in (False, True):
            rows = await setup.wabas(graph, access, business.id, client=client)
            found += [one.id for one in rows] if isinstance(rows, list) else []
    return sorted(set(found))


async def owner(
    graph: Graph, access: Access, number_id: str, number: Number | GraphFailure, token: Token | GraphFailure
) -> str:
    """Return the WABA that a number says it belongs to, else the token's that lists it; "" when neither tells."""
    if isinstance(number, Number) and number.owner("WABA"):
        return number.owner("WABA")
    for waba_id in targets(token)[:_MOST]:
        found = await setup.numbers(graph, access, waba_id)
        if isinstance(found, list) and any(one.id == number_id for one in found):
            return waba_id
    return ""


async def refused(graph: Graph, access: Access, number_id: str, waba_id: str, failure: GraphFailure) -> CommandRefused:
    """Return what to say of a WABA that Meta does not show: the right id, when it can be learned."""
    if failure.code != 100 or not number_id:
        return CommandRefused(fitting(f"WABA {waba_id}: {failure.line.rstrip('.')}; {failure.hint}"))
    number = await setup.number(graph, access, number_id, whole=True)
    right = await owner(graph, access, number_id, number, await setup.debug_token(graph, access, access.token))
    if right and right != waba_id:
        text = f'the number belongs to WABA {right}, not to {waba_id}: set business_account_id to "{right}"'
        return CommandRefused(text)
    remedy = f"copy its id again ({WHERE}), or assign it to the token's system user and make a new token"
    return CommandRefused(f"WABA {waba_id}: {failure.line.rstrip('.')}; {remedy}")
