"""Faults that one hook, one account, one disk or one target has; all at the same time, each told by its labels."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ops.alarms.campaign import Alarm, Fault, Group, Whom, event_of, nothing_more, writes
from ops.alarms.peers import WITNESS, text
from ops.alarms.stage import Plan, Stage
from ops.disks import small_disk
from ops.postgres import Postgres, server
from whatshooked.simulator.rules import Rule
from whatshooked.simulator.world.model import Token

#: Bytes of the disk that files lie on, and of the file that fills it.
_DISK, _FILLED = 20_000_000, 18_600_000
#: Records that are more than the log may keep waiting, in webhooks of so many messages.
_MANY, _BATCH = 14_000, 200
_ACCOUNTS = ("shop", "refused", "quiet", "ending", "unsure", "chatty")
_HOOKS = ("crm", "failing", "slow", "off")
#: One whose event loses its way.
_LOST = "4915166666666"
#: What the subcode of a token says that was withdrawn.
_WITHDRAWN = 460
#: Checks of accounts, by the same scale as everything else.
_WAITS = {"checks": 5, "checks_failed": 1, "look": 0.5}


async def _fail(stage: Stage) -> None:
    stage.hooks.behaves["failing"] = (503, 0.0)


async def _slow(stage: Stage) -> None:
    stage.hooks.behaves["slow"] = (200, 6.0)


async def _take(stage: Stage) -> None:
    stage.hooks.behaves["failing"] = (200, 0.0)


async def _quicken(stage: Stage) -> None:
    stage.hooks.behaves["slow"] = (200, 0.0)


async def _switch_off(stage: Stage) -> None:
    await stage.ask("PATCH", "hooks/off", json={"active": False})


async def _switch_on(stage: Stage) -> None:
    await stage.ask("PATCH", "hooks/off", json={"active": True})


async def _withdraw(stage: Stage) -> None:
    stage.graph.world.state.tokens["token-of-refused"].invalidated = _WITHDRAWN
    await stage.ask("POST", "send", json=_message("refused"))


async def _grant(stage: Stage) -> None:
    stage.graph.world.state.tokens["token-of-refused"].invalidated = 0


async def _fall_silent(stage: Stage) -> None:
    """Busy hours, yesterday; none since."""
    yesterday = int(time.time()) // 3600 - 24
    busy = [word for ago in range(1, 4) for word in (yesterday - ago, 20)]
    await stage.link.call("HSET", stage.keys.account_traffic("quiet"), *busy)


async def _speak(stage: Stage) -> None:
    await stage.post("quiet", text("wamid.again"))


async def _age(stage: Stage) -> None:
    """Another token, which ends in five days, and a version that Meta has retired."""
    state = stage.graph.world.state
    (app,) = state.apps
    state.tokens["short"] = Token(value="short", app_id=app, expires_at=int(time.time()) + 5 * 86_400)
    stage.api["ending"] = {"access_token": "short", "api_version": "v15.0"}
    stage.reload()


async def _renew(stage: Stage) -> None:
    del stage.api["ending"]
    stage.reload()


async def _break_answer(stage: Stage) -> None:
    path = f"*/{stage.number('unsure')}/messages"
    stage.graph.world.rules.append(Rule(fault="reset_after", method="POST", path=path))
    await _write_to(stage, "unsure")


async def _drop(stage: Stage) -> None:
    query = {"account_id": "unsure", "state": "unknown"}
    for message in (await stage.ask("GET", "messages", params=query))["messages"]:
        await stage.ask("POST", f"messages/{message['id']}/drop")


async def _spoil(stage: Stage) -> None:
    for _ in range(6):
        file, message = stage.graph.image()
        file.fault = "wrong_hash"
        stage.spoiled.append(file)
        await stage.post("shop", message)


async def _send_damaged(stage: Stage) -> None:
    """A picture of the witness's, which comes damaged as well."""
    file, message = stage.graph.image(WITNESS)
    file.fault = "wrong_hash"
    stage.spoiled.append(file)
    await stage.post("shop", message)


async def _write_to(stage: Stage, account: str) -> None:
    await stage.ask("POST", "send", json=_message(account) | {"to": f"+{WITNESS}"})


async def _write_by_refused(stage: Stage) -> None:
    await _write_to(stage, "refused")


async def _heal(stage: Stage) -> None:
    while stage.spoiled:
        stage.spoiled.pop().fault = ""


async def _lose(stage: Stage) -> None:
    """Take an event from the list of what is due to a hook, long before its next try."""
    await _fail(stage)
    await writes(stage, _LOST)
    due, soon = stage.keys.due("failing"), (time.time() + 2) * 1000
    event_id = await event_of(stage, _LOST)
    async with asyncio.timeout(20):
        while float(await stage.link.call("ZSCORE", due, event_id) or 0) < soon:
            await asyncio.sleep(0.05)
    await stage.link.call("ZREM", due, event_id)
    if await stage.check_itself() != 1:
        raise AssertionError("the self-check did not find the event that was lost, or found more")


