"""What can be said behind `whatshooked send` and `whatshooked messages`."""

import argparse
from collections.abc import Callable
from datetime import datetime

#: Makes the function that runs a command, by module and name.
Call = Callable[[str, str], Callable[[argparse.Namespace], int]]

_STATES = ("new", "sending", "sent", "failed", "unknown")
_SEND = """\
Puts a message into the outbox, from where a worker sends it. Outside the 24 hours after a customer's last message Meta
takes templates only.

  whatshooked send +4915112345678 "Hello"
  whatshooked send +4915112345678 --template hello_world --language en_US --wait 5
  whatshooked send --file body.json        Meta's own body, as it stands in Meta's documentation; - is standard input

exit codes: 0 taken (with --wait also: sent, or still under way), 1 refused by Meta or nobody knows, 2 cannot be sent"""


def add_send(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser, call: Call
) -> None:
    """Add `send`."""
    send = commands.add_parser(
        "send",
        parents=[common],
        help="send a message",
        description=_SEND,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    send.add_argument("to", nargs="?", metavar="TO", help="phone number, user id or group id")
    send.add_argument("text", nargs="?", metavar="TEXT", help="what to say")
    send.add_argument("--account", default="", metavar="ID", help="by which account, when there are several")
    send.add_argument(
        "--template", default="", metavar="NAME", help="a template without parameters, in place of a text"
    )
    send.add_argument("--language", default="en_US", metavar="CODE", help="the template's language (default en_US)")
    send.add_argument("--file", default="", metavar="BODY.json", help="Meta's body, for every other kind of message")
    send.add_argument("--wait", type=_seconds, default=0.0, metavar="S", help="wait S seconds for Meta's answer")
    send.set_defaults(does=call("send", "send"))


def add_messages(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser, call: Call
) -> None:
    """Add `messages` and what it can do."""
    messages = commands.add_parser(
        "messages", help="what was sent: list, show, resend, drop; refused: replies that were not"
    )
    actions = messages.add_subparsers(metavar="ACTION", required=True)
    which = argparse.ArgumentParser(add_help=False, parents=[common])
    which.add_argument("--account", default="", metavar="ID", help="of this account alone")
    listing = actions.add_parser("list", parents=[which], help="messages, newest first")
    listing.add_argument("--state", choices=_STATES, default="", help="in this state alone")
    listing.add_argument("--to", default="", metavar="TO", help="to this phone number, user id or group id alone")
    listing.add_argument("--since", type=_moment, metavar="TIME", help="created then or later: 2026-01-30T12:00:00Z")
    listing.add_argument("--until", type=_moment, metavar="TIME", help="created before")
    listing.add_argument("--limit", type=_count, default=100, metavar="N", help="messages at most (default 100)")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, with bodies")
    listing.set_defaults(does=call("messages", "listing"))
    refused = actions.add_parser("refused", parents=[common], help="replies of hooks that nobody sends, and why")
    refused.add_argument("--hook", default="", metavar="ID", help="of this hook alone")
    refused.add_argument("--limit", type=_count, default=100, metavar="N", help="replies at most (default 100)")
    refused.add_argument("--json", action="store_true", help="one JSON object a line")
    refused.set_defaults(does=call("messages", "refused"))
    for name, text in (
        ("show", "one message, with all that is known of it"),
        ("resend", "send an unknown or failed message once more; an unknown one may arrive twice"),
        ("drop", "give an unknown message up: it counts as failed"),
    ):
        action = actions.add_parser(name, parents=[which], help=text)
        action.add_argument("id")
        action.set_defaults(does=call("messages", name))


def _seconds(text: str) -> float:
    seconds = float(text) if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdecimal() else -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to 3600, got {text!r}")
    return seconds


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return number


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a time looks like 2026-01-30T12:00:00Z, got {text!r}") from None
