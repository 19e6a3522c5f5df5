"""Whom it concerns, over HTTP: as JSON, and as an answer of Prometheus' query API, which Grafana's own source reads.

Prometheus itself never has it: a customer is no label of a metric. What Grafana asks is answered from Redis, and kept
by nobody.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter, RawBody

from whatshooked.config import Config
from whatshooked.errors import StreamUnavailable
from whatshooked.keys import Keys
from whatshooked.stream import customers
from whatshooked.stream.bounds import Bounds
from whatshooked.stream.customers import CustomerView, Found, among, view
from whatshooked.stream.link import Link
from whatshooked.stream.look import look
from whatshooked.web import faults
from whatshooked.web.auth import AnyRequest, guard_customers
from whatshooked.web.described import SECURITY
from whatshooked.web.faults import Fault, unavailable
from whatshooked.web.instant import alive, answered, is_of_now, question, refused

#: Seconds that a look is good for: all panels of a dashboard ask at the same time, for each who has it open. And how
#: many times what it took: so looks have a tenth of a process's time at most, however much there is to see.
_KEPT, _TIMES = 5.0, 9
_BOUNDS = Bounds()
#: Customers of one answer as JSON.
_MOST = 1_000
#: Bytes of a question.
_LARGEST = 16 * 1024
_UNSTORED = {"Cache-Control": "no-store"}

OfHook = Annotated[str, QueryParameter(description="whom it concerns at this hook alone")]
OfAccount = Annotated[str, QueryParameter(name="account_id", description="at this account alone")]
OfState = Annotated[customers.State | None, QueryParameter(name="state", description="in this state alone")]
Limit = Annotated[int, QueryParameter(ge=1, le=_MOST, description="customers of one answer")]
Asked = Annotated[str, QueryParameter(name="query", description='a family, with matchers such as hook="crm"')]
Moment = Annotated[str, QueryParameter(name="time", description="unix seconds; only now can be asked for")]


class CustomersView(msgspec.Struct):
    """Whom it concerns, who has waited longest first; `complete` is false when there is more than stands here."""

    customers: list[CustomerView]
    complete: bool


class Looks:
    """The last look of one web process, shared by all who ask within some seconds; raises StreamUnavailable."""

    def __init__(self, link: Link, keys: Keys, config: Callable[[], Config]) -> None:
        self._link = link
        self._keys = keys
        self._config = config
        self._task: asyncio.Task[Found] | None = None

    async def found(self) -> Found:
        """Return whom it concerns now, or some seconds ago."""
        if self._task is None:
            began = time.monotonic()
            self._task = asyncio.create_task(look(self._link, self._keys, self._config(), _BOUNDS))
            self._task.add_done_callback(lambda task: self._done(task, time.monotonic() - began))
        return await asyncio.shield(self._task)  # whoever goes takes nothing from those who wait for the same

    def close(self) -> None:
        """End a look that is under way."""
        if self._task is not None:
            self._task.cancel()

    def forget(self) -> None:
        """Keep nobody: who was forgotten meanwhile stands in no later answer of this process."""
        self._task = None

    def _done(self, task: asyncio.Task[Found], took: float) -> None:
        failed = task.cancelled() or task.exception() is not None
        kept = _KEPT if failed else max(_KEPT, _TIMES * took)  # while Redis is away nobody asks it all the time
        asyncio.get_running_loop().call_later(kept, self._drop, task)

    def _drop(self, task: asyncio.Task[Found]) -> None:
        if self._task is task:
            self._task = None


@get("/", summary="List customers whom it concerns that something waits or failed")
async def list_customers(
    state: State, hook: OfHook = "", account: OfAccount = "", in_state: OfState = None, limit: Limit = 100
) -> Response[CustomersView]:
    """Return the customers of events that no hook has taken, of files that could not be had, of messages not sent."""
    found = await state.gateway.customers.found()
    wanted = {"hook": hook, "account": account, "state": in_state or ""}
    chosen = await asyncio.to_thread(among, found, {name: value for name, value in wanted.items() if value})
    complete = found.is_all and len(chosen) <= limit
    return Response(CustomersView([view(*one) for one in chosen[:limit]], complete), headers=_UNSTORED)


@get("/api/v1/query", summary="The same, as Prometheus answers an instant query")
async def query(state: State, asked: Asked = "", moment: Moment = "") -> Response[Any]:
    """Answer Grafana, whose data source of the kind Prometheus has `/api/customers` as its URL."""
    return await _answered(state, asked, moment)


@post("/api/v1/query", status_code=200, summary="The same, asked by a form", request_max_body_size=_LARGEST)
async def query_by_form(state: State, body: RawBody) -> Response[Any]:
    """Answer Grafana, which asks so unless it is told otherwise."""
    form = parse_qs(body.decode("utf-8", "replace"))
    return await _answered(state, *("".join(form.get(name, ())[:1]) for name in ("query", "time")))


async def _answered(state: State, asked: str, moment: str) -> Response[Any]:
    now = time.time()
    try:
        sought = question(asked)
    except ValueError as error:
        raise Fault(400, "bad_data", str(error), "docs/dashboards.md has more") from error
    # As Prometheus, under the moment that was asked for: Grafana joins columns by it.
    stamp = float(moment) if moment.replace(".", "", 1).isdecimal() else round(now, 3)
    if not sought.family:
        return Response(alive(stamp))
    if not is_of_now(moment, now):
        raise Fault(422, "execution", "only now is known", "let the dashboard's time end now")
    found = await state.gateway.customers.found()
    return Response(await asyncio.to_thread(answered, found, sought, stamp), headers=_UNSTORED)


def _on_fault(_: AnyRequest, fault: Fault) -> Response[Any]:
    """Tell Grafana what is wrong in the form that it shows."""
    said = refused(fault.code, f"{fault.message}: {fault.hint}")
    return Response(said, status_code=fault.status, headers=fault.headers)


def _on_unavailable(request: AnyRequest, error: StreamUnavailable) -> Response[Any]:
    hint = "whom it concerns can be told when it is back; Meta keeps what it cannot hand over"
    return _on_fault(request, unavailable(error, hint))


def _on_http(_: AnyRequest, error: HTTPException) -> Response[Any]:
    return Response(refused("bad_data", error.detail), status_code=error.status_code)


def _on_bug(request: AnyRequest, error: Exception) -> Response[Any]:
    faults.on_bug(request, error)
    return Response(refused("internal", "an error of ours, see the gateway's log"), status_code=500)


_of_grafana = Router(
    "/",
    route_handlers=[query, query_by_form],
    exception_handlers={
        Fault: _on_fault,
        StreamUnavailable: _on_unavailable,
        HTTPException: _on_http,
        Exception: _on_bug,
    },
)
router = Router(
    "/api/customers",
    route_handlers=[list_customers, _of_grafana],
    guards=[guard_customers],
    security=SECURITY,
    tags=["customers"],
)
