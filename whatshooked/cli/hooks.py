"""`hook list|enable|disable`: see the hooks, and turn one on or off at run time."""

import argparse
import sys

from whatshooked.cli.redis import activity, actor, with_redis
from whatshooked.config import Config
from whatshooked.hooks.delivery import shown
from whatshooked.hooks.hook import Hooks
from whatshooked.keys import Keys
from whatshooked.stream.link import Link
from whatshooked.stream.registry import hooks_now, switch


def listing(_: argparse.Namespace) -> int:
    """Print the hooks, active as of now."""

    async def work(config: Config, keys: Keys, link: Link) -> Hooks:
        return await hooks_now(link, keys, config)

    hooks = with_redis(work)
    active = {hook.id for hook in hooks.active}
    for hook in hooks.all:
        events = ",".join(hook.events) or "all events"
        print(f"{hook.id:<24} {'on ' if hook.id in active else 'off'}  {hook.method} {shown(hook.url)}  {events}")
    return 0


def enable(options: argparse.Namespace) -> int:
    """Turn a hook on."""
    return _switch(options.id, active=True)


def disable(options: argparse.Namespace) -> int:
    """Turn a hook off."""
    return _switch(options.id, active=False)


def _switch(hook_id: str, *, active: bool) -> int:
    async def work(config: Config, keys: Keys, link: Link) -> bool:
        in_file = {hook.id: hook.active for hook in config.hooks}
        if hook_id not in in_file:
            return False
        await switch(link, keys, hook_id, active, in_file[hook_id], await activity(config, keys, link), actor())
        return True

    if not with_redis(work):
        print(f"no hook {hook_id} in the config", file=sys.stderr)
        return 1
    print(f"{hook_id} is {'on' if active else 'off'}")
    return 0
