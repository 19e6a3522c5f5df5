"""Where lines are printed: coloured and cut to the width of a terminal, whole and plain in a pipe."""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import TextIO

import msgspec

from whatshooked.cli.eventlog.pieces import ASCII, UNICODE, Marks, Piece, fitted, rendered

#: What JSON may hold as it is, and a terminal should not be sent.
_unsafe = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: What this takes of the screen at least, whatever the terminal says of its width.
_NARROWEST = 40


class Paper:
    """Prints whole lines to `out`. Raises BrokenPipeError when nobody reads any more."""

    def __init__(self, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out
        self._encoding = out.encoding or "ascii"
        self._terminal = out.isatty()
        #: By no-color.org an empty variable is none.
        self.colours = self._terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self.marks: Marks = UNICODE if _can_encode("".join(UNICODE), self._encoding) else ASCII

    def line(self, pieces: Sequence[Piece]) -> None:
        """Print a line."""
        if self._terminal:
            pieces = fitted(pieces, max(shutil.get_terminal_size().columns, _NARROWEST), self.marks)
        text = rendered(pieces, colours=self.colours)
        self._out.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding) + "\n")

    def json(self, found: object) -> None:
        """Print an object as a line of JSON."""
        try:
            text = msgspec.json.encode(found).decode()
            text.encode(self._encoding)
        except (UnicodeEncodeError, LookupError):  # half a character, or an output that has not all of them
            text = json.dumps(msgspec.to_builtins(found))
        self._out.write(_unsafe.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text) + "\n")

    def flush(self) -> None:
        """Show what was printed."""
        self._out.flush()


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
