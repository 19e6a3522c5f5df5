"""What can be said behind `whatshooked simulate`."""

import argparse
from collections.abc import Callable

#: Module of the commands, function -> what carries out the command.
Call = Callable[[str, str], Callable[[argparse.Namespace], int]]

_ABOUT = """\
Plays Meta and its users: a stand-in for the Cloud API; messages, statuses and notices as webhooks.

They come from the stand-in (--sim), which `whatshooked simulate serve` starts, or go straight to any gateway
(--gateway URL --app-secret S). What that gateway sends is then not seen here: it asks its own Graph."""
#: The simulator's MediaFault, which is not loaded for the sake of a help text.
_FAULTS = "slow, wrong_hash, truncated, short, oversize, endless, wrong_type, redirect, redirect_away"
_SCRIPT = """\
FILE is a JSON array of steps, an object with `steps`, or one step a line. A step is one of

  {"say": "Hi"}                     {"say": {"kind": "image", "variant": "forwarded", "text": "...", "from": "..."}}
  {"expect": "echo: Hi"}            {"expect": {"matches": "^echo", "type": "text", "within": 5}}
  {"expect": {"status": "read"}}    a status of what the business sent; a number is a webhook's answer
  {"expect": {"none": true}}        for `within` seconds (10) the business sends nothing
  {"status": {"message_id": "last", "status": "failed", "code": 131026}}
  {"notify": "account_update"}      {"notify": {"field": "...", "event": "...", "value": {}}}
  {"wait": 1.5}  {"advance": 86400} seconds of ours; seconds by which Meta's clock is set forward

Any step may have a "note". exit codes: 0 all held, 1 one did not (it is named), 2 the file is wrong"""


def declare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", call: Call) -> None:
    """Add `simulate` and what stands behind it."""
    simulate = commands.add_parser(
        "simulate",
        help="play Meta and its users: serve, phone, send, status, notify, burst, script",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = simulate.add_subparsers(metavar="ACTION", required=True)
    target = _target()
    # The stand-in reads its own options: to this parser, whose options begin with NUL, they are plain words.
    serve = actions.add_parser(
        "serve", help="start the stand-in (--help lists its options)", add_help=False, prefix_chars="\N{NULL}"
    )
    serve.add_argument("rest", nargs="*")
    serve.set_defaults(does=call("simulate.command", "serve"))
    phone = actions.add_parser("phone", parents=[target], help="chat: you are the customer")
    phone.add_argument("--from", dest="from_", default="", metavar="P", help="who you are: phone or user id")
    phone.add_argument(
        "--linger", type=_seconds, default=2.0, metavar="S", help="at the end of input wait for S silent seconds (2)"
    )
    phone.set_defaults(does=call("phone.command", "phone"))
    _send(actions.add_parser("send", parents=[target], help="one message of any type and variant"), call)
    _others(actions, target, call)
    script = actions.add_parser(
        "script",
        parents=[target],
        help="a conversation as data, for tests and bug reports",
        description=_SCRIPT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    script.add_argument("file", metavar="FILE")
    script.set_defaults(does=call("simulate.script", "script"))


def _target() -> argparse.ArgumentParser:
    target = argparse.ArgumentParser(add_help=False)
    where = target.add_argument_group("where")
    where.add_argument("--sim", metavar="URL", help="the stand-in (default WHATSHOOKED_SIM, else 127.0.0.1:8081)")
    where.add_argument("--gateway", metavar="URL", help="a gateway's webhook URL instead of the stand-in")
    where.add_argument("--app-secret", metavar="S", help="signs for the gateway: the secret, env:NAME or file:PATH")
    where.add_argument("--number-id", default="", metavar="ID", help="phone_number_id that is written to")
    where.add_argument("--waba", default="", metavar="ID", help="WABA of the number, for the gateway")
    where.add_argument("--phone", default="", metavar="P", help="the number itself, for the gateway")
    return target


def _send(send: argparse.ArgumentParser, call: Call) -> None:
    send.add_argument("kind", metavar="TYPE", help="text, image, ..., `list` for all types and variants")
    send.add_argument("--variant", default="", metavar="V", help="a variant, or several joined by +")
    send.add_argument("--from", dest="from_", default="", metavar="P", help="who writes: phone or user id")
    send.add_argument("--text", default="", metavar="T", help="what is said, or the caption")
    send.add_argument("--file", metavar="F", help="the file of a media message (default a sample)")
    send.add_argument("--fault", default="", metavar="F", help=f"how its download goes wrong: {_FAULTS}")
    send.add_argument("--about", default="", metavar="ID", help="message replied to, reacted to, edited, taken back")
    send.add_argument("--choice", default="", metavar="ID", help="id of the button or row that is chosen")
    send.add_argument("--emoji", default="", metavar="E", help="of a reaction")
    send.add_argument("--group", default="", metavar="ID", help="of the variant `group`")
    send.add_argument("--new-phone", default="", metavar="P", help="of a user who changes number")
    send.add_argument("--count", type=_positive, default=1, metavar="N", help="how many of them (default 1)")
    send.set_defaults(does=call("simulate.command", "send"))


def _others(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", target: argparse.ArgumentParser, call: Call
) -> None:
    status = actions.add_parser("status", parents=[target], help="one status of a message that was sent")
    status.add_argument("message_id", metavar="MESSAGE_ID")
    status.add_argument("status", metavar="STATUS", help="sent, delivered, read, played, failed")
    status.add_argument("--code", type=_positive, default=0, metavar="C", help="why it failed")
    status.set_defaults(does=call("simulate.command", "status"))
    notify = actions.add_parser("notify", parents=[target], help="a webhook of any other field")
    notify.add_argument("field", metavar="FIELD", help="account_update, ..., `list` for all fields and events")
    notify.add_argument("--event", default="", metavar="E", help="which of the field's events")
    notify.add_argument("--value", default="", metavar="JSON", help="the value itself")
    notify.set_defaults(does=call("simulate.command", "notify"))
    burst = actions.add_parser("burst", parents=[target], help="many messages at a rate")
    burst.add_argument("--rate", type=_rate, default=50.0, metavar="R", help="messages a second (default 50)")
    burst.add_argument("--count", type=_positive, default=500, metavar="N", help="messages (default 500)")
    burst.add_argument("--duplicates", type=_share, default=0.0, metavar="D", help="share sent twice, 0 to 1")
    burst.add_argument("--disorder", action="store_true", help="shuffle neighbours")
    burst.add_argument("--users", type=_positive, default=20, metavar="N", help="people who write (default 20)")
    burst.set_defaults(does=call("simulate.burst", "burst"))


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return number


def _between(text: str, least: float, most: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
    return number


def _rate(text: str) -> float:
    return _between(text, 0.001, 100_000, "messages a second")


def _share(text: str) -> float:
    return _between(text, 0, 1, "a share from 0 to 1")


def _seconds(text: str) -> float:
    return _between(text, 0, 86_400, "seconds")
