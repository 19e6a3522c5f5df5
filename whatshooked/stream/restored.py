"""What a restored Redis cannot know: whether the messages that waited when it was copied have been sent since."""

from whatshooked.keys import Keys
from whatshooked.stream.link import Link, Script
from whatshooked.stream.person_events import evaluate
from whatshooked.stream.registry import known_accounts

#: Not loaded by every connection: it is needed once in a while.
_DOUBT = Script("restored/doubt")
#: What such a message shows as its error.
ERROR = "restored from a backup: it may have been sent since"


async def doubt(link: Link, keys: Keys) -> dict[str, int]:
    """Take all that waits to be sent for unknown; returns how many messages by account. Raises StreamUnavailable.

    To be called while no worker runs; called again after a kill it does the rest.
    """
    found: dict[str, int] = {}
    for account_id in await known_accounts(link, keys):
        box = keys.outbox(account_id)
        states = [box.of_state(state) for state in ("new", "sending", "unknown")]
        for name in states[:2]:
            for row in await link.call("ZRANGE", name, 0, -1):
                message_id = row.decode()
                recipient = (await link.call("HGET", box.message(message_id), "to") or b"").decode()
                names = [box.due, box.line(recipient), box.message(message_id), *states]
                count = await evaluate(link, _DOUBT, names, recipient, message_id, ERROR)
                found[account_id] = found.get(account_id, 0) + count
    return found
