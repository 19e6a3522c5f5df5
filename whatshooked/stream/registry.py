"""Which hooks the keys may name: those of a living process's config, and those that were and still have keys."""

import json
from collections.abc import Iterable, Mapping

import msgspec

from whatshooked.errors import StreamUnavailable
from whatshooked.hooks.hook import Switch
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

#: Milliseconds that no living process has shown a hook after which it counts as removed.
REMOVED_AFTER_MS = 60_000


async def known_hooks(link: Link, keys: Keys, configured: Iterable[str]) -> dict[str, bool]:
    """Return every hook whose keys may exist → whether it is in some living process's config or in `configured`.

    Raises StreamUnavailable.
    """
    seconds, _ = await link.call("TIME")
    limit = int(seconds) * 1000 - REMOVED_AFTER_MS
    rows = await link.call("ZRANGE", keys.hooks, 0, -1, "WITHSCORES")
    shown = {rows[i].decode(): float(rows[i + 1]) > limit for i in range(0, len(rows), 2)}
    return shown | dict.fromkeys(configured, True)


async def read_switches(link: Link, keys: Keys) -> dict[str, Switch]:
    """Return the hooks turned on or off at run time; raises StreamUnavailable."""
    rows = await link.call("HGETALL", keys.switches)
    found: dict[str, Switch] = {}
    for i in range(0, len(rows), 2):
        try:
            found[rows[i].decode()] = msgspec.json.decode(rows[i + 1], type=Switch)
        except msgspec.MsgspecError as error:
            raise StreamUnavailable(f"{keys.switches}: {rows[i]!r} holds no switch") from error
    return found


async def drop_lapsed(link: Link, keys: Keys, in_file: Mapping[str, bool], switches: Mapping[str, Switch]) -> None:
    """Forget the switches that a change of the file overruled: they must not come back with the file's next change.

    Raises StreamUnavailable.
    """
    lapsed = [hook for hook, found in switches.items() if in_file.get(hook, found.file) != found.file]
    if lapsed:
        await link.call("HDEL", keys.switches, *lapsed)


async def switch(link: Link, keys: Keys, hook_id: str, active: bool, in_file: bool) -> None:
    """Turn a hook on or off in every process; raises StreamUnavailable."""
    await link.call("HSET", keys.switches, hook_id, json.dumps({"active": active, "file": in_file}))


def hook_keys(keys: Keys, hooks: Iterable[str] | Mapping[str, bool]) -> list[str]:
    """Return due and dead of each hook, as the scripts take them."""
    return [key for hook in hooks for key in (keys.due(hook), keys.dead(hook))]


def entry_keys(keys: Keys, ids: Iterable[str]) -> list[str]:
    """Return open and taken of each entry, as the scripts take them."""
    return [key for event_id in ids for key in (keys.open(event_id), keys.taken(event_id))]
