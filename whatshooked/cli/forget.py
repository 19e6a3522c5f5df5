"""`forget`: one person erased or masked everywhere, with a receipt of what was touched."""

import argparse
import sys

import msgspec

from whatshooked.cli.redis import activity, actor, with_redis
from whatshooked.config import Config
from whatshooked.errors import CommandRefused
from whatshooked.keys import Keys
from whatshooked.media.store import open_store
from whatshooked.meta import phone
from whatshooked.people import Forgetting, Receipt
from whatshooked.stream.link import Link


def forget(options: argparse.Namespace) -> int:
    """Forget a person; raises CommandRefused. The exit code is 1 when something is left, which the receipt names."""

    async def work(config: Config, keys: Keys, link: Link) -> Receipt:
        store = open_store(config.media)
        try:
            name = phone.normalise(options.person, config.server.default_country_code)
            found = Forgetting(config, link, keys, store, await activity(config, keys, link))
            return await found.forget(name, actor=actor())
        except ValueError as error:
            raise CommandRefused(str(error)) from error
        finally:
            await store.close()

    if not options.confirm:
        print("forgetting a person cannot be undone: add --confirm", file=sys.stderr)
        return 1
    print("forgetting: this may take a minute ...", file=sys.stderr)
    receipt = with_redis(work)
    print(msgspec.json.encode(receipt).decode() if options.json else _text(receipt))
    return 1 if receipt.left else 0


def _text(receipt: Receipt) -> str:
    counts = (
        ("events deleted", receipt.events),
        ("events of others, without them now", receipt.events_of_others),
        ("messages to them", receipt.messages),
        ("replies", receipt.replies),
        ("other keys", receipt.other_keys),
        ("files", receipt.files),
        *((f"rows masked in {target}", count) for target, count in receipt.log_rows.items()),
    )
    width = max(len(what) for what, _ in counts)
    found = any(count for _, count in counts)
    more = receipt.names - 1
    also = f", with {more} other name{'s' * (more > 1)} of theirs" if more else ""
    lines = [f"{receipt.person} is forgotten{also}" if found else f"nothing of {receipt.person} was found"]
    lines += [f"  {what:<{width}}  {count}" for what, count in counts]
    lines += [f"LEFT: {left}" for left in receipt.left]
    return "\n".join(lines)
