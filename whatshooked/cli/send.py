"""`send`: put a message into the outbox, and wait for Meta's answer if asked to."""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from whatshooked.cli.graph import chosen
from whatshooked.cli.redis import activity, with_redis
from whatshooked.config import Config
from whatshooked.errors import SendFault
from whatshooked.keys import Keys
from whatshooked.meta import codes
from whatshooked.meta.scan import REFUSALS
from whatshooked.stream.link import Link
from whatshooked.stream.outbox import Outbox, Record
from whatshooked.stream.submit import answered, submit


def send(options: argparse.Namespace) -> int:
    """Send a message; 1 when Meta refused it or nobody knows, 2 when it cannot be sent. Raises CommandRefused."""
    try:
        return _send(options)
    except SendFault as fault:
        print("\n".join(fault.faults), file=sys.stderr)
        return 2


def _send(options: argparse.Namespace) -> int:
    request = _request(options)
    account, _ = chosen(options.account or _account(request))

    async def work(config: Config, keys: Keys, link: Link) -> tuple[str, Record | None, str]:
        outbox = Outbox(link, keys, await activity(config, keys, link))
        code = config.server.default_country_code
        message_id = (await submit(outbox, account.id, request, country_code=code)).id
        record = await answered(outbox, account.id, message_id, options.wait) if options.wait else None
        return message_id, record, await outbox.held(account.id)

    message_id, record, held = with_redis(work)
    return _say(message_id, record, held)


def _request(options: argparse.Namespace) -> Any:
    """Return what the options ask for, in a form that the send API takes; raises SendFault."""
    ways = (options.text is not None, bool(options.template), bool(options.file))
    if sum(ways) != 1 or (options.to is None and not options.file):
        raise SendFault(["say what to send: TO TEXT, or TO --template NAME, or --file BODY.json"])
    if options.file:
        body = _read(options.file)
        return {**body, "to": options.to} if options.to is not None and isinstance(body, dict) else body
    if options.template:
        language = {"code": options.language}
        return {"to": options.to, "type": "template", "template": {"name": options.template, "language": language}}
    return {"to": options.to, "text": options.text}


def _read(name: str) -> Any:
    """Return the JSON of a file, or of standard input; raises SendFault."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
        return msgspec.json.decode(text)
    except OSError as error:
        raise SendFault([f"{name}: {error.strerror}"]) from error
    except REFUSALS as error:
        raise SendFault([f"{name}: no JSON: {error}"]) from error


def _account(request: Any) -> str:
    named = request.get("account_id") if isinstance(request, dict) else None
    return named if isinstance(named, str) else ""


def _say(message_id: str, record: Record | None, held: str) -> int:
    """Print what became of the message; returns the exit code."""
    state = record.state if record else "new"
    print(f"{message_id} {state} {record.wamid if record else ''}".rstrip())
    if state in ("new", "sending"):
        if held:
            print(f"the account sends nothing now: {held}", file=sys.stderr)
        return 0
    if record is None or state == "sent":
        return 0
    hint = codes.hint(record.code) if record.code else f"whatshooked messages resend {message_id} sends it once more"
    print("; ".join(filter(None, (record.error, hint))), file=sys.stderr)
    return 1
