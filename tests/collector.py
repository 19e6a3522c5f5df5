"""A collector of traces, played: the receiver of tests/receiver.py, and what OTLP/HTTP bodies hold."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.receiver import Received, Receiver

CLIENT, SERVER = 3, 2
ERROR = 2


@dataclass(frozen=True)
class Span:
    """One span as it was exported; ids in hex, `parent` empty for a root."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    status: int
    #: What a failed one says of its fault.
    said: str
    #: What all spans of its process have in common.
    resource: dict[str, Any]

    @property
    def place(self) -> tuple[str, str]:
        """The trace and the id, as a traceparent names them."""
        return self.trace, self.id


def place(request: Received) -> tuple[str, str]:
    """The trace and the span that a request's traceparent names; it must be a sampled one."""
    version, trace, span, flags = request.headers["traceparent"].split("-")
    assert version == "00"
    assert int(flags, 16) & 1
    return trace, span


def spans(collector: Receiver) -> list[Span]:
    """All spans that came, in their order."""
    return [span for one in collector.received for span in _spans(one.body)]


async def wait(collector: Receiver, count: int, timeout: float = 15.0) -> list[Span]:
    """Return the spans once at least `count` have come; raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while len(found := spans(collector)) < count:
            await asyncio.sleep(0.02)
    return found


def _spans(body: bytes) -> Iterable[Span]:
    for rows in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(rows.resource.attributes)
        for one in (span for scope in rows.scope_spans for span in scope.spans):
            ids = one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex()
            attributes = _attributes(one.attributes)
            yield Span(one.name, one.kind, *ids, attributes, one.status.code, one.status.message, resource)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
