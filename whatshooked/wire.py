"""The HTTP client for what is many or large: deliveries to hooks, files from Meta.

It is Rust's reqwest through pyreqwest: the fastest of those that keep a total deadline and stream a body, and it leaves
redirects, proxies of the environment and decompression alone.
"""

from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from whatshooked import __version__

_CONNECTING = timedelta(seconds=5)
_IDLE = timedelta(seconds=30)


def client() -> Client:
    """Return a client; one per process and purpose, it keeps its connections."""
    builder = ClientBuilder().no_proxy().follow_redirects(False).referer(False)
    builder = builder.gzip(False).brotli(False).zstd(False).deflate(False).connect_timeout(_CONNECTING)
    return builder.user_agent(f"WhatsHooked/{__version__}").pool_idle_timeout(_IDLE).build()


def explain(error: PyreqwestError) -> str:
    """Return one line on why nothing came of a request, without the URL, which may hold a secret."""
    if isinstance(error, RequestTimeoutError):
        return "timeout"
    details = getattr(error, "details", None) or {}
    causes = [str(cause.get("message", "")) for cause in details.get("causes") or []]
    useful = [cause for cause in causes if cause and "://" not in cause]
    return ": ".join(useful[-2:]) or type(error).__name__
