"""OpenTelemetry traces: one from a webhook to the answer of each hook.

Off unless the config turns them on, and then nothing of OpenTelemetry is imported: who makes spans speaks to `Traces`,
which does nothing.

carrier   a span's context as the entry carries it, and as HTTP does
spans     what stands in each span
export    how spans leave this process, and what becomes of them at its end
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

from whatshooked.config import Hook, TracesConfig
from whatshooked.events import Event
from whatshooked.hooks.delivery import Result, Sender

#: An ASGI application.
App = Callable[[Any, Any, Any], Awaitable[None]]


class Taken(Protocol):
    """What the intake says of one event."""

    @property
    def new(self) -> bool:
        """Whether it was seen for the first time."""


class Traces(Protocol):
    """Makes the spans of one process."""

    def served(self, app: App, /) -> App:
        """Return the application with a span around each request."""

    def context(self) -> bytes | None:
        """Return the context of the request that is served now, for its events."""

    def took(self, account_id: str, added: Sequence[Taken], /) -> None:
        """Note what the request brought."""

    def post(
        self, sender: Sender, hook: Hook, event: Event, event_id: str, body: bytes, *, number: int, replay: bool
    ) -> Awaitable[Result]:
        """Make an attempt, the `number`th, whose receiver is told which span called it."""

    async def close(self) -> None:
        """Send what is left, within two seconds."""


class _Off:
    def served(self, app: App) -> App:
        return app

    def context(self) -> None:
        return None

    def took(self, *_: object) -> None:
        pass

    def post(
        self,
        sender: Sender,
        hook: Hook,
        event: Event,
        event_id: str,
        body: bytes,
        *,
        number: int,  # noqa: ARG002 - for spans alone
        replay: bool,
    ) -> Awaitable[Result]:
        return sender.post(hook, event.type, event.account_id, event_id, body, replay=replay)

    async def close(self) -> None:
        pass


#: No traces.
OFF: Traces = _Off()


def open_traces(settings: TracesConfig, role: Literal["web", "worker"]) -> Traces:
    """Return what makes this process's spans; it exports them from a thread of its own until it is closed."""
    if not settings.enabled:
        return OFF
    from whatshooked.traces.spans import Spans

    return Spans(settings, role)
