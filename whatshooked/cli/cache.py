"""`cache list|stats|replay|delete|clear`: the message cache from the command line."""

import argparse
import sys
from collections.abc import Mapping

import msgspec

from whatshooked.cli.redis import activity, actor, with_redis
from whatshooked.config import Config
from whatshooked.keys import Keys
from whatshooked.media.store import open_store
from whatshooked.stream.cache import PASSED_LIMIT, Cache, Cached, Page, Stats
from whatshooked.stream.link import Link
from whatshooked.stream.refused import Refused, RefusedReplies
from whatshooked.stream.registry import hooks_now
from whatshooked.stream.replay import Operator
from whatshooked.stream.views import view


def listing(options: argparse.Namespace) -> int:
    """Print cached events, a line each."""

    async def work(_: Config, keys: Keys, link: Link) -> tuple[Page, dict[str, dict[str, Refused]]]:
        page = await Cache(link, keys).page(
            options.after, options.limit, state=options.state or None, hook=options.hook
        )
        return page, await RefusedReplies(link, keys).of_events(one.id for one in page.events)

    page, refusals = with_redis(work)
    for cached in page.events:
        refused = refusals.get(cached.id, {})
        print(msgspec.json.encode(view(cached, refused)).decode() if options.json else _line(cached, refused))
    if said := _rest(page, options):
        print(said, file=sys.stderr)
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


def _rest(page: Page, options: argparse.Namespace) -> str:
    """Return what is to be said of a listing that found less than it was asked for, "" otherwise."""
    if len(page.events) == options.limit:
        return ""
    if page.next:
        return f"passed over {PASSED_LIMIT:,} others and looked no further: --after {page.next} goes on"
    if page.events:
        return ""
    what = "nothing of this kind is cached" if options.state or options.hook else "nothing is cached"
    if options.after:
        return f"{what} behind {options.after}"
    return what if options.state or options.hook else "the cache is empty"


def _line(cached: Cached, refused: Mapping[str, Refused]) -> str:
    hooks = " ".join(
        f"{hook}:{state.state}({state.attempts}{f', {state.last_error}' if state.last_error else ''})"
        for hook, state in cached.hooks.items()
    )
    hooks += "".join(f" {hook}:reply refused({one.reason})" for hook, one in refused.items())
    what = f"{cached.type:<20} {cached.event.account_id}" if cached.event else cached.type
    return f"{cached.id:<20} {cached.state:<10} {what}  {hooks}".rstrip()
