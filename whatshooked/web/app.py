"""The application of one web process: Meta's webhooks, and Litestar for all else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig

from whatshooked import __version__
from whatshooked.config import Config
from whatshooked.traces import App
from whatshooked.web import auth, customers, health, media, uploads
from whatshooked.web.cache import CacheController
from whatshooked.web.described import COMPONENTS, SECURITY, describe
from whatshooked.web.events import EventsController
from whatshooked.web.faults import HANDLERS
from whatshooked.web.gateway import Gateway
from whatshooked.web.hooks import HooksController
from whatshooked.web.messages import MessagesController
from whatshooked.web.people import PeopleController
from whatshooked.web.webhook import PATH, Webhook

_ABOUT = """Durable gateway for WhatsApp Business Cloud API webhooks.

`/webhooks/whatsapp/{account_id}` is Meta's to call: its signature takes the place of credentials. `/api/*` wants HTTP
Basic or an API key."""


class Application:
    """Meta's webhooks go to `Webhook`, all else to Litestar: its way to a handler would cost a fifth of a webhook."""

    def __init__(self, webhook: App, litestar: Litestar, leave: Callable[[], None]) -> None:
        self._webhook = webhook
        self._litestar = litestar
        #: Ends the answers that would go on for ever; for the server, before it waits for all others.
        self.leave = leave

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "http" and scope["path"].startswith(PATH):
            return self._webhook(scope, receive, send)
        return self._litestar(scope, receive, send)


def create_app(config: Config, url: str) -> Application:
    """Return the application for a config and a Redis URL."""
    gateway = Gateway(config, url)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await gateway.start()
        yield
        await gateway.stop()

    controllers = (CacheController, EventsController, HooksController, MessagesController, PeopleController)
    api = Router("/api", route_handlers=[*controllers, uploads.keep], guards=[auth.guard], security=SECURITY)
    litestar = Litestar(
        [api, customers.router, media.router, health.health, health.ready, health.show_metrics],
        state=State({"gateway": gateway}),
        lifespan=[lifespan],
        exception_handlers=HANDLERS,
        openapi_config=OpenAPIConfig(
            title="WhatsHooked", version=__version__, description=_ABOUT, components=COMPONENTS
        ),
        logging_config=None,
    )
    describe(litestar)
    return Application(gateway.traces.served(Webhook(gateway)), litestar, gateway.live.stop)
