"""The simulator's application: Graph under any version, files under `/_files/`, control under `/_sim/`."""

from typing import Any

from litestar import HttpMethod, Litestar, Request, Response, route
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from whatshooked import logs
from whatshooked.simulator import control
from whatshooked.simulator.faulty import Faulty
from whatshooked.simulator.graph import dispatch as graph
from whatshooked.simulator.graph import refusals
from whatshooked.simulator.media import files
from whatshooked.simulator.world.world import World

log = logs.get("simulator")

#: Bytes of a request: a document may have 100 MB.
_LARGEST = 110 * 1024 * 1024
_METHODS = [HttpMethod.GET, HttpMethod.POST, HttpMethod.DELETE, HttpMethod.PUT, HttpMethod.PATCH]


def create_app(world: World) -> Faulty:
    """Return the application of a world: Litestar behind the faults by rule."""

    @route(["/", "/{path:path}"], http_method=_METHODS, status_code=200)
    async def ask(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        status, headers, body = await graph.answer(world, request, request.scope["path"].strip("/"))
        return Response(body, status_code=status, headers=headers)

    def refuse(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        """Answer as Graph does what never came to a handler: it knows no other errors than its own."""
        if request.scope["path"].startswith("/_sim"):
            return control.on_error(request, error)
        refusal = refusals.parameter(error.detail or "Unsupported request")
        return Response(refusal.body(world.trace()), status_code=refusal.status)

    def broken(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        log.bug("A call failed by a fault of the simulator", error)
        refusal = refusals.ours()
        body = {"error": refusal.details} if request.scope["path"].startswith("/_sim") else refusal.body(world.trace())
        return Response(body, status_code=refusal.status)

    app = Litestar(
        [ask, control.router(), files.router],
        state=State({"world": world}),
        exception_handlers={HTTPException: refuse, Exception: broken},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=_LARGEST,
        on_shutdown=[world.close],
    )
    return Faulty(app, world)
