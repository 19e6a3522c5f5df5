"""Every error of the API as `{"error": {"code", "message", "hint"}}`, with `faults` where a message cannot be sent."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from whatshooked import logs, metrics
from whatshooked.errors import SendFault, StreamUnavailable

log = logs.get("web")


class Fault(Exception):  # noqa: N818 - an answer, raised
    """An API answer that is an error: HTTP status, a code for programs, a message and a hint for people."""

    def __init__(self, status: int, code: str, message: str, hint: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint, self.headers = status, code, message, hint, headers or {}


def _answer(
    status: int, code: str, message: str, hint: str, headers: dict[str, str] | None = None, **more: list[str]
) -> Response[Any]:
    body = {"error": {"code": code, "message": message, "hint": hint, **more}}
    return Response(body, status_code=status, headers=headers or {}, media_type="application/json")


def on_fault(_: Request[Any, Any, Any], fault: Fault) -> Response[Any]:
    """Answer what a handler refused."""
    return _answer(fault.status, fault.code, fault.message, fault.hint, fault.headers)


def on_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what the framework refused: no such path, a parameter of a wrong type."""
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    extra = error.extra if isinstance(error.extra, list) else []
    hint = "; ".join(f"{one.get('key')}: {one.get('message')}" for one in extra if isinstance(one, dict))
    return _answer(error.status_code, code, error.detail, hint or "see /schema", dict(error.headers or {}))


def on_send_fault(_: Request[Any, Any, Any], fault: SendFault) -> Response[Any]:
    """Answer 422 to a message that cannot be sent as it is, with the place of each fault."""
    hint = "each fault names its place in the request and what was expected there"
    return _answer(422, "cannot_be_sent", "the message cannot be sent as it is", hint, faults=fault.faults)


def unavailable(error: StreamUnavailable, hint: str = "try again; see /ready") -> Fault:
    """Count and log that Redis did not answer; returns what is said to who asked."""
    metrics.REDIS_ERRORS.labels("web").inc()
    log.warn("Redis did not answer a request", error=str(error))
    return Fault(503, "unavailable", "Redis does not answer", hint)


def on_unavailable(request: Request[Any, Any, Any], error: StreamUnavailable) -> Response[Any]:
    """Answer 503 while Redis is away."""
    return on_fault(request, unavailable(error))


def on_bug(_: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer 500, with the traceback in the log alone."""
    log.bug("A request ended in an error of ours", error)
    return _answer(500, "internal", "an error of ours, see the log", "report it")


HANDLERS: dict[Any, Any] = {
    Fault: on_fault,
    HTTPException: on_http,
    SendFault: on_send_fault,
    StreamUnavailable: on_unavailable,
    Exception: on_bug,
}
