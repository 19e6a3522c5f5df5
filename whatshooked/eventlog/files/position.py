"""The `.position`: the last row of each shard that is kept, and what is where in the current file.

It is written after the rows, so it may be older than the file: what the file holds beyond it is read from there. But
before there is a new file, "there is none" is on the disk, since a file system gives the number of a removed file
(inode) to the next one.
"""

import io
from pathlib import Path

import msgspec

from whatshooked.eventlog.files import disk
from whatshooked.eventlog.files.content import blocks
from whatshooked.eventlog.files.lines import Span, places, span
from whatshooked.eventlog.files.members import BLOCK
from whatshooked.eventlog.row import Place

NAME = ".position"
#: Blocks that are told at most: of a file with more bytes they are larger.
_MOST_BLOCKS = 128


class Block(msgspec.Struct, array_like=True):
    """Some lines of the current file that follow one another: where they end (bytes), and their span."""

    end: int
    low: int = 0
    high: int = 0
    rows: int = 0


class Position(msgspec.Struct):
    """What a writer knows of its folder. `inode` is the current file's, 0 when there is none."""

    inode: int = 0
    size: int = 0
    blocks: list[Block] = msgspec.field(default_factory=list)
    #: (ms, seq) of the last row of each shard.
    marks: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)

    @property
    def span(self) -> Span:
        """The span of the current file."""
        held = [block for block in self.blocks if block.rows]
        rows = sum(block.rows for block in held)
        return Span(min((b.low for b in held), default=0), max((b.high for b in held), default=0), rows)

    def begin(self, inode: int) -> None:
        """Take another file for the current one, which is read or written from its beginning; 0 for none."""
        self.inode, self.size, self.blocks = inode, 0, []

    def mark(self, where: list[Place]) -> None:
        """Remember rows as kept."""
        for ms, seq, shard in where:
            if (ms, seq) > self.marks.get(shard, (-1, -1)):
                self.marks[shard] = (ms, seq)

    def add(self, where: list[Place], length: int, block_bytes: int) -> None:
        """Remember rows that follow in the current file, and take so many bytes there."""
        self.mark(where)
        begun = self.size - (self.blocks[-2].end if len(self.blocks) > 1 else 0)
        self.size += length
        if not self.blocks or begun >= block_bytes:
            self.blocks.append(Block(self.size))
        last, new = self.blocks[-1], span(where)
        last.end = self.size
        if new.rows:
            last.low = min(last.low, new.low) if last.rows else new.low
            last.high = max(last.high, new.high)
            last.rows += new.rows

    def read_on(self, file: io.FileIO, block_bytes: int) -> None:
        """Learn what the current file holds beyond `size`; raises OSError."""
        for block in blocks(file, self.size):
            self.add(places(block), len(block), block_bytes)


def block_bytes(most: int) -> int:
    """Return how many bytes a block has, of files of at most so many."""
    return max(BLOCK, most // _MOST_BLOCKS)


def load(folder: Path) -> Position | None:
    """Return what the folder's last writer knew, None when that is not to be had; raises OSError."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Position)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def save(folder: Path, position: Position, *, durable: bool = False) -> None:
    """Keep what is known; raises OSError."""
    disk.replace(folder / NAME, msgspec.json.encode(position), durable=durable)
