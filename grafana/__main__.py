"""Writes the dashboards' JSON files; with `--picture`, pictures of them."""

import argparse
from pathlib import Path

from grafana import account, hook, path, redis_workers, runbook
from grafana.board import Board

FOLDER = Path(__file__).parent / "dashboards"


def boards() -> list[Board]:
    """Return all dashboards."""
    text = runbook.SOURCE.read_text()
    return [path.board(), hook.board(), account.board(), redis_workers.board(), runbook.board(text)]


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description="Grafana's dashboards, and pictures of them")
    parser.add_argument("--picture", nargs=2, metavar=("PROMETHEUS_URL", "FOLDER"), help="draw them with its data")
    options = parser.parse_args()
    if options.picture:
        from grafana.picture import draw_all

        draw_all(options.picture[0], FOLDER, Path(options.picture[1]))
        return
    for board in boards():
        (FOLDER / f"{board.name}.json").write_text(board.json())


if __name__ == "__main__":
    main()
