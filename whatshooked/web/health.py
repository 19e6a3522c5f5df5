"""Alive, ready, and the metrics."""

import time

from litestar import MediaType, Response, get
from litestar.datastructures import State

from whatshooked import metrics
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import MEDIA_HOOK
from whatshooked.stream.follow import lags
from whatshooked.stream.registry import known_hooks
from whatshooked.web.gateway import Gateway

_gauges = metrics.CacheGauges()


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
    """Return the counts of all processes of this machine, and what Redis holds."""
    gateway: Gateway = state.gateway
    try:
        hooks = await known_hooks(gateway.link, gateway.keys, [hook.id for hook in gateway.config.hooks])
        sizes, oldest, lag, due = await gateway.cache.sizes([*hooks, MEDIA_HOOK])
        able = [account.id for account in gateway.config.whatsapp if account.business_api is not None]
        outboxes = await gateway.messages.overview(able)
        _gauges.set(sizes, time.time() - oldest / 1000 if oldest else 0.0, lag, due)
        _gauges.add_outbox({a: box[0] for a, box in outboxes.items()}, {a: bool(box[1]) for a, box in outboxes.items()})
        if gateway.config.event_logger.enabled:
            _gauges.add_log(await lags(gateway.link, gateway.streams(), gateway.config.event_logger.targets))
    except StreamUnavailable:
        metrics.REDIS_ERRORS.labels("metrics").inc()
        _gauges.clear()
    return Response(metrics.exposition(_gauges), media_type="text/plain; version=0.0.4")
