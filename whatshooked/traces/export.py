"""How spans leave this process: in batches, from a thread of the SDK, over OTLP/HTTP.

What waits is bounded (2,048 spans, OTEL_BSP_MAX_QUEUE_SIZE), the oldest go first; a collector that is away costs a line
of the log a minute.
"""

import asyncio
import logging
import os
import re
import socket
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

from whatshooked import __version__, logs
from whatshooked.config import TracesConfig

log = logs.get("traces")

#: Seconds that the last spans have to leave at the end.
PATIENCE = 2.0
#: Seconds between two lines about the same trouble.
_EVERY = 60.0
_PATH = "/v1/traces"
#: A path may hold a key of the collector's owner.
_address = re.compile(r"(with url: |https?://)\S+")


class Export:
    """The way out of one process's spans; `role` (web, worker) tells its processes apart."""

    def __init__(self, settings: TracesConfig, role: str) -> None:
        _hear()
        endpoint = settings.endpoint and settings.endpoint.rstrip("/").removesuffix(_PATH) + _PATH
        self._exporter = OTLPSpanExporter(endpoint)
        sampler = None if settings.ratio is None else ParentBased(TraceIdRatioBased(settings.ratio))
        self._provider = TracerProvider(sampler, _resource(role), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        log.info("Traces are made", endpoint=settings.endpoint or "as OTEL_EXPORTER_OTLP_ENDPOINT says")

    def tracer(self) -> Tracer:
        """Return what makes spans."""
        return self._provider.get_tracer("whatshooked", __version__)

    async def close(self) -> None:
        """Send what is left; a collector that does not answer in time has lost it."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, PATIENCE)
        if ending.is_alive():
            log.warn("The last spans were not sent: the collector did not answer in time", seconds=PATIENCE)
            # Ends the pause between two tries; the thread dies with the process.
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK's


def _resource(role: str) -> Resource:
    """Return what the spans of this process have in common; what the OTEL_* variables say of it wins."""
    ours = {
        "service.name": "whatshooked",
        "service.version": __version__,
        "service.instance.id": f"{role}-{socket.gethostname()}-{os.getpid()}",
    }
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


def _hear() -> None:
    """Let what the SDK says go through our log, once for all processes of this one."""
    logger = logging.getLogger("opentelemetry")
    logger.handlers[:] = [_Ear()]
    logger.propagate = False


class _Ear(logging.Handler):
    """Says what the SDK says, seldom, on one line and without a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record of the SDK's, unless one of its kind was just written."""
        text = _address.sub(r"\1...", record.getMessage())[:300]
        sending = ".exporter." in record.name
        log.seldom("warn", "Traces are not sent" if sending else "OpenTelemetry says", every=_EVERY, said=text)
