"""The Litestar application of one web process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig

from whatshooked import __version__
from whatshooked.config import Config
from whatshooked.web import auth, health, webhook
from whatshooked.web.cache import CacheController
from whatshooked.web.faults import HANDLERS
from whatshooked.web.gateway import Gateway
from whatshooked.web.hooks import HooksController

_ABOUT = """Durable gateway for WhatsApp Business Cloud API webhooks.

Meta's own calls, `GET` and `POST /webhooks/whatsapp/{account_id}`, are not listed: Meta is their only caller, and their
signature takes the place of credentials. `/api/*` wants HTTP Basic or an API key."""


def create_app(config: Config, url: str) -> Litestar:
    """Return the application for a config and a Redis URL."""
    gateway = Gateway(config, url)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await gateway.start()
        yield
        await gateway.stop()

    api = Router("/api", route_handlers=[CacheController, HooksController], guards=[auth.guard])
    return Litestar(
        [webhook.handler(gateway), api, health.health, health.ready, health.show_metrics],
        state=State({"gateway": gateway}),
        lifespan=[lifespan],
        exception_handlers=HANDLERS,
        openapi_config=OpenAPIConfig(title="WhatsHooked", version=__version__, description=_ABOUT),
        logging_config=None,
    )
