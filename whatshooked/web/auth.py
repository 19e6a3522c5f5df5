"""Who may use `/api/*`: HTTP Basic or an API key, compared in constant time and slowed down after failures."""

import base64
import hmac
import time
from collections import OrderedDict
from ipaddress import ip_address
from typing import Any

from litestar.connection import ASGIConnection, Request
from litestar.datastructures import Headers
from litestar.handlers import BaseRouteHandler

from whatshooked import logs
from whatshooked.config import Server
from whatshooked.web.faults import Fault

log = logs.get("web")

AnyRequest = Request[Any, Any, Any]

#: Failures of one address before it has to wait, and the longest wait (seconds).
FREE_FAILURES = 5
LONGEST_WAIT = 60.0
#: Seconds after which an address's failures are forgotten.
FORGET = 900.0
_MOST_ADDRESSES = 10_000
_FORWARDING = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "forwarded",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
)


class Throttle:
    """Counts failures by address; the wait doubles with each one beyond the free ones."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Return the seconds this address still has to wait."""
        count, last = self._failures.get(address, (0, 0.0))
        if count < FREE_FAILURES or now - last > FORGET:
            return 0.0
        return max(last + min(2.0 ** (count - FREE_FAILURES), LONGEST_WAIT) - now, 0.0)

    def failed(self, address: str, now: float) -> None:
        """Remember a failure."""
        count, last = self._failures.pop(address, (0, 0.0))
        self._failures[address] = (count + 1 if now - last <= FORGET else 1, now)
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def passed(self, address: str) -> None:
        """Forget an address that has shown the right credentials."""
        self._failures.pop(address, None)


throttle = Throttle()
#: Of calls that another key opens too: an old one in a Grafana keeps its address from nothing else, and a right one
#: gives nobody free guesses at the others.
customers_throttle = Throttle()


def guard(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg] # any state, any user
    """Let a request to the API pass; raises Fault 401, 403 or 429."""
    _let_pass(connection, throttle, None, "server.auth_key")


def guard_customers(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg] # as `guard`
    """Let a request for customers pass, also by the key that opens nothing else; raises Fault 401, 403 or 429."""
    key = connection.app.state.gateway.config.server.customers_key
    # Who comes with a password tries what opens the whole API.
    counts = throttle if "authorization" in connection.headers else customers_throttle
    _let_pass(connection, counts, key, "server.customers_key (WHATSHOOKED_CUSTOMERS_KEY) or .auth_key")


def _let_pass(connection: ASGIConnection, throttle: Throttle, key: str | None, keys: str) -> None:  # type: ignore[type-arg] # as above
    server: Server = connection.app.state.gateway.config.server
    address = connection.client.host if connection.client else ""
    if not server.auth_key and not (server.username and server.password):
        if is_local(address, connection.headers):
            return
        if not key:
            raise Fault(403, "no_credentials", "the API answers only on this machine", f"set {keys}")
    wait = throttle.wait(address, time.monotonic())
    if wait:
        raise Fault(
            429, "slow_down", "too many wrong credentials", f"wait {wait:.0f} s", {"Retry-After": str(int(wait) + 1)}
        )
    if _same(connection.headers.get("x-api-key", ""), key):
        return
    if permits(server, connection.headers):
        throttle.passed(address)
        return
    throttle.failed(address, time.monotonic())
    log.warn("API request with wrong or no credentials", address=address)
    raise Fault(
        401,
        "unauthorized",
        "credentials are missing or wrong",
        f"HTTP Basic with server.username, or {keys} as X-API-Key",
        {"WWW-Authenticate": 'Basic realm="whatshooked"'},
    )


def permits(server: Server, headers: Headers) -> bool:
    """Return whether the headers carry the API key or the user's password; takes as long either way."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    keys = [headers.get("x-api-key", ""), rest.strip() if scheme.lower() == "bearer" else ""]
    by_key = any([_same(key, server.auth_key) for key in keys])  # noqa: C419 - both are compared, whatever the first says
    user, _, password = _basic(rest).partition(":") if scheme.lower() == "basic" else ("", "", "")
    right_user, right_password = _same(user, server.username), _same(password, server.password)
    return by_key or (right_user and right_password)


def actor(connection: ASGIConnection) -> str:  # type: ignore[type-arg] # any state, any user
    """Return who a request that was let pass is of, for the event log: user or key, and the peer's address."""
    server: Server = connection.app.state.gateway.config.server
    scheme, _, rest = connection.headers.get("authorization", "").partition(" ")
    user = _basic(rest).partition(":")[0] if scheme.lower() == "basic" else ""
    user = user if _same(user, server.username) else ""  # the key may have let it pass, whatever stands beside it
    name = "local" if not server.auth_key and not (server.username and server.password) else user or "auth_key"
    return f"api:{name}@{connection.client.host if connection.client else ''}"


def is_local(address: str, headers: Headers) -> bool:
    """Return whether a request comes from this machine and nobody passed it on, a browser's other pages included."""
    try:
        loopback = ip_address(address).is_loopback
    except ValueError:
        return False
    host = headers.get("host", "").rsplit(":", 1)[0].strip("[]")
    named = host in ("localhost", "127.0.0.1", "::1") or host == address
    passed_on = any(name in headers for name in _FORWARDING)
    other_page = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    return loopback and named and not passed_on and not other_page


def _same(given: str, expected: str | None) -> bool:
    return hmac.compare_digest(given.encode(), (expected or "").encode()) and bool(expected)


def _basic(encoded: str) -> str:
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return ""
