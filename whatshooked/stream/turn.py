"""Which of several processes does what one of them must do: it takes the turn, for some seconds or until it dies."""

from typing import Literal

from whatshooked.keys import Keys
from whatshooked.stream.link import Link


async def take(link: Link, keys: Keys, turn: str, name: str, seconds: int) -> Literal["taken", "held", "other"]:
    """Take the turn at the key `turn` for the worker `name` when nobody has it, or one that is gone.

    Returns whether it was taken by this call, was held by this worker already (it is not prolonged), or is another's.
    Raises StreamUnavailable.
    """
    if await link.call("SET", turn, name, "NX", "EX", seconds):
        return "taken"
    holder = (await link.call("GET", turn) or b"").decode()
    if holder == name:
        return "held"
    if await link.call("EXISTS", keys.alive(holder)):
        return "other"
    await link.call("SET", turn, name, "EX", seconds)
    return "taken"
