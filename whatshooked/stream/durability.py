"""Whether a configured Redis can keep what we promise: looked at when a process starts, and hourly by a worker.

What INFO says is enough, so that servers which forbid CONFIG (most hosted ones) can be judged as well.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from whatshooked.errors import StartError, StreamUnavailable
from whatshooked.stream.link import Link

#: The oldest releases that run our scripts (`#!lua flags=` came with Redis 7.0).
OLDEST = {"valkey": (7, 2), "redis": (7, 0)}


@dataclass(frozen=True)
class Findings:
    """What keeps the server from being used, and what its operator should know; a line each."""

    refusals: tuple[str, ...]
    cautions: tuple[str, ...]


async def examine(link: Link) -> Findings:
    """Return what the server's own INFO says against it; raises StreamUnavailable."""
    return judge(info_lines((await link.call("INFO", "everything")).decode(errors="replace")))


def check(url: str) -> tuple[str, ...]:
    """Return what to warn of at start; raises StartError when the server cannot keep our promises.

    A server that is away is no reason to stay away: intake answers 503 meanwhile, and workers wait.
    """

    async def look() -> Findings:
        async with Link(url) as link:
            return await examine(link)

    try:
        found = asyncio.run(look())
    except StreamUnavailable as error:
        return (f"redis.url: not reached, waiting for it ({error})",)
    if found.refusals:
        raise StartError("\n".join(found.refusals))
    return found.cautions


def info_lines(info: str) -> dict[str, str]:
    """Return INFO's `name:value` lines."""
    rows = (line.split(":", 1) for line in info.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value.strip() for name, value in rows}


def judge(info: Mapping[str, str]) -> Findings:
    """Return what INFO's facts mean for us."""
    refusals, cautions = [], []
    if too_old := _too_old(info):
        refusals.append(f"redis.url: {too_old}; Redis 7.0 or Valkey 7.2 or newer is needed")
    policy = info.get("maxmemory_policy")
    if policy is None:
        cautions.append("redis.url: the server does not tell its maxmemory-policy; make sure that it is noeviction")
    elif policy != "noeviction":
        refusals.append(
            f"redis.url: maxmemory-policy is {policy}, so a full server would throw events away; set it to noeviction"
        )
    if info.get("aof_enabled") == "0":
        cautions.append(
            "redis.url: appendonly is off, so events since the last snapshot are lost when the server dies; "
            "set appendonly yes (and appendfsync always against power cuts)"
        )
    return Findings(tuple(refusals), tuple(cautions))


def _too_old(info: Mapping[str, str]) -> str:
    """Return "Redis 6.2.14" when it is too old, "" when it is new enough or does not say."""
    kind = "valkey" if "valkey_version" in info else "redis"
    version = info.get(f"{kind}_version", "")
    parts = version.split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        return ""
    return f"{kind.capitalize()} {version}" if (int(parts[0]), int(parts[1])) < OLDEST[kind] else ""