async def _find(stage: Stage) -> None:
    await stage.command("fsck", "--repair")
    if await stage.check_itself():
        raise AssertionError("after the repair the keys still disagree")


async def _fill_disk(stage: Stage) -> None:
    _filler(stage).write_bytes(bytes(_FILLED))


async def _empty_disk(stage: Stage) -> None:
    _filler(stage).unlink()


def _filler(stage: Stage) -> Path:
    if stage.plan.disk is None:
        raise RuntimeError("this stage has no disk of its own")
    return stage.plan.disk / "filler"


async def _stop_postgres(stage: Stage) -> None:
    _postgres(stage).stop()
    for start in range(0, _MANY, _BATCH):
        await stage.post("chatty", *(text(f"wamid.chatty{start + n}") for n in range(_BATCH)))


async def _start_postgres(stage: Stage) -> None:
    _postgres(stage).start()


def _postgres(stage: Stage) -> Postgres:
    if stage.plan.postgres is None:
        raise RuntimeError("this stage has no PostgreSQL")
    return stage.plan.postgres


def customers(disk: Path, postgres: Postgres) -> Group:
    """Return the group, on a small disk for its files and with a server for its log."""
    plan = Plan(_ACCOUNTS, _HOOKS, _sections(disk, postgres), _WAITS, disk=disk, postgres=postgres)
    return Group("customers", plan, FAULTS, together=True)


@contextlib.contextmanager
def surrounded(folder: Path) -> Iterator[Group]:
    """Give the group its disk and its server; raises NoPostgresError, and NoDiskError."""
    with small_disk(folder / "disk", str(_DISK)) as without, server() as postgres:
        if without:
            raise NoDiskError(without)
        yield customers(folder / "disk", postgres)


class NoDiskError(Exception):
    """No disk can be mounted here; the text says why."""


def _sections(disk: Path, postgres: Postgres) -> dict[str, Any]:
    logger = {"enabled": True, "targets": ["postgres"], "buffer_bytes": 1_048_576}
    database = {name: value for name, value in msgspec.to_builtins(postgres.fresh()).items() if value is not None}
    return {"media": {"data_path": str(disk)}, "event_logger": logger, "database": database}


def _message(account: str) -> dict[str, str]:
    return {"account_id": account, "to": "+4915112345678", "text": "hello"}


def _at(hook: str) -> Whom:
    return Whom("waiting", writes, {"hook": hook})


def _of(account: str, *names: str) -> tuple[Alarm, ...]:
    return tuple(Alarm(name, {"account": account}) for name in names)


FAULTS = (
    Fault("a hook answers 503", (Alarm("HookFailing", {"hook": "failing"}),), _fail, _take, _at("failing")),
    Fault("a hook takes 6 s an event", (Alarm("HookSlow", {"hook": "slow"}),), _slow, _quicken, _at("slow")),
    Fault(
        "a hook is switched off",
        (Alarm("HookOff", {"hook": "off"}),),
        _switch_off,
        _switch_on,
        Whom("off", writes, {"hook": "off"}),
    ),
    Fault(
        "Meta refuses the token, and messages wait",
        _of("refused", "AccountDisconnected", "AccountHeld"),
        _withdraw,
        _grant,
        Whom("unsent", _write_by_refused, {"account": "refused"}),
    ),
    Fault("a busy number falls silent", _of("quiet", "NumberSilent"), _fall_silent, _speak),
    Fault("a token that ends, a version that is retired", _of("ending", "TokenEnds", "ApiVersionEnds"), _age, _renew),
    Fault(
        "Meta's answer to a send is lost; `drop`",
        _of("unsure", "MessagesUnknown"),
        _break_answer,
        _drop,
        Whom("unknown", nothing_more, {"account": "unsure"}),
    ),
    Fault("files of messages come damaged", (Alarm("MediaFails"),), _spoil, _heal, Whom("no_file", _send_damaged)),
    Fault(
        "disk 95 % full, which a kubelet tells of as the volume of Valkey",
        (Alarm("DiskFills", {"of": "media"}), Alarm("VolumeFills")),
        _fill_disk,
        _empty_disk,
    ),
    Fault(
        "keys that disagree: `ZREM` by hand, seen by the self-check; `fsck --repair`",
        (Alarm("EventsUnaccounted", {"sign": "disagreement"}),),
        _lose,
        _find,
        Whom("waiting", nothing_more, {"hook": "failing"}, customer=_LOST),
    ),
    Fault(
        "PostgreSQL stopped, and more to log than may wait",
        (Alarm("LogBehind", {"target": "postgres"}), Alarm("LogDropped", {"target": "postgres"})),
        _stop_postgres,
        _start_postgres,
    ),
)
