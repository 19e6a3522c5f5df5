"""Lines as pieces of text: harmless to a terminal, as wide as it is, in colours. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from whatshooked.cli.phone.screen import columns

#: The least that is left of an elastic piece before the line's end is cut.
_LEAST = 12
_COLOURS = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
#: Signs without a shape that belong to letters and faces: they join, or keep from joining.
_JOINERS = "\u200c\u200d"
_plain = re.compile(r"[ -~]*")


class Piece(NamedTuple):
    """A piece of a line; an elastic one is shortened first where the line is too long."""

    text: str
    colour: str = ""
    elastic: bool = False


class Marks(NamedTuple):
    """Signs that say something, as far as the output can show them; `bars` from nothing to most."""

    done: str
    failed: str
    pending: str
    cut: str
    bars: str


UNICODE = Marks("\N{CHECK MARK}", "\N{BALLOT X}", "\N{HORIZONTAL ELLIPSIS}", "\N{HORIZONTAL ELLIPSIS}", " ▁▂▃▄▅▆▇█")
ASCII = Marks("ok ", "x", "...", "..", " .:-=+*#@")


def harmless(text: str) -> str:
    """Return a text on one line, in which nothing steers a terminal or turns the direction of what is beside it."""
    return text if _plain.fullmatch(text) else "".join(map(_shown, text))


def fitted(pieces: Sequence[Piece], width: int, marks: Marks) -> list[Piece]:
    """Return a line that takes at most so many columns."""
    over = sum(columns(piece.text) for piece in pieces) - width
    fits = []
    for piece in pieces:
        size, text = columns(piece.text), piece.text
        if over > 0 and piece.elastic:
            text = _cut(text, max(size - over, min(size, _LEAST)), marks.cut)
            over -= size - columns(text)
        fits.append(piece._replace(text=text))
    return fits if over <= 0 else list(_ended(fits, width, marks))


def rendered(pieces: Iterable[Piece], *, colours: bool) -> str:
    """Return a line's text, without blanks at its end."""
    parts = [_coloured(piece) if colours and piece.colour and piece.text.strip() else piece.text for piece in pieces]
    return "".join(parts).rstrip()


def padded(text: str, width: int) -> str:
    """Return a text with blanks behind it, so many columns wide at least."""
    return text + " " * (width - columns(text))


def _ended(pieces: Iterable[Piece], width: int, marks: Marks) -> Iterable[Piece]:
    for piece in pieces:
        size = columns(piece.text)
        if size > width:
            yield piece._replace(text=_cut(piece.text, width, marks.cut))
            return
        yield piece
        width -= size


def _cut(text: str, width: int, sign: str) -> str:
    if columns(text) <= width:
        return text
    room, kept = width - columns(sign), 0
    for length, letter in enumerate(text):
        kept += columns(letter)
        if kept > room:
            return text[:length] + sign[: max(width, 0)]
    return text


def _coloured(piece: Piece) -> str:
    return f"\x1b[{_COLOURS[piece.colour]}m{piece.text}\x1b[0m"


def _shown(letter: str) -> str:
    if letter in _JOINERS or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return letter
    return letter.encode("unicode_escape").decode()
