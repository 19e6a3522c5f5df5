"""`cache list|stats|replay|delete|clear`: the message cache from the command line."""

import argparse
import sys
from collections.abc import Mapping

import msgspec

from whatshooked.cli.redis import activity, actor, with_redis
from whatshooked.config import Config
from whatshooked.keys import Keys
from whatshooked.media.store import open_store
from whatshooked.stream.cache import Cache, Cached, Stats
from whatshooked.stream.link import Link
from whatshooked.stream.refused import Refused, RefusedReplies
from whatshooked.stream.registry import hooks_now
from whatshooked.stream.replay import Operator
from whatshooked.stream.views import view


def listing(options: argparse.Namespace) -> int:
    """Print cached events, a line each."""

    async def work(_: Config, keys: Keys, link: Link) -> list[tuple[Cached, dict[str, Refused]]]:
        found = await Cache(link, keys).page(options.after, options.limit)
        refused = await RefusedReplies(link, keys).of_events(one.id for one in found)
        return [(one, refused.get(one.id, {})) for one in found]

    found = with_redis(work)
    if not found:
        print(f"nothing is cached behind {options.after}" if options.after else "the cache is empty", file=sys.stderr)
    for cached, refused in found:
        print(msgspec.json.encode(view(cached, refused)).decode() if options.json else _line(cached, refused))
    return 0


def stats(_: argparse.Namespace) -> int:
    """Print counts."""

    async def work(_: Config, keys: Keys, link: Link) -> Stats:
        return await Cache(link, keys).stats()

    found = with_redis(work)
    print(f"{found.total} cached, oldest {found.oldest or 'none'}")
    for title, counts in (("state", found.by_state), ("event", found.by_event), ("hook", found.by_hook)):
        for name, count in counts.most_common():
            print(f"  {title:<6} {name:<40} {count}")
    return 0


def replay(options: argparse.Namespace) -> int:
    """Replay one event, or all."""

    async def work(config: Config, keys: Keys, link: Link) -> int | None:
        operator = await _operator(config, keys, link)
        if options.hook and options.hook not in {hook.id for hook in config.hooks}:
            return None
        if not options.id:
            return await operator.replay_all(hook_id=options.hook, again=options.again)
        counts = await operator.replay([options.id], hook_id=options.hook, again=options.again)
        return int(counts[options.id] > 0) if options.id in counts else None

    count = with_redis(work)
    if count is None:
        named = [f"event {options.id}"] if options.id else []
        named += [f"hook {options.hook}"] if options.hook else []
        print(f"there is no {' or no '.join(named)}", file=sys.stderr)
        return 1
    print(f"replayed {count}")
    if options.id and not (count or options.hook or options.again):
        print(
            "no hook is left that wants it and has not got it: --hook ID tells one once more, --again tells all and "
            "sends their replies again",
            file=sys.stderr,
        )
    return 0


def delete(options: argparse.Namespace) -> int:
    """Delete one event."""

    async def work(config: Config, keys: Keys, link: Link) -> bool:
        return await (await _operator(config, keys, link)).delete(options.id)

    if not with_redis(work):
        print(f"no event {options.id} in the stream", file=sys.stderr)
        return 1
    print("deleted 1")
    return 0


def clear(options: argparse.Namespace) -> int:
    """Delete all that is parked."""

    async def work(config: Config, keys: Keys, link: Link) -> int:
        return await (await _operator(config, keys, link)).clear()

    if not options.confirm:
        print("clearing the cache deletes events for good: add --confirm", file=sys.stderr)
        return 1
    print(f"deleted {with_redis(work)}")
    return 0


async def _operator(config: Config, keys: Keys, link: Link) -> Operator:
    hooks = await hooks_now(link, keys, config)
    media = config.media
    return Operator(
        link,
        keys,
        lambda: hooks,
        has_file=open_store(media).has,
        hold_ms=media.hold_ms,
        activity=await activity(config, keys, link),
        actor=actor(),
    )


def _line(cached: Cached, refused: Mapping[str, Refused]) -> str:
    hooks = " ".join(
        f"{hook}:{state.state}({state.attempts}{f', {state.last_error}' if state.last_error else ''})"
        for hook, state in cached.hooks.items()
    )
    hooks += "".join(f" {hook}:reply refused({one.reason})" for hook, one in refused.items())
    what = f"{cached.type:<20} {cached.event.account_id}" if cached.event else cached.type
    return f"{cached.id:<20} {cached.state:<10} {what}  {hooks}".rstrip()
