"""Faults between Meta and the cache."""

import httpx

from ops.alarms.campaign import Alarm, Fault, Group, Whom, nothing_more, writes
from ops.alarms.peers import SECRET, Manner, text
from ops.alarms.stage import Plan, Stage
from whatshooked.hooks.retry import SCHEDULE
from whatshooked.stream.customers import UNREADABLE

#: The message that runs into a bug.
_ODD = "wamid.odd"
#: The hook that is away; its tries, a minute as short as everywhere, and the last ones still shorter.
_AWAY = "away"
_TRIES = [round(seconds / 3600, 3) for seconds in SCHEDULE[:10]]


async def _late(stage: Stage) -> None:
    stage.meta.manner = Manner(age=300.0)


async def _again(stage: Stage) -> None:
    stage.meta.manner = Manner(times=3)


async def _wrong(stage: Stage) -> None:
    stage.meta.manner = Manner(secret=f"not-{SECRET}")


async def _usual(stage: Stage) -> None:
    stage.meta.manner = Manner()


async def _break(stage: Stage) -> None:
    (stage.folder / "bug").write_text(_ODD)
    if await _answer_to_odd(stage) != 500:
        raise AssertionError("the planted bug was not met")


async def _repair(stage: Stage) -> None:
    """A new version; and Meta comes again with what was answered 500."""
    (stage.folder / "bug").unlink()
    if await _answer_to_odd(stage) != 200:
        raise AssertionError("what Meta sent again was not taken")


async def _answer_to_odd(stage: Stage) -> int:
    try:
        await stage.post(stage.plan.accounts[0], text(_ODD))
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    return 200


async def _away(stage: Stage) -> None:
    stage.hooks.behaves[_AWAY] = (503, 0.0)


async def _back(stage: Stage) -> None:
    stage.hooks.behaves[_AWAY] = (200, 0.0)
    await stage.ask("POST", "cache/replay")


async def _spoil(stage: Stage) -> None:
    await stage.link.call("XADD", stage.keys.events, "*", "e", b"no entry of ours")


async def _remove(stage: Stage) -> None:
    for event in (await stage.ask("GET", "cache", params={"limit": 500}))["events"]:
        if event["state"] == "poison":
            await stage.ask("DELETE", "cache/event/delete", params={"id": event["id"]})


META = Group(
    "meta",
    Plan(),
    (
        Fault("messages come 5 minutes late", (Alarm("MetaBacksOff", {"sign": "late"}),), _late, _usual),
        Fault("each message comes three times", (Alarm("MetaBacksOff", {"sign": "repeated"}),), _again, _usual),
        Fault("webhooks signed by another secret", (Alarm("SignaturesWrong"),), _wrong, _usual),
        Fault(
            "a webhook runs into a bug, which was planted; it is mended, and Meta sends again",
            (Alarm("WebhooksRefused", {"sign": "bug"}),),
            _break,
            _repair,
        ),
    ),
)
CACHE = Group(
    "cache",
    Plan(hooks=("crm", _AWAY), sections={"message_cache": {"max_events": 150}}, waits={"retries": _TRIES}),
    (
        Fault(
            "an entry that cannot be read; `cache delete`",
            (Alarm("EventsSetAside"),),
            _spoil,
            _remove,
            # Who sent it cannot be read either: that is said in place of a name.
            Whom("poison", nothing_more, customer=UNREADABLE),
        ),
        Fault(
            "a hook is away until events are given up, and pushed out; `cache replay`",
            (Alarm("CacheGrows"), Alarm("CacheOld"), Alarm("EventsGivenUp"), Alarm("CacheDropped")),
            _away,
            _back,
            Whom("dead", writes, {"hook": _AWAY}),
        ),
    ),
)
