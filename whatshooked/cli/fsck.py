"""`fsck`: hold what Redis says of each event and each message against itself, and mend it when asked."""

import argparse

from whatshooked.cli.redis import with_redis
from whatshooked.config import Config
from whatshooked.keys import Keys
from whatshooked.stream.fsck import MEANINGS, Disagreement, examine
from whatshooked.stream.link import Link
from whatshooked.stream.outbox_fsck import MEANINGS as OF_OUTBOXES
from whatshooked.stream.outbox_fsck import examine_outboxes


def fsck(options: argparse.Namespace) -> int:
    """Print every disagreement; 1 when some stand unmended."""

    async def work(config: Config, keys: Keys, link: Link) -> list[Disagreement]:
        found = await examine(link, keys, [hook.id for hook in config.hooks], repair=options.repair)
        return found + await examine_outboxes(link, keys, repair=options.repair)

    found = with_redis(work)
    for one in found:
        done = (MEANINGS | OF_OUTBOXES)[one.what] if options.repair else ""
        print(f"{one.id}  {one.what}{f' (hook {one.hook})' if one.hook else ''}{f': {done}' if done else ''}")
    if options.repair:
        print(f"{len(found)} disagreement(s) mended")
        return 0
    print(f"{len(found)} disagreement(s){', mend them with --repair' if found else ''}")
    return 1 if found else 0
