"""Questions to the person at the terminal, or to whoever pipes the answers in, one a line."""

import getpass
import os
import sys
from collections.abc import Callable

from whatshooked.config.source import SourceError, is_reference, resolve
from whatshooked.errors import CommandRefused

#: Returns what is wrong with an answer, "" when nothing is.
Check = Callable[[str], str]


def resolved(given: str) -> str:
    """Return the value that `env:NAME` or `file:PATH` stands for, or the text itself; raises CommandRefused."""
    try:
        return resolve(given, os.environ) if is_reference(given) else given
    except SourceError as error:
        raise CommandRefused(str(error)) from error


class Ask:
    """Asks on standard error, so that standard output holds the result alone.

    At a terminal a faulty answer is asked for again; elsewhere nobody is there to ask, and its fault is noted.
    """

    def __init__(self, *, interactive: bool) -> None:
        self.faults: list[str] = []
        self._interactive = interactive

    def text(
        self,
        question: str,
        option: str,
        given: str = "",
        *,
        default: str = "",
        empty: bool = False,
        check: Check = lambda _: "",
    ) -> str:
        """Return an answer; an empty one is the default, and a fault unless `empty`. `option` names the flag."""
        asked = f"{question}{f' [{default}]' if default else ''}: "
        return self._checked(lambda: self._line(asked) or default, option, given or self._quiet(default), empty, check)

    def secret(
        self, question: str, option: str, given: str = "", *, empty: bool = False, check: Check = lambda _: ""
    ) -> str:
        """Return an answer that is not shown while it is typed; `env:NAME` and `file:PATH` stay as they are."""
        return self._checked(lambda: self._hidden(f"{question}: "), option, given, empty, check)

    def yes(self, question: str) -> bool:
        """Return whether the answer is yes; no is the default."""
        return self._interactive and self._line(f"{question}? [y/N]: ").lower() in ("y", "yes")

    def fault(self, text: str) -> None:
        """Note what is wrong with something that was not asked for."""
        self.faults.append(text)

    def end(self) -> None:
        """Raise CommandRefused with all faults, one a line, if there are any."""
        if self.faults:
            raise CommandRefused("\n".join(self.faults))

    def _checked(self, read: Callable[[], str], option: str, given: str, empty: bool, check: Check) -> str:
        """Return the first answer that is fine, or that was given twice; elsewhere than at a terminal the first."""
        answer, before = given, ""
        while True:
            answer = (answer or (read() if self._interactive else "")).strip()
            wrong = check(answer) if answer or empty else "missing, and it has no default"
            if not wrong or (answer and answer == before):
                return answer
            if not (self._interactive and sys.stdin.isatty()):
                self.fault(f"{option}: {wrong}")
                return answer
            print(f"  {wrong}\n  another answer, or the same once more to keep it:", file=sys.stderr)
            answer, before = "", answer

    def _quiet(self, default: str) -> str:
        return "" if self._interactive else default

    def _hidden(self, question: str) -> str:
        return getpass.getpass(question) if sys.stdin.isatty() else self._line(question)

    def _line(self, question: str) -> str:
        print(question, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            self.fault(f"the answers end before this question: {question.rstrip(': ')}")
            self.end()
        return line.strip()
