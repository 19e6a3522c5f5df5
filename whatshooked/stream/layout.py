"""Which layout the keys have: a process that knows another one touches none of them.

The layout is what `keys.py` and the scripts say together: a key's name, type and packed fields, the identity by which
ADD knows an event again. What is new and not missed by older code, a key or a field, leaves it as it is. What older
code would misread, or newer code would not find, raises it, and `whatshooked migrate` comes with it: a command that
takes the keys to the next layout while nothing runs, can be killed and called again, and notes the new one last.
"""

import asyncio

from whatshooked.errors import StartError, StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

#: The layout that this code knows.
LAYOUT = 1
#: The layout of a Redis that has events and no note of it.
_FIRST = 1


async def hold(link: Link, keys: Keys) -> None:
    """Hold this code against the keys, and note the layout where nobody has; raises StartError, StreamUnavailable."""
    is_used = await link.call("EXISTS", keys.events)
    found = (await link.run(link.scripts.layout, [keys.layout], _FIRST if is_used else LAYOUT)).decode()
    if found != str(LAYOUT):
        raise StartError(_refusal(keys, found))


def check(url: str, keys: Keys) -> None:
    """Do the same before a process starts; one that does not reach Redis looks when it does. Raises StartError."""

    async def look() -> None:
        async with Link(url) as link:
            await hold(link, keys)

    try:
        asyncio.run(look())
    except StreamUnavailable:
        return


def _refusal(keys: Keys, found: str) -> str:
    if not found.isdecimal():
        return f"Redis: {keys.layout} is {found!r}, which is no layout: set redis.prefix to one that nobody else uses"
    if int(found) > LAYOUT:
        return (
            f"Redis: its keys have layout {found}, this version knows {LAYOUT}: run the newer version that wrote them, "
            "or restore the backup from before the upgrade"
        )
    return f"Redis: its keys have layout {found}, this version needs {LAYOUT}: stop all, run `whatshooked migrate`"
