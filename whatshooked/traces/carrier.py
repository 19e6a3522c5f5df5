"""A span's context, as an entry carries it to the workers and as HTTP does to others.

In an entry it is 25 bytes: trace id (16), span id (8), flags (1); a `tracestate` is not handed on.
"""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_SIZE = 25
_propagator = TraceContextTextMapPropagator()


def pack(span: SpanContext) -> bytes | None:
    """Return the context for an entry; None when there is no trace."""
    if not span.is_valid:
        return None
    return span.trace_id.to_bytes(16) + span.span_id.to_bytes(8) + bytes([span.trace_flags])


def unpack(packed: bytes | None) -> Context:
    """Return the context of an entry's trace, an empty one for what is none: a trace begins anew then."""
    if packed is None or len(packed) != _SIZE:
        return Context()
    ids = int.from_bytes(packed[:16]), int.from_bytes(packed[16:24])
    found = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(packed[24]))
    return trace.set_span_in_context(NonRecordingSpan(found), Context()) if found.is_valid else Context()


def headers(span: SpanContext) -> dict[str, str]:
    """Return the header by which a receiver's spans join; none when there is no trace."""
    if not span.is_valid:
        return {}
    return {"traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"}


def read(header: str) -> Context:
    """Return the context that a caller sent; an empty one when it sent none or nonsense."""
    return _propagator.extract({"traceparent": header}, Context())
