"""What is typed into the phone: from a terminal with line editing, or from a pipe or file."""

import asyncio
import codecs
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar

from whatshooked.cli.phone.screen import PROMPT

_T = TypeVar("_T")


class Input(Protocol):
    """Lines that somebody types."""

    async def line(self) -> str | None:
        """Return the next line, None at the end."""


class Piped:
    """Lines of a pipe or file, read as they are asked for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._ended = False

    async def line(self) -> str | None:
        """Return the next line, None at the end."""
        while "\n" not in self._rest and not self._ended:
            # Not through sys.stdin: its lock, held by a thread that waits, would keep Python from ending.
            data = await _aside(lambda: os.read(self._descriptor, 65_536))
            self._ended = not data
            self._rest += self._decoder.decode(data, final=self._ended)
        if not self._rest:
            return None
        found, _, self._rest = self._rest.partition("\n")
        return found.rstrip("\r")


class Keyboard:
    """Lines from a terminal; `typed` is what stands there unfinished, None while nobody is asked."""

    def __init__(self) -> None:
        self._asking = False
        with contextlib.suppress(ImportError):
            import readline

            readline.set_pre_input_hook(self._begin)

    def typed(self) -> str | None:
        """Return what is being typed."""
        if not self._asking:
            return None
        try:
            import readline
        except ImportError:
            return ""
        return readline.get_line_buffer()

    async def line(self) -> str | None:
        """Return the next line, None at the end."""
        try:
            return await _aside(lambda: input(PROMPT))
        except EOFError:
            print()  # the prompt's line ends here
            return None
        finally:
            self._asking = False

    def _begin(self) -> None:
        self._asking = True


@contextlib.contextmanager
def terminal_kept() -> Iterator[None]:
    """Leave the terminal as it was, also when somebody ends us while a line is being typed."""
    try:
        import termios
    except ImportError:  # no such terminals here
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def _aside(work: Callable[[], _T]) -> _T:
    """Return what work returns, done in a thread that nobody waits for: what is read may never come."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def done(set_: Callable[[], None]) -> None:
        if not future.done():
            set_()

    def run() -> None:
        try:
            found = work()
        except (EOFError, OSError) as error:
            told = partial(done, partial(future.set_exception, error))
        else:
            told = partial(done, partial(future.set_result, found))
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(told)

    threading.Thread(target=run, daemon=True).start()
    return await future
