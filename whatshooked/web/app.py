"""The application of one web process: the intake, and Litestar for all else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig

from whatshooked import __version__
from whatshooked.config import Config
from whatshooked.web import auth, health
from whatshooked.web.cache import CacheController
from whatshooked.web.faults import HANDLERS
from whatshooked.web.gateway import Gateway
from whatshooked.web.hooks import HooksController
from whatshooked.web.webhook import PATH, Webhook

_ABOUT = """Durable gateway for WhatsApp Business Cloud API webhooks.

Meta's own calls, `GET` and `POST /webhooks/whatsapp/{account_id}`, are not listed: Meta is their only caller, and their
signature takes the place of credentials. `/api/*` wants HTTP Basic or an API key."""


class Application:
    """Meta's webhooks go to the intake, all else to Litestar: its way to a handler would cost a fifth of a webhook."""

    def __init__(self, intake: Webhook, litestar: Litestar) -> None:
        self._intake = intake
        self._litestar = litestar

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PATH):
            await self._intake(scope, receive, send)
        else:
            await self._litestar(scope, receive, send)


def create_app(config: Config, url: str) -> Application:
    """Return the application for a config and a Redis URL."""
    gateway = Gateway(config, url)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await gateway.start()
        yield
        await gateway.stop()

    api = Router("/api", route_handlers=[CacheController, HooksController], guards=[auth.guard])
    litestar = Litestar(
        [api, health.health, health.ready, health.show_metrics],
        state=State({"gateway": gateway}),
        lifespan=[lifespan],
        exception_handlers=HANDLERS,
        openapi_config=OpenAPIConfig(title="WhatsHooked", version=__version__, description=_ABOUT),
        logging_config=None,
    )
    return Application(Webhook(gateway), litestar)
