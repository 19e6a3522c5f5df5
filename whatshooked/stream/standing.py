"""How things stand: what Redis knows of all of us, looked at in a few round trips whatever the number of hooks."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from whatshooked import events
from whatshooked.config import Account, Config
from whatshooked.errors import StreamUnavailable
from whatshooked.hooks.hook import Switch, is_active
from whatshooked.keys import GROUP, MEDIA_HOOK, Keys
from whatshooked.metrics import facts
from whatshooked.metrics.facts import Known
from whatshooked.stream.cache import Cache
from whatshooked.stream.consume import ALIVE_SECONDS
from whatshooked.stream.durability import info_lines
from whatshooked.stream.follow import lags, shards
from whatshooked.stream.ledger import balance
from whatshooked.stream.link import Command, Link, Reply, checked
from whatshooked.stream.message import STATES

_DAY = 86_400
#: Seconds that one look goes through the cache for the oldest event that a hook wanted.
_SEARCH = 0.3
#: What is known of an account, in its hash.
_OF_ACCOUNT = ("state", "token_expires", "silent_hours")


class _Seen(NamedTuple):
    """The first look's answers, of the installation and of each account."""

    seconds: int
    info: Mapping[str, str]
    fsync: str
    hooks: list[str]
    switches: Mapping[str, Switch]
    unmatched: int
    poison: int
    pending: list[Reply]
    media: Mapping[bytes, bytes]
    accounts: list[Reply]


class Standing:
    """Looks for one process, by its config of the moment."""

    def __init__(self, link: Link, keys: Keys, config: Callable[[], Config]) -> None:
        self._link = link
        self._keys = keys
        self._config = config
        self._cache = Cache(link, keys)

    async def look(self) -> list[Known]:
        """Return what Redis knows; raises StreamUnavailable."""
        config = self._config()
        accounts = [account for account in config.whatsapp if account.business_api is not None]
        seen = _seen(await self._link.batch(self._first(accounts)))
        hooks = list(dict.fromkeys([*(hook.id for hook in config.hooks), *seen.hooks, MEDIA_HOOK]))
        due, dead, workers = await self._second(hooks, seen.seconds)
        return [
            *_redis(seen),
            *_cache(seen, sum(dead)),
            *await self._account(),
            *await self._age(seen),
            *(Known(facts.HOOK_DUE, (hook,), count) for hook, count in zip(hooks, due, strict=True)),
            *_active(config, seen.switches),
            Known(facts.WORKERS, (), workers),
            *_accounts(accounts, seen),
            *await self._log(config, accounts),
        ]

    def _first(self, accounts: Sequence[Account]) -> list[Command]:
        keys = self._keys
        commands: list[Command] = [
            ("TIME",),
            ("INFO", "memory", "persistence"),
            ("CONFIG", "GET", "appendfsync"),
            ("ZRANGE", keys.hooks, 0, -1),
            ("HGETALL", keys.switches),
            ("ZCARD", keys.unmatched),
            ("ZCARD", keys.poison),
            ("XPENDING", keys.events, GROUP),
            ("HGETALL", keys.media_totals),
        ]
        for account in accounts:
            box = keys.outbox(account.id)
            commands.append(("HMGET", keys.account(account.id), *_OF_ACCOUNT))
            commands += [("ZCARD", box.of_state(state)) for state in STATES]
            commands.append(("GET", box.hold))
        return commands

    async def _second(self, hooks: Sequence[str], seconds: int) -> tuple[list[int], list[int], int]:
        keys = self._keys
        since = (seconds - ALIVE_SECONDS) * 1000
        commands: list[Command] = [("ZCARD", keys.due(hook)) for hook in hooks]
        commands += [("ZCARD", keys.dead(hook)) for hook in hooks]
        counts = checked(await self._link.batch([*commands, ("ZCOUNT", keys.workers, since, "+inf")]))
        return counts[: len(hooks)], counts[len(hooks) : -1], counts[-1]

    async def _account(self) -> list[Known]:
        missing, unread = await balance(self._link, self._keys)
        told = ((facts.UNACCOUNTED, missing), (facts.STREAM_LAG, unread))
        return [Known(fact, (), count) for fact, count in told if count is not None]

    async def _age(self, seen: _Seen) -> list[Known]:
        oldest = await self._oldest(seen)
        if oldest is None:
            return []
        age = seen.seconds - events.received_ms(oldest) / 1000 if oldest else 0.0
        return [Known(facts.CACHE_OLDEST, (), max(age, 0.0))]

    async def _oldest(self, seen: _Seen) -> str | None:
        """Return the oldest cached id that some hook wanted, "" when there is none, None when it takes too long."""
        count, first = seen.pending[:2]
        if not seen.unmatched or count <= seen.unmatched:
            return first.decode() if first and not seen.unmatched else ""
        after, until = "", time.monotonic() + _SEARCH
        while time.monotonic() < until:
            ids = await self._cache.ids(after)
            scores = await self._link.call("ZMSCORE", self._keys.unmatched, *ids) if ids else []
            if wanted := [i for i, score in zip(ids, scores, strict=True) if score is None]:
                return wanted[0]
            if not ids:
                return ""
            after = ids[-1]
        return None

    async def _log(self, config: Config, accounts: Sequence[Account]) -> list[Known]:
        logger = config.event_logger
        if not logger.enabled:
            return []
        found = await lags(self._link, shards(self._keys, (account.id for account in accounts)), logger.targets)
        rows = ((target, lag.seconds, lag.dropped) for target, lag in found.items())
        return [
            known
            for target, seconds, dropped in rows
            for known in (Known(facts.LOG_LAG, (target,), seconds), Known(facts.LOG_DROPPED, (target,), dropped))
        ]


