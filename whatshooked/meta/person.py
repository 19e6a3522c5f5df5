"""One person as they stand in what Meta sends: by phone or user id, plain or in the base64 of a message id; pure."""

import base64
import re
from collections.abc import Iterable, Iterator

#: What takes the place of a person who is forgotten.
FORGOTTEN = "forgotten"
#: How a line of the log names its event.
_event_ids = re.compile(rb'"event_id":"([0-9-]{3,40})"')
#: The letters of base64, in both alphabets.
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"


class Person:
    """All the names of one person: phone digits and user ids; raises ValueError without any.

    `event_ids` are events of theirs, by which a row of the log is theirs that does not name them.
    """

    def __init__(self, names: Iterable[str], event_ids: Iterable[str] = ()) -> None:
        self.event_ids = frozenset(event_ids)
        self.names = frozenset(name for name in names if name)
        if not self.names:
            raise ValueError("a person has a number or a user id")
        ordered = sorted(self.names)
        self._plain = re.compile("|".join(map(_plain, ordered)).encode())
        hidden = [part.encode() for name in ordered for part in _hidden(name)]
        self._hidden = re.compile(b"|".join(map(re.escape, hidden)))
        #: One of these at least stands in whatever names the person; to look for them costs a hundredth.
        self.traces = (*(name.encode() for name in ordered), *hidden)

    def is_named(self, text: str | bytes) -> bool:
        """Return whether a text names this person, plain or inside something in base64."""
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        if not any(trace in raw for trace in self.traces):
            return False
        return self._plain.search(raw) is not None or any(self._is_hidden(part) for part in self._candidates(raw))

    def may_be_in(self, block: bytes) -> bool:
        """Return whether lines of the log may be about this person: quickly, and never wrongly no."""
        if any(trace in block for trace in self.traces):
            return True
        return bool(self.event_ids) and any(one.decode() in self.event_ids for one in _event_ids.findall(block))

    def _candidates(self, raw: bytes) -> Iterator[bytes]:
        """Yield the words of base64 in which the person may stand."""
        end = 0
        for found in self._hidden.finditer(raw):
            if found.start() < end:
                continue
            start, end = found.start(), found.end()
            while start and raw[start - 1] in _LETTERS:
                start -= 1
            while end < len(raw) and raw[end] in _LETTERS:
                end += 1
            yield raw[start:end]

    def _is_hidden(self, word: bytes) -> bool:
        """Return whether a word of base64 holds the person: where in it the encoding began is not known."""
        plain = word.translate(bytes.maketrans(b"-_", b"+/"))
        # In a file's name a run of letters may have become one: the beginning is then as if it lacked some.
        shifted = (*(plain[lead:] for lead in range(4)), *(b"A" * lead + plain for lead in range(1, 4)))
        return any(self._plain.search(base64.b64decode(part[: len(part) // 4 * 4] + _rest(part))) for part in shifted)


def _rest(part: bytes) -> bytes:
    """Return the last letters of a word, filled up; a single one tells no byte."""
    rest = part[len(part) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _plain(name: str) -> str:
    """Return the pattern of a name: a number inside a longer one is another number."""
    # Dialled from elsewhere it has zeros in front, or 011.
    before, after = (
        ("(?<![0-9])(?:0{1,3}|011)?", "(?![0-9])") if name.isdecimal() else ("(?<![A-Za-z0-9])", "(?![A-Za-z0-9])")
    )
    return before + re.escape(name) + after


def _hidden(name: str) -> Iterator[str]:
    """Yield what the base64 of any text shows of a name in it: the same letters in three places of four."""
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + name.encode()).decode().rstrip("=")
        # The first letters hold bits of what stands before, the last one bits of what follows.
        yield encoded[(0, 2, 3)[lead] : len(encoded) - (1 if (lead + len(name.encode())) % 3 else 0)]
