"""`messages list|show|resend|drop|refused`: the outbox from the command line."""

import argparse
import sys

import msgspec

from whatshooked.cli.graph import connected
from whatshooked.cli.redis import activity, actor, with_redis
from whatshooked.config import Config
from whatshooked.errors import CommandRefused
from whatshooked.keys import Keys
from whatshooked.stream import messages
from whatshooked.stream.link import Link
from whatshooked.stream.messages import MessageView, Owned, Wanted
from whatshooked.stream.outbox import Decision, Outbox
from whatshooked.stream.refused import Refused, RefusedReplies
from whatshooked.stream.views import refused_view


def listing(options: argparse.Namespace) -> int:
    """Print messages, a line each, and on standard error which accounts send nothing now. Raises CommandRefused."""

    async def work(config: Config, keys: Keys, link: Link) -> tuple[list[Owned], dict[str, str]]:
        outbox, account_ids = Outbox(link, keys), _accounts(config, options)
        found = await _listed(outbox, account_ids, _wanted(config, options), options.limit)
        return found, (await messages.counted(outbox, account_ids))[1]

    found, held = with_redis(work)
    for account_id, reason in held.items():
        print(f"{account_id} sends nothing now: {reason}", file=sys.stderr)
    for one in found:
        shown = messages.view(one)
        print(msgspec.json.encode(shown).decode() if options.json else _line(shown))
    return 0


def show(options: argparse.Namespace) -> int:
    """Print all that is known of a message; raises CommandRefused."""

    async def work(config: Config, keys: Keys, link: Link) -> Owned:
        return await _found(Outbox(link, keys), config, options)

    print(msgspec.json.format(msgspec.json.encode(messages.view(with_redis(work)))).decode())
    return 0


def refused(options: argparse.Namespace) -> int:
    """Print replies of hooks that nobody sends, a line each."""

    async def work(_: Config, keys: Keys, link: Link) -> list[Refused]:
        return await RefusedReplies(link, keys).newest(options.limit, hook_id=options.hook)

    for one in map(refused_view, with_redis(work)):
        line = f"{one.at}  {one.event_id:<20} {one.kind:<8} {one.hook_id:<16} {one.reason}"
        print(msgspec.json.encode(one).decode() if options.json else line)
    return 0


def resend(options: argparse.Namespace) -> int:
    """Send a message once more; raises CommandRefused."""
    return _decide(options, "resend")


def drop(options: argparse.Namespace) -> int:
    """Give a message up; raises CommandRefused."""
    return _decide(options, "drop")


def _decide(options: argparse.Namespace, decision: Decision) -> int:
    async def work(config: Config, keys: Keys, link: Link) -> str:
        outbox = Outbox(link, keys, await activity(config, keys, link))
        found = await _found(outbox, config, options)
        done, state = await outbox.decide(found.account_id, found.record, decision, actor=actor())
        if not done:
            may = "failed or unknown" if decision == "resend" else "unknown"
            raise CommandRefused(f"the message is {state or 'forgotten'}: {decision} is for what is {may}")
        return str(state)

    print(f"{options.id} {with_redis(work)}")
    return 0


async def _listed(outbox: Outbox, account_ids: list[str], wanted: Wanted, most: int) -> list[Owned]:
    found: list[Owned] = []
    while len(found) < most:
        page = msgspec.structs.replace(wanted, limit=min(messages.MOST, most - len(found)))
        rows, following = await messages.listing(outbox, account_ids, page)
        found += rows
        if following is None:
            break
        wanted = msgspec.structs.replace(wanted, after=following)
    return found


async def _found(outbox: Outbox, config: Config, options: argparse.Namespace) -> Owned:
    found = await messages.find(outbox, _accounts(config, options), options.id)
    if found is None:
        raise CommandRefused(f"no message {options.id}: it was forgotten a week after it was made, or never was")
    return found


def _accounts(config: Config, options: argparse.Namespace) -> list[str]:
    return [account.id for account, _ in connected(config, options.account)]


def _wanted(config: Config, options: argparse.Namespace) -> Wanted:
    code = config.server.default_country_code
    return Wanted(
        states=(options.state,) if options.state else (),
        recipients=messages.recipients(options.to, code) if options.to else frozenset(),
        since=messages.unix_ms(options.since) if options.since else 0,
        until=messages.unix_ms(options.until) if options.until else -1,
    )


def _line(shown: MessageView) -> str:
    became = " ".join(filter(None, (shown.status, str(shown.code or ""), shown.error)))
    who = f"{shown.account_id}  {shown.kind:<11} {shown.to or '':<16}"
    return f"{shown.created}  {shown.id:<28} {shown.state:<8} {who} {became}".rstrip()
