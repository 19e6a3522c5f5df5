"""Alive, ready, and the metrics."""

from litestar import MediaType, Response, get
from litestar.datastructures import State

from whatshooked.errors import StreamUnavailable
from whatshooked.scrape import CONTENT_TYPE
from whatshooked.web.gateway import Gateway


@get("/health", tags=["operation"], summary="Whether this process lives")
async def health() -> dict[str, str]:
    """Answer while the process lives; says nothing of Redis."""
    return {"status": "ok"}


@get("/ready", tags=["operation"], summary="Whether a webhook can be taken now")
async def ready(state: State) -> Response[dict[str, str]]:
    """Really write to Redis, as an event would."""
    gateway: Gateway = state.gateway
    try:
        await gateway.prove_ready()
    except StreamUnavailable as error:
        return Response({"status": "unavailable", "reason": str(error)}, status_code=503)
    return Response({"status": "ready"})


@get("/metrics", media_type=MediaType.TEXT, tags=["operation"], summary="Prometheus metrics")
async def show_metrics(state: State) -> Response[bytes]:
    """Return the counts of all processes of this machine, and what Redis, the config and the disks know."""
    gateway: Gateway = state.gateway
    if (port := gateway.metrics_port) is not None:
        hint = f"the metrics stand on a port of their own, {port} (metrics.port of the config)\n"
        return Response(hint.encode(), status_code=404, media_type=MediaType.TEXT)
    return Response(await gateway.scrape.text(), media_type=CONTENT_TYPE)
