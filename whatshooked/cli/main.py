"""The command line: what can be said, and who does it."""

import argparse
import os
import re
import sys
from collections.abc import Sequence

from whatshooked import __version__
from whatshooked.cli.log_options import add_log, add_stats, add_tail
from whatshooked.cli.message_options import add_messages, add_send
from whatshooked.cli.options import add_account, add_customers, add_doctor, add_health, add_init
from whatshooked.cli.simulate import options as simulate_options
from whatshooked.errors import WhatsHookedError, exit_code

_EPILOG = """\
The config is the file given with -c, else the one WHATSHOOKED_CONFIG names, else ./config.json.

exit codes: 0 done, 1 something was found or refused, 2 wrong usage, 69 Redis, a port or a folder cannot be used,
            78 the config is refused"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = build()
    options = parser.parse_args(argv)
    if options.config:
        os.environ["WHATSHOOKED_CONFIG"] = options.config
    try:
        code: int = options.does(options)
    except WhatsHookedError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `whatshooked cache list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def server() -> int:
    """Run the earlier program's call: `whatshook-server -config FILE` starts everything in one."""
    parser = argparse.ArgumentParser("whatshook-server", description="Start the whole gateway in one.")
    parser.add_argument("-config", "--config", "-c", metavar="FILE", help="the configuration file")
    options = parser.parse_args()
    return main(["run", *(["-c", options.config] if options.config else [])])


