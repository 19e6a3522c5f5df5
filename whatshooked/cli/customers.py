"""`customers`: whom it concerns that something waits or failed."""

import argparse
import sys

import msgspec

from whatshooked.cli.redis import with_redis
from whatshooked.config import Config
from whatshooked.keys import Keys
from whatshooked.stream.customers import Customers, CustomerView, Found, among, view
from whatshooked.stream.link import Link


def customers(options: argparse.Namespace) -> int:
    """Print customers, a line each, who has waited longest first."""

    async def work(config: Config, keys: Keys, link: Link) -> Found:
        return await Customers(link, keys).look(config)

    found = with_redis(work)
    wanted = {"hook": options.hook, "account": options.account, "state": options.state}
    rows = [view(*one) for one in among(found, {name: value for name, value in wanted.items() if value})]
    for row in rows:
        print(msgspec.json.encode(row).decode() if options.json else _line(row))
    if not rows:
        print("nobody", file=sys.stderr)
    if not found.is_all:
        print("there are more than one look takes in: counts are too low", file=sys.stderr)
    return 0


def _line(row: CustomerView) -> str:
    at = f" at {row.hook_id}" if row.hook_id else ""
    said = f"{row.count} {row.state}{at} since {row.since}"
    name = f"  {row.name}" if row.name else ""
    return f"{row.customer:<16} {row.account_id:<12} {said}{name}{f'  ({row.error})' if row.error else ''}"
