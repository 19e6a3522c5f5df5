"""`init`: asks for what an account needs, offers what the token sees, writes the config and says what comes next."""

import argparse
import re
import secrets
from pathlib import Path

from whatshooked.boot import config_path
from whatshooked.cli.ask import Ask
from whatshooked.cli.config_file import Answers, env_path, write
from whatshooked.cli.doctor.facts import WEBHOOK_PATH
from whatshooked.cli.graph import GRAPH_URL
from whatshooked.cli.lookup import Lookup
from whatshooked.cli.program import program
from whatshooked.config.kinds import KINDS, UnfitError
from whatshooked.errors import CommandRefused


def init(options: argparse.Namespace) -> int:
    """Write a config; raises CommandRefused when one is there, or with every answer that is missing or wrong."""
    path = config_path()
    if path.exists() and not options.force:
        raise CommandRefused(f"{path} is there already: name another with -c FILE, or replace it with --force")
    ask = Ask(interactive=not options.non_interactive)
    answers = _answers(options, ask, Lookup(options.graph_url or GRAPH_URL))
    ask.end()
    write(path, answers, force=options.force)
    print(_next_steps(path, answers))
    return 0


def _answers(options: argparse.Namespace, ask: Ask, meta: Lookup) -> Answers:
    """Return all answers; what is wrong with them stands in `ask.faults`. `--help` promises the order."""
    port, graph_url = _checked_options(options, ask)
    token = ask.secret("Access token of a system user", "--token", options.token, check=meta.token_fault)
    waba_id, number_id, phone = _number(options, ask, meta)
    account_id = ask.text("Name of the account here", "--id", options.id, default="main", check=_id_fault)
    app_id = options.app_id or meta.app_id
    if meta.app_id and app_id != meta.app_id:
        ask.fault(f"--app-id: the token is of app {meta.app_id}, not of {app_id}")
    return Answers(
        account_id=account_id,
        token=token,
        number_id=number_id,
        phone=phone,
        waba_id=waba_id,
        app_id=app_id,
        app_secret=ask.secret(
            "App secret (App settings > Basic; empty: none)",
            "--app-secret",
            options.app_secret,
            empty=True,
            check=lambda given: meta.secret_fault(given, app_id),
        ),
        verify_token=secrets.token_urlsafe(32),
        auth_key=secrets.token_urlsafe(24),
        public_url=_public(options, ask),
        hook=_hook(options, ask),
        port=port,
        graph_url=graph_url,
        secrets_in=options.secrets or ("env" if ask.yes("Keep secrets out of the config, in a file beside it") else ""),
    )


def _public(options: argparse.Namespace, ask: Ask) -> str:
    asked = "Public URL of this gateway (empty: later)"
    return ask.text(asked, "--public-url", options.public_url, empty=True, check=_url_fault).rstrip("/")


def _hook(options: argparse.Namespace, ask: Ask) -> str:
    asked = "URL that gets the messages (empty: later)"
    return ask.text(asked, "--hook", options.hook, empty=True, check=_hook_fault)


def _number(options: argparse.Namespace, ask: Ask, meta: Lookup) -> tuple[str, str, str]:
    """Return the ids of WABA and number, and the number."""
    asked = "Id of the WhatsApp Business Account, WABA (empty: the number's)"
    waba_id = ask.text(asked, "--waba", options.waba, default=meta.waba, empty=True, check=meta.waba_fault)
    asked = "Meta's id of the number, or its place above"
    given = ask.text(asked, "--number-id", options.number_id, default=meta.only_number(), check=meta.number_fault)
    number_id = meta.number_id(given)
    asked = "The number, +1234567890"
    phone = ask.text(asked, "--phone", options.phone, default=meta.phone, check=meta.phone_fault)
    owner = meta.owner(number_id)
    if waba_id and owner not in ("", waba_id):
        ask.fault(f"--waba: the number belongs to WABA {owner}, not to {waba_id}")
    return waba_id or owner, number_id, phone


def _checked_options(options: argparse.Namespace, ask: Ask) -> tuple[int, str]:
    """Return port and Graph's URL, which are never asked for."""
    port = options.port or "8080"
    if not port.isdigit() or not 0 < int(port) < 65536:
        ask.fault(f"--port: expected 1 to 65535, got {port!r}")
        return 0, options.graph_url
    if wrong := _url_fault(options.graph_url):
        ask.fault(f"--graph-url: {wrong}")
    return int(port), options.graph_url


def _id_fault(given: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._~-]+", given) and given not in (".", ".."):
        return ""
    return f"expected a name for the webhook's path: letters, digits and . _ ~ -, got {given!r}"


def _url_fault(given: str) -> str:
    return _misfit("url", given)


def _hook_fault(given: str) -> str:
    return _misfit("hook_url", given)


def _misfit(kind: str, given: str) -> str:
    """Return what is wrong with a URL, "" for none."""
    if not given:
        return ""
    try:
        KINDS[kind].read(given)
    except UnfitError as error:
        return f"{str(error) or f'expected {KINDS[kind].expected}'}, such as https://your-domain.example, got {given!r}"
    return ""


def _next_steps(path: Path, answers: Answers) -> str:
    base, account = answers.public_url or "https://YOUR-DOMAIN", answers.account_id
    ours, named = program(), "" if path == Path("config.json") else f" -c {path}"
    steps = [
        (f"{ours} run{named}", f"behind something that speaks HTTPS at {base}"),
        (f"{ours} account webhook{named} --url {base}", "sets these two, given the app secret"),
        (f"{ours} account subscribe{named}", "without it the webhook is verified, yet nothing arrives"),
        (f"{ours} doctor{named}", "says what is still missing"),
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
