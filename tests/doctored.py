"""`whatshooked doctor` run on a gateway under test, its findings by check, and faults to plant."""

import json
from typing import Any

from tests.commands import Said, run
from tests.conftest import Gateway
from tests.simulated import Meta


async def doctor(gateway: Gateway, *words: str) -> Said:
    said = await run("doctor", "-c", str(gateway.path), *words)
    assert "Traceback" not in said.err
    return said


async def findings(gateway: Gateway) -> list[dict[str, Any]]:
    said = await doctor(gateway, "--json")
    document = json.loads(said.out)
    failed = any(one["level"] == "fail" for one in document["findings"])
    assert (said.code, document["ok"]) == (int(failed), not failed)
    found: list[dict[str, Any]] = document["findings"]
    return found


async def broken(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What is broken, by check."""
    return {one["check"]: one for one in await findings(gateway) if one["level"] == "fail"}


async def doubtful(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What is warned of, by check."""
    return {one["check"]: one for one in await findings(gateway) if one["level"] == "warn"}


def api(gateway: Gateway) -> dict[str, Any]:
    """The account's part of the config."""
    found: dict[str, Any] = gateway.document["whatsapp"][0]["business_api"]
    return found


def wrong_number_id(gateway: Gateway, sim: Meta) -> None:
    api(gateway)["phone_number_id"] = "100000000000077"


def wrong_waba_id(gateway: Gateway, sim: Meta) -> None:
    api(gateway)["business_account_id"] = "200000000000077"