def _seen(replies: list[Reply]) -> _Seen:
    # A server of somebody else's may keep its settings to itself; before the first event there is no group.
    clock, info, fsync, hooks, switches, unmatched, poison, pending, media, *accounts = replies
    checked([clock, hooks, switches, unmatched, poison, media, *accounts])
    if isinstance(pending, Exception) and "NOGROUP" not in str(pending):
        raise StreamUnavailable(str(pending)) from pending
    return _Seen(
        int(clock[0]),
        {} if isinstance(info, Exception) else info_lines(info.decode(errors="replace")),
        "" if isinstance(fsync, Exception) or len(fsync) < 2 else fsync[1].decode(),
        [name.decode() for name in hooks],
        dict(_switches(switches)),
        unmatched,
        poison,
        [0, None] if isinstance(pending, Exception) else pending,
        dict(zip(media[::2], media[1::2], strict=True)),
        accounts,
    )


def _switches(rows: list[bytes]) -> Iterator[tuple[str, Switch]]:
    for name, packed in zip(rows[::2], rows[1::2], strict=True):
        try:
            yield name.decode(), msgspec.json.decode(packed, type=Switch)
        except msgspec.MsgspecError:  # the workers say what is wrong with it
            continue


def _redis(seen: _Seen) -> Iterator[Known]:
    info = seen.info
    if "used_memory" in info:
        yield Known(facts.REDIS_MEMORY, (), int(info["used_memory"]))
        yield Known(facts.REDIS_MEMORY_LIMIT, (), int(info.get("maxmemory", 0)))
    enabled = info.get("aof_enabled")
    if enabled is None:
        return
    written, rewritten = (info.get(f"aof_last_{what}_status", "ok") == "ok" for what in ("write", "bgrewrite"))
    keeps = info.get("maxmemory_policy", "noeviction") == "noeviction"
    yield Known(facts.REDIS_AOF, ("enabled",), enabled == "1")
    yield Known(facts.REDIS_AOF, ("write_ok",), written)
    yield Known(facts.REDIS_AOF, ("rewrite_ok",), rewritten)
    if seen.fsync:
        yield Known(facts.REDIS_AOF, ("fsync_always",), seen.fsync == "always")
    yield Known(facts.REDIS_DURABLE, (), enabled == "1" and written and keeps)


def _cache(seen: _Seen, dead: int) -> Iterator[Known]:
    count = seen.pending[0]
    # An event given up at several hooks stands in `dead` once for each.
    waiting = max(count - dead - seen.unmatched - seen.poison, 0)
    states = {"all": count, "waiting": waiting, "dead": dead, "unmatched": seen.unmatched, "poison": seen.poison}
    yield from (Known(facts.CACHE_EVENTS, (state,), size) for state, size in states.items())
    for name, fact in ((b"files", facts.MEDIA_FILES), (b"bytes", facts.MEDIA_BYTES)):
        if name in seen.media:
            yield Known(fact, (), int(seen.media[name]))


def _active(config: Config, switches: Mapping[str, Switch]) -> Iterator[Known]:
    for hook in config.hooks:
        active = is_active(hook, switches.get(hook.id))
        yield Known(facts.HOOK_ACTIVE, (hook.id, "file" if active == hook.active else "switch"), active)


def _accounts(accounts: Sequence[Account], seen: _Seen) -> Iterator[Known]:
    replies = iter(seen.accounts)
    for account in accounts:
        name = (account.id,)
        state, expires, silent = next(replies)
        if state:
            yield Known(facts.CONNECTED, name, state == b"connected")
        if expires:
            ends = int(expires)
            yield Known(facts.TOKEN_DAYS, name, (ends - time.time()) / _DAY if ends else float("inf"))
        if silent:
            yield Known(facts.SILENT_HOURS, name, int(silent))
        for one in STATES:
            yield Known(facts.OUTBOX_MESSAGES, (account.id, one), next(replies))
        yield Known(facts.PAUSED, name, bool(next(replies)))
