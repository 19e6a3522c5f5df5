"""`customers`: whom it concerns that something waits or failed."""

import argparse
import sys

from whatshooked.cli.eventlog.paper import Paper
from whatshooked.cli.eventlog.pieces import Piece, harmless, padded
from whatshooked.cli.redis import with_redis
from whatshooked.config import Config
from whatshooked.keys import Keys
from whatshooked.stream.bounds import UNBOUNDED, Bounds
from whatshooked.stream.customers import BEYOND, CustomerView, Found, among, view
from whatshooked.stream.link import Link
from whatshooked.stream.look import look

#: Columns of a customer and of an account, so that most lines stand below one another.
_CUSTOMER, _ACCOUNT = 16, 12


def customers(options: argparse.Namespace) -> int:
    """Print customers, a line each, who has waited longest first."""

    async def work(config: Config, keys: Keys, link: Link) -> Found:
        return await look(link, keys, config, UNBOUNDED if options.all else Bounds())

    found = with_redis(work)
    wanted = {"hook": options.hook, "account": options.account, "state": options.state}
    rows = [view(*one) for one in among(found, {name: value for name, value in wanted.items() if value})]
    paper = Paper(sys.stdout)
    for row in rows:
        if options.json:
            paper.json(row)
        else:
            paper.line(_line(row))
    paper.flush()
    if not rows:
        print("nobody", file=sys.stderr)
    if not found.is_all:
        print(BEYOND, file=sys.stderr)
    return 0


def _line(row: CustomerView) -> list[Piece]:
    at = f" at {row.hook_id}" if row.hook_id else ""
    pieces = [
        Piece(padded(harmless(row.customer), _CUSTOMER) + " "),
        Piece(padded(harmless(row.account_id), _ACCOUNT) + " "),
        Piece(harmless(f"{row.count} {row.state}{at} since {row.since}")),
    ]
    if row.name:
        pieces.append(Piece(f"  {harmless(row.name)}", elastic=True))
    if row.error:
        pieces.append(Piece(f"  ({harmless(row.error)})", elastic=True))
    return pieces
