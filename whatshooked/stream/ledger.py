"""Whether every event is accounted for: settled by a hook or an operator, pending (the cache), or not read yet.

The scripts count what they settle in the same step; Redis itself counts what came in. Whatever else happens to an
entry, such as an XACK or XDEL by hand, is missed here.
"""

from typing import NamedTuple

from whatshooked.keys import GROUP, Keys
from whatshooked.stream.link import Link


class Balance(NamedTuple):
    """Events that nobody accounts for, and that no worker has read; None when it cannot be told just now.

    `missing` is 0 when all is right; below it only on a Redis 7.0 that was started anew, until its backlog is read.
    """

    missing: int | None
    unread: int | None


async def balance(link: Link, keys: Keys, *, close: bool = False) -> Balance:
    """Hold what came in against what became of it; raises StreamUnavailable.

    With `close` the account begins anew: what is missing now is not told again.
    """
    return Balance(*await link.run(link.scripts.ledger, [keys.events, keys.ledger], GROUP, int(close)))
