"""What all processes of an installation have in common beside the stream: hooks, their switches, the key of links.

Hooks that the keys may name are those of a living process's config, and those that were and still have keys.
"""

import secrets
from collections.abc import Iterable, Mapping

import msgspec

from whatshooked.config import Config
from whatshooked.errors import StreamUnavailable
from whatshooked.events import received_ms
from whatshooked.hooks.hook import Hooks, Switch, turned
from whatshooked.keys import GROUP, Keys
from whatshooked.stream.activity import NOBODY, Activity, Note
from whatshooked.stream.follow import reached_by
from whatshooked.stream.link import Link, named

#: Milliseconds that no living process has shown a hook after which it counts as removed.
REMOVED_AFTER_MS = 60_000


async def known_hooks(link: Link, keys: Keys, configured: Iterable[str]) -> dict[str, bool]:
    """Return every hook whose keys may exist → whether it is in some living process's config or in `configured`.

    Raises StreamUnavailable.
    """
    limit = await link.now() - REMOVED_AFTER_MS
    rows = await link.call("ZRANGE", keys.hooks, 0, -1, "WITHSCORES")
    shown = {rows[i].decode(): float(rows[i + 1]) > limit for i in range(0, len(rows), 2)}
    return shown | dict.fromkeys(configured, True)


async def known_accounts(link: Link, keys: Keys) -> list[str]:
    """Return every account that ever had messages to send; raises StreamUnavailable."""
    return [name.decode() for name in await link.call("SMEMBERS", keys.accounts)]


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


async def hooks_now(link: Link, keys: Keys, config: Config) -> Hooks:
    """Return the hooks of this moment: the config's, with the run-time switches; raises StreamUnavailable."""
    return Hooks(config.hooks, await read_switches(link, keys))


async def drop_lapsed(link: Link, keys: Keys, in_file: Mapping[str, bool], switches: Mapping[str, Switch]) -> None:
    """Forget the switches that a change of the file overruled: they must not come back with the file's next change.

    Raises StreamUnavailable.
    """
    lapsed = [hook for hook, found in switches.items() if in_file.get(hook, found.file) != found.file]
    if lapsed:
        await link.call("HDEL", keys.switches, *lapsed)


async def switch(
    link: Link, keys: Keys, hook_id: str, active: bool, in_file: bool, activity: Activity = NOBODY, actor: str = ""
) -> None:
    """Turn a hook on or off in every process, as `actor` says; raises StreamUnavailable."""
    before = (await read_switches(link, keys)).get(hook_id)
    told = turned(before, active, in_file, await _from(link, keys, active))
    command = ("HSET", keys.switches, hook_id, msgspec.json.encode(told))
    state = "on" if active else "off"
    await activity.tell(link, keys, Note("config.hook_switched", hook_id=hook_id, state=state, actor=actor), command)


async def _from(link: Link, keys: Keys, active: bool) -> int:
    """Return from when on (unix ms) a switch holds for events: an off for what is not read yet, an on for all to come.

    Also after Redis' clock was set back, when new events go on from the last one's time.
    """
    groups, stream = await link.batch([("XINFO", "GROUPS", keys.events), ("XINFO", "STREAM", keys.events)])
    now = await link.now()
    if not active:
        return min(now, received_ms(reached_by(groups, GROUP)))
    last = 0 if isinstance(stream, Exception) else received_ms(named(stream, b"last-generated-id").decode())
    return max(now, last)


async def link_key(link: Link, keys: Keys) -> bytes:
    """Return the 32 bytes that sign links to files, made by whoever asks first; raises StreamUnavailable."""
    found: bytes | None = await link.call("GET", keys.link_key)
    if found is None:  # only then written: a full Redis can still be asked
        await link.call("SET", keys.link_key, secrets.token_bytes(32), "NX")
        found = await link.call("GET", keys.link_key)
    if not found:
        raise StreamUnavailable(f"{keys.link_key} is gone again")
    return found
