"""`init`: asks for what an account needs, offers what the token sees, writes the config and says what comes next."""

import argparse
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from whatshooked.boot import config_path
from whatshooked.cli.ask import Ask
from whatshooked.cli.config_file import Answers, env_path, write
from whatshooked.cli.doctor.facts import WEBHOOK_PATH
from whatshooked.cli.graph import refusal, with_graph
from whatshooked.config.model import DEFAULT_VERSION
from whatshooked.errors import CommandRefused
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import Number, Token

_GRAPH_URL = "https://graph.facebook.com"


def init(options: argparse.Namespace) -> int:
    """Write a config; raises CommandRefused when one is there, or an answer is missing."""
    path = config_path()
    if path.exists() and not options.force:
        raise CommandRefused(f"{path} is there already: name another with -c FILE, or replace it with --force")
    ask = Ask(interactive=not options.non_interactive)
    answers = _answers(options, ask)
    write(path, answers, force=options.force)
    print(_next_steps(path, answers))
    return 0


def _answers(options: argparse.Namespace, ask: Ask) -> Answers:
    graph_url = options.graph_url or _GRAPH_URL
    token = ask.secret("Access token of a system user", options.token, "--token")
    access = Access(graph_url, DEFAULT_VERSION, ask.resolved(token))
    described, numbers = with_graph(lambda graph: _seen(graph, access, options.waba))
    chosen = _choice(ask, numbers, options.number_id)
    app_id = described.app_id if isinstance(described, Token) else ""
    return Answers(
        account_id=options.id or ask.text("Name of the account here", "main"),
        token=token,
        number_id=chosen.id if chosen else ask.text("Meta's id of the number", "", options.number_id, "--number-id"),
        phone=options.phone or _international(chosen) or ask.text("The number, +1234567890", "", "", "--phone"),
        waba_id=options.waba or (chosen.owner("WABA") if chosen else "") or _only_target(described),
        app_id=options.app_id or app_id,
        app_secret=ask.secret("App secret (App settings > Basic; empty: none)", options.app_secret, "", empty=True),
        verify_token=secrets.token_urlsafe(32),
        auth_key=secrets.token_urlsafe(24),
        public_url=_web(
            options.public_url or ask.text("Public URL of this gateway (empty: later)", ""), "--public-url"
        ),
        hook=_web(options.hook or ask.text("URL that gets the messages (empty: later)", ""), "--hook"),
        port=_port(options.port or "8080"),
        graph_url=options.graph_url,
        secrets_in=options.secrets or ("env" if ask.yes("Keep secrets out of the config, in a file beside it") else ""),
    )


async def _seen(graph: Graph, access: Access, waba_id: str) -> tuple[Token | GraphFailure, list[Number]]:
    """Return what the token is, and the numbers that it sees."""
    token = await setup.debug_token(graph, access, access.token)
    if isinstance(token, GraphFailure):
        _say(f"Meta does not describe the token: {refusal(token)}")
    targets = {target for ids in token.targets.values() for target in ids} if isinstance(token, Token) else set()
    numbers: list[Number] = []
    for one in [waba_id] if waba_id else sorted(targets):
        found = await setup.numbers(graph, access, one)
        if isinstance(found, GraphFailure):
            _say(f"the numbers of WABA {one} cannot be listed: {refusal(found)}")
        else:
            numbers += found
    return token, numbers


def _choice(ask: Ask, numbers: list[Number], given: str) -> Number | None:
    """Return the number that is meant, of those that the token sees."""
    if given or not numbers:
        return next((one for one in numbers if one.id == given), None)
    if len(numbers) == 1:
        _say(f"the token sees one number: {numbers[0].phone} (id {numbers[0].id})")
        return numbers[0]
    for place, one in enumerate(numbers, 1):
        _say(f"  {place}  {one.phone:<20} {one.verified_name}  (id {one.id}, {one.status or 'status not told'})")
    picked = ask.text(f"Which number, 1 to {len(numbers)}", "", "", "--number-id")
    if not picked.isdigit() or not 1 <= int(picked) <= len(numbers):
        raise CommandRefused(f"expected 1 to {len(numbers)}, got {picked!r}")
    return numbers[int(picked) - 1]


def _only_target(token: Token | GraphFailure) -> str:
    found = {target for ids in token.targets.values() for target in ids} if isinstance(token, Token) else set()
    return found.pop() if len(found) == 1 else ""


def _international(number: Number | None) -> str:
    return "+" + "".join(sign for sign in number.phone if sign.isdigit()) if number else ""


def _web(given: str, option: str) -> str:
    parts = urlsplit(given)
    if given and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise CommandRefused(f"{option}: expected a URL such as https://your-domain.example, got {given!r}")
    return given.rstrip("/") if option == "--public-url" else given


def _port(given: str) -> int:
    if not given.isdigit() or not 0 < int(given) < 65536:
        raise CommandRefused(f"--port: expected 1 to 65535, got {given!r}")
    return int(given)


def _next_steps(path: Path, answers: Answers) -> str:
    base, account = answers.public_url or "https://YOUR-DOMAIN", answers.account_id
    named = "" if path == Path("config.json") else f" -c {path}"
    steps = [
        (f"whatshooked run{named}", f"behind something that speaks HTTPS at {base}"),
        (f"whatshooked account webhook{named} --url {base}", "sets these two, given the app secret"),
        (f"whatshooked account subscribe{named}", "without it the webhook is verified, yet nothing arrives"),
        (f"whatshooked doctor{named}", "says what is still missing"),
    ]
    if answers.secrets_in == "env":
        steps.insert(0, (f"set -a; . {env_path(path).absolute()}; set +a", "the secrets stand there"))
    width = max(len(command) for command, _ in steps)
    listed = "\n".join(f"  {place}. {command:<{width}}  {why}" for place, (command, why) in enumerate(steps, 1))
    return f"""\
{path} is written; only you can read it. Meta wants to know (app dashboard > WhatsApp > Configuration):

  Callback URL   {base}{WEBHOOK_PATH}{account}
  Verify token   {answers.verify_token}

Next:

{listed}"""


def _say(text: str) -> None:
    print(text, file=sys.stderr)
