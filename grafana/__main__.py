"""Writes the dashboards' JSON files; with `--picture`, pictures of them."""

import argparse
import time
from pathlib import Path

from grafana import account, customers, hook, path, redis_workers, runbook
from grafana.board import Board
from grafana.picture import draw_all
from grafana.picture.source import Source

FOLDER = Path(__file__).parent / "dashboards"


def boards() -> list[Board]:
    """Return all dashboards."""
    return [
        path.board(),
        hook.board(),
        account.board(),
        customers.board(),
        redis_workers.board(),
        runbook.board(runbook.SOURCE.read_text()),
    ]


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description="Grafana's dashboards, and pictures of them")
    parser.add_argument("--picture", nargs=2, metavar=("PROMETHEUS_URL", "FOLDER"), help="draw them with its data")
    parser.add_argument("--seconds", type=float, default=3_600, help="how much time a picture shows (default an hour)")
    parser.add_argument("--scrape", type=float, default=5, help="seconds between two scrapes (default 5)")
    parser.add_argument(
        "--customers", nargs=2, metavar=("URL", "KEY"), help="the gateway that tells whom it concerns, and a key of it"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable, as in hook=crm")
    options = parser.parse_args()
    if options.picture:
        url, folder = options.picture
        gateway = tuple(options.customers) if options.customers else None
        with Source(url, time.time(), options.seconds, options.scrape, gateway) as source:
            draw_all(source, FOLDER, Path(folder), dict(one.split("=", 1) for one in options.set))
        return
    for board in boards():
        (FOLDER / f"{board.name}.json").write_text(board.json())


if __name__ == "__main__":
    main()
