"""The sample receiver: answers "echo: ..." to what customers write, and tells the path of each message.

python -m whatshooked.simulator.demo.receiver PORT SIMULATOR_URL [HOST]
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import uvicorn
from litestar import Litestar, Request, post
from litestar.datastructures import State

from whatshooked.simulator.demo.story import Story

#: Seconds until the simulator's news are asked for again after they broke off.
_PAUSE = 0.3


@post("/hook", status_code=200)
async def hook(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Answer a message with an echo, as a bot would; accept anything else."""
    found = await _object(request)
    if request.query_params.get("event") != "message.received":
        return {"status": "received"}
    said = found.get("text") or found.get("message_type") or ""
    return {"send_message": True, "text": f"echo: {said}"}


@post("/story", status_code=200)
async def tell(request: Request[Any, Any, Any], state: State) -> dict[str, str]:
    """Take what the gateway says of its deliveries."""
    _say(state["story"].of_hook(request.query_params.get("event", ""), await _object(request)))
    return {"status": "received"}


def create_app(simulator: str) -> Litestar:
    """Return the application; `simulator` is the address of the simulated Meta."""
    story = Story({})

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        following = asyncio.create_task(follow(simulator, story))
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    return Litestar(
        [hook, tell], state=State({"story": story}), lifespan=[lifespan], openapi_config=None, logging_config=None
    )


async def follow(simulator: str, story: Story) -> None:
    """Say what the simulated Meta tells, until cancelled; it may come later than we do, and be started anew."""
    async with httpx.AsyncClient(base_url=simulator, timeout=None, trust_env=False) as client:  # noqa: S113 - a stream without end
        while True:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                users = (await client.get("/_sim/")).json()["users"]
                story.names.update({user["id"]: user["name"] or user["username"] or user["phone"] for user in users})
                async with client.stream("GET", "/_sim/news") as answer:
                    async for line in answer.aiter_lines():
                        if line.strip():
                            _say(story.of_meta(msgspec.json.decode(line)))
            await asyncio.sleep(_PAUSE)


async def _object(request: Request[Any, Any, Any]) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(await request.body())
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}


def _say(lines: list[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - it shows


def main() -> None:
    """Serve until told to stop, on loopback unless another host is said (in a container all are wanted)."""
    port, simulator, host = int(sys.argv[1]), sys.argv[2], (sys.argv[3:] or ["127.0.0.1"])[0]
    config = uvicorn.Config(create_app(simulator), host=host, port=port, log_config=None, access_log=False)
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
