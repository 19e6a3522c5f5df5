"""The options of `init`, `doctor`, `account`, `customers` and `health`: apart from main.py for their number."""

import argparse
from collections.abc import Callable

#: Makes the function that runs a command, by module and name.
Call = Callable[[str, str], Callable[[argparse.Namespace], int]]

#: States in which a customer's events and messages are (stream/customers.py).
_STATES = ("unread", "waiting", "dead", "poison", "off", "no_file", "unsent", "unknown", "failed")
_ORDER = """\
Questions come in this order, whatever the token sees, and one whose option is given is left out: --token, --waba,
--number-id, --phone, --id, --app-secret, --public-url, --hook, --secrets (y or n). So answers can be piped in, one a
line; an empty line takes what stands in brackets. At a terminal a faulty answer is asked for again (the same once more
keeps it); else all faults are said at the end, and nothing is written."""
_INIT = (
    ("--id", "the account's name in the config (default main)"),
    ("--token", "access token of a system user, with both WhatsApp permissions"),
    ("--number-id", "Meta's id of the number; without it the numbers that the token sees are offered"),
    ("--phone", "the number, such as +1234567890"),
    ("--waba", "id of the WhatsApp Business Account, in which numbers are looked for"),
    ("--app-id", "id of the Meta app, when the token does not tell it"),
    ("--app-secret", "the app's secret, by which webhooks are proven"),
    ("--public-url", "where Meta reaches this gateway, such as https://your-domain.example: for the next steps"),
    ("--hook", "URL that gets the messages"),
    ("--port", "port that the gateway listens on (default 8080)"),
    ("--graph-url", "base of calls to Meta, for a local stand-in"),
)


def add_init(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser, call: Call
) -> None:
    """Add `init`."""
    init = commands.add_parser(
        "init",
        parents=[common],
        help="write a config, asking for what is needed",
        epilog=_ORDER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, text in _INIT:
        init.add_argument(name, default="", metavar="TEXT", help=f"{text}; secrets also as env:NAME or file:PATH")
    init.add_argument("--secrets", choices=("config", "env"), default="", help="where secrets stand (default config)")
    init.add_argument("--force", action="store_true", help="replace a config that is there")
    init.add_argument("--non-interactive", action="store_true", help="ask nothing: what has no default must be given")
    init.set_defaults(does=call("init", "init"))


def add_doctor(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser, call: Call
) -> None:
    """Add `doctor`."""
    doctor = commands.add_parser("doctor", parents=[common], help="check the whole chain from Meta to the hooks")
    doctor.add_argument("--account", default="", metavar="ID", help="this account alone")
    doctor.add_argument("--json", action="store_true", help="one JSON object, for machines")
    doctor.set_defaults(does=call("doctor.command", "doctor"))


def add_customers(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser, call: Call
) -> None:
    """Add `customers`."""
    customers = commands.add_parser(
        "customers", parents=[common], help="whom it concerns that events or messages wait or failed"
    )
    customers.add_argument("--hook", default="", metavar="ID", help="at this hook alone")
    customers.add_argument("--account", default="", metavar="ID", help="at this account alone")
    customers.add_argument("--state", default="", choices=_STATES, help="in this state alone")
    customers.add_argument("--all", action="store_true", help="without the bounds of a look, however long it takes")
    customers.add_argument("--json", action="store_true", help="one JSON object a line, for machines")
    customers.set_defaults(does=call("customers", "customers"))


def add_health(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser, call: Call
) -> None:
    """Add `health`."""
    health = commands.add_parser(
        "health", parents=[common], help="is the process on this machine well: for containers' health checks"
    )
    health.add_argument("--worker", action="store_true", help="ask a worker at metrics.port, not the web process")
    health.add_argument("--host", default="", metavar="HOST", help="ask there (default as the config says)")
    health.add_argument(
        "--port", type=int, default=0, metavar="N", help="ask this port; the config is then not read at all"
    )
    health.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="a worker's loop may stand still so long (default 60)",
    )
    health.set_defaults(does=call("health", "health"))


def add_account(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser, call: Call
) -> None:
    """Add `account` and what it can do."""
    account = commands.add_parser("account", help="the accounts at Meta: look at them, register, subscribe")
    actions = account.add_subparsers(metavar="ACTION", required=True)
    which = argparse.ArgumentParser(add_help=False, parents=[common])
    which.add_argument("--account", default="", metavar="ID", help="which account, when there are several")

    def add(name: str, text: str, module: str, function: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, parents=[which], help=text)
        action.set_defaults(does=call(module, function))
        return action

    add("list", "the configured accounts, as Meta sees them", "account.command", "listing")
    businesses = add("businesses", "businesses and WABAs that the token sees", "account.command", "businesses")
    numbers = add("numbers", "numbers of the WABA, with their ids", "account.command", "numbers")
    numbers.add_argument("--waba", default="", metavar="ID", help="of this WABA instead")
    token = add("token", "what Meta says of the access token: validity, scopes, WABAs", "account.command", "token")
    for action in (businesses, numbers, token):
        action.add_argument(
            "--token", default="", metavar="TEXT", help="this one, without a config; env:NAME, file:PATH"
        )
        action.add_argument("--graph-url", default="", metavar="URL", help="with --token: a local stand-in for Meta")
    _numbers(add)
    _webhooks(add)


def _numbers(add: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    pin = "six digits, env:NAME or file:PATH; without it you are asked"
    register = add("register", "register the number with its PIN, unless it is", "account.number", "register")
    register.add_argument("--pin", default="", metavar="PIN", help=pin)
    deregister = add("deregister", "take the number off the Cloud API", "account.number", "deregister")
    deregister.add_argument("--confirm", action="store_true", help="without it nothing happens")
    code = add("request-code", "let Meta send the code that proves the number", "account.number", "request_code")
    code.add_argument("--method", choices=("sms", "voice"), default="sms", help="how it comes (default sms)")
    code.add_argument("--language", default="en_US", metavar="CODE", help="in which language (default en_US)")
    add("verify-code", "prove the number by that code", "account.number", "verify_code").add_argument("code")
    set_pin = add("set-pin", "set the number's two-step PIN", "account.number", "set_pin")
    set_pin.add_argument("--pin", default="", metavar="PIN", help=pin)


def _webhooks(add: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    add("subscribe", "let the app get the WABA's webhooks", "account.webhook", "subscribe")
    add("unsubscribe", "end them", "account.webhook", "unsubscribe")
    webhook = add("webhook", "show callback URL and fields, or set them", "account.webhook", "webhook")
    webhook.add_argument("--url", default="", help="set it: https://your-domain.example, the path is appended")
    webhook.add_argument("--fields", default="", metavar="A,B", help="subscribe these fields too")
    levels = ("app", "waba", "number")
    webhook.add_argument("--level", choices=levels, default="app", help="for all of the app (default), or one alone")
    webhook.add_argument("--remove", action="store_true", help="take off the URL of a WABA or number")
