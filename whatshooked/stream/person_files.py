"""Redis' own files after somebody was erased: deleted bytes stay in them until they are written anew.

An entry that was deleted from a stream is only marked so: its bytes go with the last entry of its node, and a file in
the format of snapshots (dump.rdb, or an append-only file with such a preamble) has them. Only as plain commands is a
stream written without them.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from whatshooked.errors import StreamUnavailable
from whatshooked.stream.durability import info_lines
from whatshooked.stream.link import Link

#: Seconds that a rewrite may take; a file of 1 GB takes about ten.
PATIENCE = 600.0
_GLANCE = 0.05
_PREAMBLE = "aof-use-rdb-preamble"
#: What a server that was killed while it wrote leaves behind.
_TEMPORARY = ("temp-rewriteaof-*.aof", "temp-*.rdb")


async def purge_files(link: Link, folder: Path | None = None, *, patience: float = PATIENCE) -> list[str]:
    """Have the server write its files anew, and return what may still hold old bytes, a sentence each.

    `folder` is that of our own server, where half-written files of killed ones are removed. To be called after the last
    command that names the person. Raises StreamUnavailable when the server does not answer.
    """
    await _reset_logs(link)
    info = await _info(link)
    left = _of_info(info)
    if info.get("aof_enabled") == "1":
        left += await _plain(link)
        left += await _rewritten(link, patience)
    left += await _snapshots(link)
    if folder is not None and await _idle(link, time.monotonic() + _GLANCE):
        left += await asyncio.to_thread(_cleared, folder)
    return left


def _of_info(info: Mapping[str, str]) -> list[str]:
    left = []
    if info.get("aof_enabled") != "1":
        left.append("Redis: it has no append-only file, or does not tell; only its snapshots are known to us")
    if (replicas := info.get("connected_slaves", "0")) != "0":
        left.append(f"Redis: {replicas} replicas have files of their own; run BGREWRITEAOF at each of them")
    return left


async def _plain(link: Link) -> list[str]:
    """Have the append-only file written as plain commands; return what the operator has to know of it."""
    before = await _setting(link, _PREAMBLE)
    if before == "no":
        return []
    if before is None or await _fails(link, "CONFIG", "SET", _PREAMBLE, "no"):
        return [
            f"Redis: CONFIG is not permitted; set {_PREAMBLE} to no there and run BGREWRITEAOF, or its append-only "
            "file keeps deleted entries until those around them are gone"
        ]
    return [f"Redis: {_PREAMBLE} was yes and is no until it restarts; set it so in its configuration file"]


async def _rewritten(link: Link, patience: float) -> list[str]:
    """Write the append-only file anew, after a rewrite that goes on already; return what went wrong with it."""
    deadline = time.monotonic() + patience
    while error := await _fails(link, "BGREWRITEAOF"):
        if "already in progress" not in error:
            return [f"Redis: its append-only file cannot be written anew ({error}); run BGREWRITEAOF there"]
        if not await _idle(link, deadline):
            return [_LATE]
    if not await _idle(link, deadline):
        return [_LATE]
    if (await _info(link)).get("aof_last_bgrewrite_status") != "ok":
        return ["Redis: its append-only file was not written anew; see its log (is its disk full?) and run this again"]
    return []


_LATE = "Redis: its append-only file is still being written anew; run this again"


async def _idle(link: Link, deadline: float) -> bool:
    """Return whether no rewrite goes on or is to come, by a time (time.monotonic)."""
    while time.monotonic() < deadline:
        info = await _info(link)
        if info.get("aof_rewrite_in_progress") == "0" == info.get("aof_rewrite_scheduled"):
            return True
        await asyncio.sleep(_GLANCE)
    return False


async def _snapshots(link: Link) -> list[str]:
    save = await _setting(link, "save")
    if save == "":
        return []
    writes = "writes snapshots" if save else "does not tell whether it writes snapshots"
    return [
        f"Redis: it {writes}, which keep deleted entries until those around them are gone; set save to "
        '"" and delete dump.rdb, or wait until history is over for events of that time'
    ]


async def _reset_logs(link: Link) -> None:
    """Empty what the server remembers of slow and large commands; what it does not know or forbids it says."""
    logs = ("slow", "large-request", "large-reply")
    for command in (("SLOWLOG", "RESET"), *(("COMMANDLOG", "RESET", kind) for kind in logs)):
        await _fails(link, *command)


def _cleared(folder: Path) -> list[str]:
    """Remove what killed servers left half-written."""
    left = []
    for path in (path for pattern in _TEMPORARY for path in folder.glob(pattern)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            left.append(f"Redis: {path} was left by a server that was killed; remove it ({error.strerror})")
    with contextlib.suppress(OSError):
        left += [f"Redis: {path} is an old snapshot; remove it" for path in folder.glob("*.rdb")]
    return left


async def _setting(link: Link, name: str) -> str | None:
    """Return a setting, None when the server does not tell."""
    with contextlib.suppress(StreamUnavailable):
        if found := await link.call("CONFIG", "GET", name):
            return str(found[1].decode())
    await link.call("PING")  # it does not tell, or it is away: then this says so
    return None


async def _fails(link: Link, *command: str) -> str:
    """Return what the server says against a command, "" when it took it; raises StreamUnavailable when it is away."""
    (reply,) = await link.batch([command])
    return str(reply) if isinstance(reply, Exception) else ""


async def _info(link: Link) -> dict[str, str]:
    return info_lines((await link.call("INFO", "everything")).decode(errors="replace"))