def build() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    common = argparse.ArgumentParser(add_help=False)
    # Suppressed, or a command's own default would hide the -c that stands before the command.
    common.add_argument("-c", "--config", metavar="FILE", help="the configuration file", default=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(
        "whatshooked",
        description="Durable gateway for WhatsApp Business Cloud API webhooks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="the configuration file, also behind the command")
    parser.add_argument("--version", action="version", version=f"whatshooked {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _processes(commands, common)
    add_init(commands, common, _call)
    add_doctor(commands, common, _call)
    add_account(commands, common, _call)
    add_health(commands, common, _call)
    _config(commands, common)
    _cache(commands, common)
    _hooks(commands, common)
    add_customers(commands, common, _call)
    add_send(commands, common, _call)
    add_messages(commands, common, _call)
    add_log(commands, common, _call)
    add_tail(commands, common, _call)
    add_stats(commands, common, _call)
    _forget(commands, common)
    _fsck(commands, common)
    _backup(commands, common)
    simulate_options.declare(commands, _call)
    return parser


def _processes(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    run = commands.add_parser(
        "run", parents=[common], help="everything in one: gateway, worker, Redis if none is configured"
    )
    run.add_argument("--processes", type=_positive, default=1, metavar="N", help="web processes (default 1)")
    run.add_argument("--workers", type=_positive, default=1, metavar="N", help="worker processes (default 1)")
    run.add_argument(
        "--hook",
        default="",
        type=_hook_url,
        metavar="URL",
        help="without a config: deliver to this URL, not the sample",
    )
    run.set_defaults(does=_call("run", "run"))
    serve = commands.add_parser("serve", parents=[common], help="the web processes alone")
    serve.add_argument("--processes", type=_positive, default=1, metavar="N", help="web processes (default 1)")
    serve.set_defaults(does=_call("serve", "serve"))
    worker = commands.add_parser(
        "worker", parents=[common], help="one worker process (as `arq workers.settings.WorkerSettings`)"
    )
    worker.set_defaults(does=_call("serve", "worker"))


def _config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    check = commands.add_parser("check", parents=[common], help="read the config and say what is wrong with it")
    check.set_defaults(does=_call("configs", "check"))
    schema = commands.add_parser("schema", parents=[common], help="print the config's JSON Schema, for editors")
    schema.set_defaults(does=_call("configs", "print_schema"))


def _cache(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    cache = commands.add_parser("cache", help="the message cache: list, stats, replay, delete, clear")
    actions = cache.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", parents=[common], help="cached events, oldest first")
    listing.add_argument("--after", default="", metavar="ID", type=_event_id, help="begin behind this id")
    listing.add_argument("--limit", type=_positive, default=100, metavar="N", help="events at most (default 100)")
    states = ("waiting", "dead", "unmatched", "poison")
    listing.add_argument("--state", choices=states, default="", help="in this state alone; with --hook, to this hook")
    listing.add_argument("--hook", default="", metavar="ID", help="those alone that this hook has not taken")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, with payloads")
    listing.set_defaults(does=_call("cache", "listing"))
    stats = actions.add_parser("stats", parents=[common], help="counts by state, event and hook")
    stats.set_defaults(does=_call("cache", "stats"))
    replay = actions.add_parser("replay", parents=[common], help="deliver again to the hooks that match now")
    replay.add_argument(
        "id", nargs="?", default="", type=_event_id, help="one event's id (without it, all cached events)"
    )
    replay.add_argument("--hook", default="", metavar="ID", help="to this hook alone, even if it took the event")
    replay.add_argument("--again", action="store_true", help="also to hooks that took the event")
    replay.set_defaults(does=_call("cache", "replay"))
    delete = actions.add_parser("delete", parents=[common], help="remove one event")
    delete.add_argument("id", type=_event_id)
    delete.set_defaults(does=_call("cache", "delete"))
    clear = actions.add_parser("clear", parents=[common], help="remove all parked events")
    clear.add_argument("--confirm", action="store_true", help="without it nothing happens")
    clear.set_defaults(does=_call("cache", "clear"))


def _hooks(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    hook = commands.add_parser("hook", help="the hooks: list, enable, disable")
    actions = hook.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("list", parents=[common], help="hooks, active as of now").set_defaults(
        does=_call("hooks", "listing")
    )
    for name, text in (("enable", "turn a hook on"), ("disable", "turn a hook off: it keeps its open events")):
        action = actions.add_parser(name, parents=[common], help=text + ", in every process within a second")
        action.add_argument("id")
        action.set_defaults(does=_call("hooks", name))


def _forget(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    forget = commands.add_parser("forget", parents=[common], help="erase or mask one person everywhere, with a receipt")
    forget.add_argument("person", metavar="NUMBER", help="the number with its country code, or Meta's user id")
    forget.add_argument("--confirm", action="store_true", help="without it nothing happens")
    forget.add_argument("--json", action="store_true", help="the receipt as JSON")
    forget.set_defaults(does=_call("forget", "forget"))


def _fsck(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    fsck = commands.add_parser("fsck", parents=[common], help="hold what Redis says of each event against itself")
    fsck.add_argument("--repair", action="store_true", help="mend what disagrees")
    fsck.set_defaults(does=_call("fsck", "fsck"))


def _backup(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    backup = commands.add_parser("backup", parents=[common], help="copy the whole state of this machine, while it runs")
    backup.add_argument("folder", metavar="FOLDER", help="made by this command")
    backup.add_argument(
        "--without-redis", action="store_true", help="redis.url names a server of your own, which is backed up already"
    )
    backup.set_defaults(does=_call("backup.command", "backup"))
    restore = commands.add_parser("restore", parents=[common], help="put a backup back where nothing is")
    restore.add_argument("folder", metavar="FOLDER", nargs="?", help="what `backup` made; may be left out with --doubt")
    restore.add_argument(
        "--send", action="store_true", help="send what waited then, though it may have been sent since the backup"
    )
    restore.add_argument(
        "--doubt", action="store_true", help="redis.url was restored as well: do not send what waits there"
    )
    restore.set_defaults(does=_call("backup.command", "restore"))


class _call:  # noqa: N801 - reads as what it does where a command is declared
    """A command's function, imported when it is called: `--help` then answers at once."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, options: argparse.Namespace) -> int:
        from importlib import import_module

        function = getattr(import_module(f"whatshooked.cli.{self._module}"), self._name)
        code: int = function(options)
        return code


def _event_id(text: str) -> str:
    if text and not re.fullmatch(r"[0-9]{1,15}-[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError(f"an event's id looks like 1790000000000-0, got {text!r}")
    return text


def _hook_url(text: str) -> str:
    from whatshooked.config.kinds import KINDS, UnfitError

    try:
        return str(KINDS["hook_url"].read(text)) if text else ""
    except UnfitError:
        expected = KINDS["hook_url"].expected
        raise argparse.ArgumentTypeError(
            f"expected {expected}, got {text!r} (make run HOOK=http://localhost:3000/x)"
        ) from None


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return number
