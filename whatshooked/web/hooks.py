"""The hooks' API: see them, and turn one on or off at run time in every process."""

from typing import Annotated

import msgspec
from litestar import Controller, get, patch
from litestar.datastructures import State
from litestar.params import JSONBody, PathParameter

from whatshooked import logs
from whatshooked.hooks.delivery import shown
from whatshooked.hooks.hook import Hooks
from whatshooked.stream.registry import switch
from whatshooked.web.auth import AnyRequest, actor
from whatshooked.web.faults import Fault
from whatshooked.web.gateway import Gateway

log = logs.get("hooks")

HookId = Annotated[str, PathParameter(description="the hook's id")]


class HookView(msgspec.Struct):
    """A hook as shown: without headers and secret, its URL without query."""

    id: str
    name: str
    url: str
    method: str
    active: bool
    events: list[str]
    accounts: list[str]
    description: str


class HookChange(msgspec.Struct, forbid_unknown_fields=True):
    """What can be changed at run time."""

    active: bool


class HooksController(Controller):
    """`/api/hooks`."""

    path = "/hooks"
    tags = ("hooks",)

    @get(summary="List the hooks")
    async def list_hooks(self, state: State) -> list[HookView]:
        """Return the configured hooks, active as of now."""
        gateway: Gateway = state.gateway
        return views(await gateway.hooks())

    @patch("/{hook_id:str}", summary="Turn a hook on or off")
    async def change(self, request: AnyRequest, state: State, hook_id: HookId, data: JSONBody[HookChange]) -> HookView:
        """Switch a hook in every process within a second; it holds over restarts until the file says otherwise."""
        gateway: Gateway = state.gateway
        in_file = {hook.id: hook.active for hook in gateway.config.hooks}
        if hook_id not in in_file:
            raise Fault(404, "unknown_hook", "no hook of this id is configured", "see GET /api/hooks")
        who = actor(request)
        await switch(gateway.link, gateway.keys, hook_id, data.active, in_file[hook_id], gateway.activity, who)
        log.info("Hook switched", hook_id=hook_id, active=data.active)
        return next(view for view in views(await gateway.hooks()) if view.id == hook_id)


def views(hooks: Hooks) -> list[HookView]:
    """Return hooks as they are shown."""
    active = {hook.id for hook in hooks.active}
    return [
        HookView(
            hook.id,
            hook.name,
            shown(hook.url),
            hook.method,
            hook.id in active,
            list(hook.events),
            list(hook.accounts),
            hook.description,
        )
        for hook in hooks.all
    ]
