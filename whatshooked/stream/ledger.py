"""Whether every event is accounted for: settled by a hook or an operator, pending (the cache), or not read yet.

The scripts count what they settle in the same step; Redis itself counts what came in. Whatever else happens to an
entry, such as an XACK or XDEL by hand, is missed here.
"""

from whatshooked.keys import GROUP, Keys
from whatshooked.stream.link import Link


async def unaccounted(link: Link, keys: Keys) -> int | None:
    """Return how many events nobody accounts for, 0 being right; None when it cannot be told just now.

    Raises StreamUnavailable.
    """
    found: int | None = await link.run(link.scripts.ledger, [keys.events, keys.ledger], GROUP, 0)
    return found


async def close_books(link: Link, keys: Keys) -> int | None:
    """Return the same, and begin the account anew: what is missing now is not told again; raises StreamUnavailable."""
    found: int | None = await link.run(link.scripts.ledger, [keys.events, keys.ledger], GROUP, 1)
    return found
