"""Whether the keys agree: pending list, open, due, dead, unmatched, poison and taken held against each other.

Each entry is looked at, and mended, in one atomic step: what running workers are in the middle of is never a
disagreement.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import msgspec

from whatshooked.errors import StreamUnavailable
from whatshooked.keys import GROUP, PARKED, Keys
from whatshooked.stream.cache import Cache
from whatshooked.stream.ledger import balance
from whatshooked.stream.link import Link
from whatshooked.stream.registry import known_hooks

#: What each disagreement means and how it is mended.
MEANINGS = {
    "pending_without_entry": "acknowledged: its entry was deleted from the stream",
    "open_without_entry": "its open hooks are dropped: its entry was deleted from the stream",
    "taken_without_entry": "its record of who took it is deleted with it",
    "media_without_entry": "its record of the file is deleted with it",
    "open_not_pending": "put back among the parked: a hook still owes an answer",
    "open_not_due": "made due now: its hook would never have been tried again",
    "dead_not_listed": "listed as dead: no limit and no clear would have found it",
    "due_not_open": "taken off the hook's due list: nothing is owed",
    "listed_not_dead": "taken off the hook's dead list",
    "unmatched_yet_open": "taken off the unmatched: hooks do owe an answer",
    "unmatched_not_pending": "taken off the unmatched: it is finished",
    "poison_not_pending": "taken off the poison: it is finished",
    "poison_yet_open": "taken off the poison: its hooks are tried",
    "poison_not_listed": "listed as poison",
    "parked_without_reason": "routed anew: no hook, no list knew of it",
    "unaccounted": "cannot be mended, only noted: the account begins anew",
}

#: A consumer that never lives: what it is given, RECOVER takes over.
_LOST = "_lost"
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What is wrong with one entry, at which hook (or ""); of `unaccounted` nobody knows which, `id` says how many."""

    id: str
    what: str
    hook: str


async def examine(link: Link, keys: Keys, configured: Iterable[str], *, repair: bool) -> list[Disagreement]:
    """Return every disagreement, mended when `repair`; raises StreamUnavailable."""
    hooks = list(dict.fromkeys([*await known_hooks(link, keys, configured), *await _named_hooks(link, keys)]))
    ids = await _candidates(link, keys, hooks)
    found: list[Disagreement] = []
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        names = [keys.events, keys.unmatched, keys.poison, *keys.of_hooks(hooks), *keys.of_whole_entries(batch)]
        rows = await link.run(
            link.scripts.fsck,
            names,
            *(GROUP, PARKED, msgspec.msgpack.encode(hooks), msgspec.msgpack.encode(batch), int(repair), _LOST),
        )
        found += [Disagreement(row[0].decode(), row[1].decode(), row[2].decode()) for row in rows]
    # Last: what was mended above counts again.
    missing = (await balance(link, keys, close=repair)).missing or 0
    return [*found, Disagreement(f"{missing} event(s)", "unaccounted", "")] if missing > 0 else found


async def _candidates(link: Link, keys: Keys, hooks: list[str]) -> list[str]:
    """Every id that any key names."""
    ids: dict[str, None] = {}
    cache, after = Cache(link, keys), ""
    while page := await cache.ids(after):
        after = page[-1]
        ids |= dict.fromkeys(page)
    for name in (keys.unmatched, keys.poison, *keys.of_hooks(hooks)):
        ids |= dict.fromkeys(row.decode() for row in await link.call("ZRANGE", name, 0, -1))
    for pattern in (keys.open, keys.taken, keys.media):
        async for name in scan(link, pattern("*")):
            ids[name.rpartition(":")[2]] = None
    return list(ids)


async def _named_hooks(link: Link, keys: Keys) -> list[str]:
    """Every hook that any key names, though no config may know it any more."""
    hooks: dict[str, None] = {}
    async for name in scan(link, keys.open("*")):
        hooks |= dict.fromkeys(field.decode() for field in await link.call("HKEYS", name))
    for kind in (keys.due, keys.dead):
        async for name in scan(link, kind("*")):
            hooks[name.removeprefix(kind(""))] = None
    return list(hooks)


async def scan(link: Link, pattern: str) -> AsyncIterator[str]:
    """Return the keys of a pattern that ends with `*`; raises StreamUnavailable."""
    cursor = b"0"
    while True:
        cursor, names = await link.call("SCAN", cursor, "MATCH", _literal(pattern), "COUNT", 1000)
        for name in names:
            yield name.decode()
        if cursor == b"0":
            return


def _literal(pattern: str) -> str:
    """Escape what a prefix may hold of SCAN's signs; the last `*` is meant."""
    head = pattern[:-1]
    if not pattern.endswith("*"):
        raise StreamUnavailable(f"{pattern}: not a pattern")
    return "".join(f"\\{c}" if c in r"[]*?\^" else c for c in head) + "*"
