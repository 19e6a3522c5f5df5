"""Which of several processes does what one of them must do: it takes the turn, for some seconds or until it dies."""

from typing import Literal

import msgspec

from whatshooked.keys import Keys
from whatshooked.stream.link import Link

Turn = Literal["taken", "held", "other"]


async def take(link: Link, keys: Keys, turn: str, name: str, seconds: int) -> Turn:
    """Take the turn at the key `turn` for the worker `name` when nobody has it, or one that is gone.

    Returns whether it was taken by this call, was held by this worker already (it is not prolonged), or is another's.
    Of several that ask at the same moment one takes it. Raises StreamUnavailable.
    """
    holder = (await link.call("GET", turn) or b"").decode()
    # Its sign of life lies in another slot than the turn: the script looks whether the holder is still that one.
    gone = holder if holder and not await link.call("EXISTS", keys.alive(holder)) else ""
    found: bytes = await link.run(link.scripts.turn, [turn], name, seconds, gone)
    taken: Turn = msgspec.convert(found.decode(), Turn)
    return taken
