"""`account register|deregister|request-code|verify-code|set-pin`: a number's way to Meta; PINs are not shown."""

import argparse
import getpass
import os
import re
import sys
from collections.abc import Awaitable, Callable

from whatshooked.cli.graph import chosen, need, with_graph
from whatshooked.cli.program import program
from whatshooked.config.source import SourceError, is_reference, resolve
from whatshooked.errors import CommandRefused
from whatshooked.meta import setup
from whatshooked.meta.graph import Access, Graph, GraphFailure

#: A call about one number.
Doing = Callable[..., Awaitable[GraphFailure | None]]
#: Older texts give an answer that the number is registered already as this code.
_ALREADY = 131030


def register(options: argparse.Namespace) -> int:
    """Register the number unless it is: Meta allows ten tries in 72 hours; raises CommandRefused."""
    account, api = chosen(options.account)
    access, number_id = Access.of(account), api.phone_number_id

    async def work(graph: Graph) -> str:
        number = need(await setup.number(graph, access, number_id, whole=True))
        if number.status == "CONNECTED" and number.platform_type in ("", "CLOUD_API"):
            return f"{number.phone} is registered already: nothing was done"
        pin = six_digits(options.pin, "the number's six-digit PIN")
        failure = await setup.register(graph, access, number_id, pin)
        if isinstance(failure, GraphFailure) and failure.code != _ALREADY:
            need(failure)
        return f"{number.phone} is registered"

    print(with_graph(work))
    return 0


def deregister(options: argparse.Namespace) -> int:
    """Take the number off the Cloud API; raises CommandRefused."""
    if not options.confirm:
        raise CommandRefused("without registration the number neither receives nor sends: add --confirm")
    return _do(options, "is registered no more", setup.deregister)


def request_code(options: argparse.Namespace) -> int:
    """Let Meta send the code that proves the number; raises CommandRefused."""
    account, api = chosen(options.account)

    async def work(graph: Graph) -> None:
        access, method = Access.of(account), options.method.upper()
        need(await setup.request_code(graph, access, api.phone_number_id, method=method, language=options.language))

    with_graph(work)
    print(f"the code comes by {options.method.upper()}: then {program()} account verify-code CODE")
    return 0


def verify_code(options: argparse.Namespace) -> int:
    """Prove the number by the code that came; raises CommandRefused."""
    code = re.sub(r"[\s-]", "", options.code)
    return _do(options, "is verified", setup.verify_code, code)


def set_pin(options: argparse.Namespace) -> int:
    """Set the number's two-step PIN; raises CommandRefused."""
    return _do(options, "has the new PIN", setup.set_pin, six_digits(options.pin, "the new six-digit PIN"))


def six_digits(given: str, asked: str) -> str:
    """Return a PIN as given, from `env:NAME` or `file:PATH`, or asked for without echo; raises CommandRefused."""
    try:
        pin = resolve(given, os.environ) if is_reference(given) else given
    except SourceError as error:
        raise CommandRefused(f"--pin: {error}") from error
    if not pin:
        pin = getpass.getpass(f"{asked}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not re.fullmatch(r"[0-9]{6}", pin.strip(), re.ASCII):
        raise CommandRefused("expected a PIN of six digits: --pin 123456, env:NAME or file:PATH, or on standard input")
    return pin.strip()


def _do(options: argparse.Namespace, done: str, call: Doing, *given: str) -> int:
    account, api = chosen(options.account)

    async def work(graph: Graph) -> None:
        need(await call(graph, Access.of(account), api.phone_number_id, *given))

    with_graph(work)
    print(f"{account.phone_number} {done}")
    return 0
