"""The sample receiver: shows each event as a hook gets it, and answers Graph's question for the demo's number.

python -m whatshooked.simulator.receiver PORT
"""

import asyncio
import sys
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Request, get, post


@post("/hook", status_code=200)
async def hook(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Print an event and accept it."""
    try:
        found = msgspec.json.decode(await request.body())
    except msgspec.MsgspecError:
        found = {}
    print(line(request.query_params.get("event", ""), found, request.headers.get("webhook-id", "")), flush=True)  # noqa: T201 - it shows
    return {"status": "received"}


@get("/graph/{version:str}/{number_id:str}")
async def number(number_id: str) -> dict[str, str]:
    """Answer as Graph does for a number that is connected."""
    return {
        "id": number_id,
        "display_phone_number": "+1 555-010-0001",
        "verified_name": "Demo",
        "quality_rating": "GREEN",
    }


def line(event_type: str, found: Any, webhook_id: str) -> str:
    """Return one line on what arrived."""
    data = found.get("data", found) if isinstance(found, dict) else {}
    shown = {key: data.get(key) for key in ("from", "message_type", "text", "status", "phone_number") if data.get(key)}
    fields = "  ".join(f"{key}={value!r}" for key, value in shown.items())
    return f"  sample receiver  <-  {event_type:<20} {fields}  ({webhook_id})"


def main() -> None:
    """Serve on loopback until told to stop."""
    app = Litestar([hook, number], openapi_config=None, logging_config=None)
    config = uvicorn.Config(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
