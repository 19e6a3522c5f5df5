"""Callback URLs that are set through Graph: the check by GET that runs inside the call, and overrides.

Source: Meta's pages on webhook verification and overrides.
"""

from typing import Any

from whatshooked.simulator.graph import refusals
from whatshooked.simulator.graph.call import Call
from whatshooked.simulator.world.model import Override

#: Characters of an override's URL.
LONGEST = 200


async def verify(call: Call, url: str, verify_token: str) -> None:
    """Raise Refusal 2200 unless the URL echoes Meta's challenge."""
    if wrong := await call.world.webhooks.verify(url, verify_token):
        raise refusals.parameter(f"Callback verification failed with the following errors: {wrong}", code=2200)


async def override(call: Call, given: dict[str, Any]) -> Override | None:
    """Return the override that stands in `given`, verified, or None when it names no URL; raises Refusal."""
    url = given.get("override_callback_uri") or ""
    if not url:
        return None
    verify_token = given.get("verify_token")
    if not isinstance(url, str) or not isinstance(verify_token, str) or not verify_token:
        raise refusals.parameter("The parameters override_callback_uri and verify_token are required together.")
    if len(url) > LONGEST:
        raise refusals.parameter(f"Param override_callback_uri must be at most {LONGEST} characters long.")
    await verify(call, url, verify_token)
    return Override(url, verify_token, call.token.app_id if call.token else "")
