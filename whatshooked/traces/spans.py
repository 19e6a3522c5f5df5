"""What stands in each span: the semantic conventions of HTTP, and what of ours helps to find an event.

Never a customer's number, a message's text or a secret: no query, no header but the caller's program, no body.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
    user_agent_attributes,
)
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from whatshooked.config import Hook, TracesConfig
from whatshooked.events import Event
from whatshooked.hooks.delivery import Refused, Result, Sender, shown
from whatshooked.traces import App, Taken, carrier
from whatshooked.traces.export import Export

#: As in the API's description.
ROUTE = "/webhooks/whatsapp/{account_id}"
#: Methods that a span is named by; a stranger may send any other word.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
#: Characters of what a stranger sends that are kept: spans wait in memory.
_KEPT = 256

Attributes = dict[str, AttributeValue]


class Spans:
    """Makes the spans of one process."""

    def __init__(self, settings: TracesConfig, role: str) -> None:
        self._export = Export(settings, role)
        self._tracer = self._export.tracer()
        self.close = self._export.close
        #: What is the same in all attempts at a URL.
        self._targets: dict[str, Attributes] = {}

    def served(self, app: App) -> App:
        """Return the application with a span around each request, which goes on with its caller's trace."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            headers = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
            parent = carrier.read(headers.get(b"traceparent", ""))
            name, attributes = _request(scope, headers)
            # What the application does not catch ends in the server, which answers 500 for it.
            with self._tracer.start_as_current_span(
                name, parent, SpanKind.SERVER, attributes, record_exception=False, set_status_on_exception=False
            ) as span:
                await app(scope, receive, _noting(send, span))

        return serve

    def context(self) -> bytes | None:
        """Return the context of the request that is served now, sampled or not."""
        return carrier.pack(trace.get_current_span().get_span_context())

    def took(self, account_id: str, added: Sequence[Taken]) -> None:
        """Note how many events the request brought, and how many of them were new."""
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attribute("whatshooked.account.id", account_id)
            span.set_attribute("whatshooked.events", len(added))
            span.set_attribute("whatshooked.events.new", sum(one.new for one in added))

    async def post(
        self, sender: Sender, hook: Hook, event: Event, event_id: str, body: bytes, *, number: int, replay: bool
    ) -> Result:
        """Make an attempt; its span lies below that of the webhook which brought the event."""
        span = self._tracer.start_span(_name(hook.method), carrier.unpack(event.trace), SpanKind.CLIENT)
        if span.is_recording():  # the webhook's span decided it: to build them for nothing costs as much as the rest
            span.set_attributes(self._target(hook) | _attempted(hook, event, event_id, number, replay=replay))
        # Also of an attempt that is not sampled: the receiver then leaves its own spans out too.
        headers = carrier.headers(span.get_span_context())
        try:
            result = await sender.post(
                hook, event.type, event.account_id, event_id, body, replay=replay, headers=headers
            )
            _came_to(span, result)
        except BaseException as error:  # a stop breaks it off
            _fail(span, type(error).__name__)
            raise
        finally:
            span.end()
        return result

    def _target(self, hook: Hook) -> Attributes:
        key = f"{hook.method} {hook.url}"
        found = self._targets.get(key)
        if found is None:
            if len(self._targets) >= 1000:  # hooks of many reloads
                self._targets.clear()
            found = self._targets[key] = _target(hook)
        return found


def _attempted(hook: Hook, event: Event, event_id: str, number: int, *, replay: bool) -> Attributes:
    found: Attributes = {
        "whatshooked.hook.id": hook.id,
        "whatshooked.event.id": event_id,
        "whatshooked.event.type": event.type,
        "whatshooked.account.id": event.account_id,
    }
    if number > 1:
        found[http_attributes.HTTP_REQUEST_RESEND_COUNT] = number - 1
    if replay:
        found["whatshooked.replay"] = True
    return found


def _came_to(span: Span, result: Result) -> None:
    """Note the answer, or why there is none."""
    if result.status:
        span.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, result.status)
    if isinstance(result, Refused):
        kind = str(result.status) if result.status else "timeout" if result.error == "timeout" else "no_answer"
        _fail(span, kind, result.error)


def _request(scope: Any, headers: Mapping[bytes, str]) -> tuple[str, Attributes]:
    """Return the name and attributes of a request's span; neither its query nor its body."""
    attributes: Attributes = {
        **_method(scope["method"]),
        http_attributes.HTTP_ROUTE: ROUTE,
        url_attributes.URL_PATH: scope["path"][:_KEPT],
        url_attributes.URL_SCHEME: scope["scheme"],
        network_attributes.NETWORK_PROTOCOL_VERSION: scope["http_version"],
    }
    attributes |= _server(f"//{headers.get(b'host', '')[:_KEPT]}")
    if agent := headers.get(b"user-agent"):
        attributes[user_agent_attributes.USER_AGENT_ORIGINAL] = agent[:_KEPT]
    return f"{_name(scope['method'])} {ROUTE}", attributes


def _target(hook: Hook) -> Attributes:
    parts = urlsplit(shown(hook.url))
    # Many a receiver is reached by a path that is its secret; `whatshooked.hook.id` says which one it is.
    url = f"{parts.scheme}://{parts.netloc}"
    return {**_method(hook.method), url_attributes.URL_FULL: url, **_server(url)}


def _method(method: str) -> Attributes:
    if method in _METHODS:
        return {http_attributes.HTTP_REQUEST_METHOD: method}
    original = http_attributes.HTTP_REQUEST_METHOD_ORIGINAL
    return {http_attributes.HTTP_REQUEST_METHOD: "_OTHER", original: method[:_KEPT]}


def _name(method: str) -> str:
    return method if method in _METHODS else "HTTP"


def _server(url: str) -> Attributes:
    """Return the host and port of a URL, as far as it has them."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    if not host:
        return {}
    found: Attributes = {server_attributes.SERVER_ADDRESS: host}
    if port := port or {"http": 80, "https": 443}.get(parts.scheme):
        found[server_attributes.SERVER_PORT] = port
    return found


def _noting(send: Any, span: Span) -> Callable[[Any], Any]:
    """Return an ASGI `send` that notes the answer's status."""

    def noting(message: Any) -> Any:
        if message["type"] == "http.response.start":
            status: int = message["status"]
            span.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, status)
            if status >= 500:
                _fail(span, str(status))
        return send(message)

    return noting


def _fail(span: Span, kind: str, text: str | None = None) -> None:
    span.set_attribute(error_attributes.ERROR_TYPE, kind)
    span.set_status(StatusCode.ERROR, text)
