"""Where the phone's chat is shown: lines one below the other, or a terminal in which ticks change in their place."""

import os
import textwrap
import unicodedata
from collections.abc import Callable
from typing import Protocol, TextIO

PROMPT = "> "
#: What a message has come to -> its tick. `200` is the gateway's answer to its webhook.
TICKS = {
    "200": "\N{CHECK MARK}",
    "sent": "\N{CHECK MARK}",
    "delivered": "\N{CHECK MARK}\N{CHECK MARK}",
    "read": "\N{CHECK MARK}\N{CHECK MARK}",
    "played": "\N{CHECK MARK}\N{CHECK MARK}",
    "failed": "\N{BALLOT X}",
}
_BOLD, _BLUE, _DIM, _RED, _PLAIN = "\x1b[1m", "\x1b[94m", "\x1b[2m", "\x1b[31m", "\x1b[0m"
_COLOURS = {"read": _BLUE, "played": _BLUE, "failed": _RED}


class Screen(Protocol):
    """Shows texts; one that was shown gets ticks later."""

    def say(self, text: str, *, own: bool = False) -> int:
        """Show a text and return the number by which it is known; `own` was typed here."""

    def tick(self, number: int, status: str) -> None:
        """Show what a text has come to."""

    def note(self, text: str, *, bad: bool = False) -> None:
        """Show something about the chat."""


class Lines:
    """A screen for pipes and files: what was typed is not repeated, and a tick is a line of its own."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._said: list[str] = []

    def say(self, text: str, *, own: bool = False) -> int:
        """Show a text and return its number."""
        self._said.append(text)
        if not own:
            self._write(text)
        return len(self._said) - 1

    def tick(self, number: int, status: str) -> None:
        """Show a tick, and the first line of what it belongs to."""
        first = self._said[number].partition("\n")[0]
        self._write(f"  {TICKS.get(status, '?'):<2} {status:<9} {first}")

    def note(self, text: str, *, bad: bool = False) -> None:
        """Show something about the chat."""
        self._write(f"  {'! ' if bad else ''}{text}")

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


class Terminal:
    """A screen for people: the chat, and below it what is being typed, which `typed` returns while somebody types."""

    def __init__(self, out: TextIO, typed: Callable[[], str | None], size: Callable[[], os.terminal_size]) -> None:
        self._out = out
        self._typed = typed
        self._size = size
        #: Rows of the chat so far, and of each text the place and content of its last one.
        self._rows = 0
        self._last: list[tuple[int, str]] = []

    def say(self, text: str, *, own: bool = False) -> int:
        """Show a text and return its number."""
        rows = self._wrapped(text)
        if not own:
            rows = [f"{_BOLD}{row}{_PLAIN}" for row in rows]
        self._add(rows)
        self._last.append((self._rows - 1, rows[-1]))
        return len(self._last) - 1

    def tick(self, number: int, status: str) -> None:
        """Write the tick behind a text, if the text is still to be seen."""
        row, text = self._last[number]
        up = self._rows - row + self._typed_rows() - 1
        if up >= self._size().lines:
            return
        tick = f"{_COLOURS.get(status, _DIM)}{TICKS.get(status, '?')}{_PLAIN}"
        self._write(f"\x1b7\x1b[{up}A\r\x1b[K{text}  {tick}\x1b8")

    def note(self, text: str, *, bad: bool = False) -> None:
        """Show something about the chat."""
        colour = _RED if bad else _DIM
        self._add([f"{colour}{row}{_PLAIN}" for row in self._wrapped(text)])

    def entered(self, line: str) -> None:
        """Take away what was typed, now that it is entered: it is shown as a message instead."""
        self._write(f"\x1b[{self._height(PROMPT + line)}A\r\x1b[J")

    def _add(self, rows: list[str]) -> None:
        """Write rows above what is being typed."""
        typed = self._typed()
        away = f"\x1b[{self._typed_rows() - 1}A" if self._typed_rows() > 1 else ""
        again = PROMPT + typed if typed is not None else ""
        self._write(f"{away}\r\x1b[J" + "".join(f"{row}\n" for row in rows) + again)
        self._rows += len(rows)

    def _typed_rows(self) -> int:
        typed = self._typed()
        return 1 if typed is None else self._height(PROMPT + typed)

    def _height(self, text: str) -> int:
        return max(-(-columns(text) // self._size().columns), 1)

    def _wrapped(self, text: str) -> list[str]:
        """Return a text as rows that leave room for ticks; a wide character counts as two."""
        width = max(self._size().columns - 6, 10)
        rows = []
        for line in text.split("\n"):
            wide = columns(line) - len(line)
            rows += textwrap.wrap(line, max(width - wide, 5)) or [""]
        return rows

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def columns(text: str) -> int:
    """Return how many columns a text takes in a terminal."""
    return sum(_width(sign) for sign in text)


def _width(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
