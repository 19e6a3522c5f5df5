"""`whatshooked tail`: what happens, as it happens."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from whatshooked.cli.eventlog.listening import Listening
from whatshooked.cli.eventlog.paper import Paper
from whatshooked.cli.eventlog.story import Shown, Story
from whatshooked.cli.redis import watching
from whatshooked.config import Config
from whatshooked.errors import StreamUnavailable
from whatshooked.eventlog.row import Row
from whatshooked.keys import Keys
from whatshooked.stream.link import Link

#: Seconds between two looks, and while Redis is away.
PAUSE = 0.1
AWAY_PAUSE = 0.5
_LISTENING = "listening: what happens is shown here, Ctrl-C ends it"
_AWAY = ": waiting until it is back"


def tail(options: argparse.Namespace) -> int:
    """Print what happens until Ctrl-C; raises ConfigError and EmbeddedError."""
    paper = Paper(sys.stdout)
    shown = Shown(options.account, options.hook, options.failed)
    screen = _Rows(paper, shown) if options.json else _Lines(paper, shown)

    async def work(config: Config, keys: Keys, link: Link) -> int:
        await _listen(Listening(link, keys, config, options.since), screen)
        return 0

    return watching(work)


class _Rows:
    """Prints each thing that happens as a line of JSON."""

    def __init__(self, paper: Paper, shown: Shown) -> None:
        self._paper = paper
        self._shown = shown

    def show(self, rows: Sequence[Row]) -> None:
        """Print what is wanted of these rows."""
        for row in filter(self._shown.has, rows):
            self._paper.json(row)
        self._paper.flush()

    def end(self) -> None:
        """Nothing waits here."""


class _Lines:
    """Prints a line an event."""

    def __init__(self, paper: Paper, shown: Shown) -> None:
        self._paper = paper
        self._story = Story(shown, paper.marks)

    def show(self, rows: Sequence[Row]) -> None:
        """Print the lines that are due."""
        for line in self._story.take(rows, time.monotonic()):
            self._paper.line(line)
        self._paper.flush()

    def end(self) -> None:
        """Print what waits."""
        for line in self._story.rest():
            self._paper.line(line)
        self._paper.flush()


async def _listen(listening: Listening, screen: _Rows | _Lines) -> None:
    """Print what happens until cancelled; while Redis is away that is said, once."""
    said = ""
    try:
        while True:
            rows, now_said, pause = list[Row](), said, PAUSE
            try:
                rows = await listening.rows()
                now_said = _LISTENING
            except StreamUnavailable as error:
                now_said, pause = said if said.endswith(_AWAY) else f"{error}{_AWAY}", AWAY_PAUSE
            if now_said != said:
                print(now_said, file=sys.stderr, flush=True)
                said = now_said
            screen.show(rows)
            await asyncio.sleep(0 if rows else pause)
    finally:
        screen.end()
