"""Questions to the person at the terminal, or to whoever pipes the answers in, one a line."""

import getpass
import os
import sys

from whatshooked.config.source import SourceError, is_reference, resolve
from whatshooked.errors import CommandRefused


class Ask:
    """Asks on standard error, so that standard output holds the result alone."""

    def __init__(self, *, interactive: bool) -> None:
        self._interactive = interactive

    def text(self, question: str, default: str, given: str = "", option: str = "") -> str:
        """Return an answer; an empty one is the default. With `option` something must be said: it names the flag."""
        if given:
            return given
        if not self._interactive:
            if option and not default:
                raise CommandRefused(f"{option} is missing: it has no default")
            return default
        answer = self._line(f"{question}{f' [{default}]' if default else ''}: ") or default
        if option and not answer:
            raise CommandRefused(f"{question}: an answer is needed, here or by {option}")
        return answer

    def secret(self, question: str, given: str, option: str, *, empty: bool = False) -> str:
        """Return an answer that is not shown while it is typed; `env:NAME` and `file:PATH` stay as they are."""
        answer = given
        if not answer and self._interactive:
            answer = getpass.getpass(f"{question}: ") if sys.stdin.isatty() else self._line(f"{question}: ")
        if not answer and not empty:
            raise CommandRefused(f"{question}: missing, give it by {option}")
        return answer.strip()

    def yes(self, question: str) -> bool:
        """Return whether the answer is yes; no is the default."""
        return self._interactive and self._line(f"{question}? [y/N]: ").lower() in ("y", "yes")

    def resolved(self, given: str) -> str:
        """Return the value that an answer stands for; raises CommandRefused."""
        try:
            return resolve(given, os.environ) if is_reference(given) else given
        except SourceError as error:
            raise CommandRefused(str(error)) from error

    def _line(self, question: str) -> str:
        print(question, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise CommandRefused(f"the answers end before this question: {question.rstrip(': ')}")
        return line.strip()
