"""How our commands are called here, so that what is printed can be typed as it stands."""

import os
import re
import sys
from pathlib import Path

_NAMED = re.compile(
    r"(?<![\w/])whatshooked(?= (?:account|cache|check|doctor|hook|init|log|run|send|simulate|stats|tail)\b)"
)


def program() -> str:
    """Return what calls our commands: `whatshooked` when installed, the path of bin/whatshooked in a clone."""
    called = Path(sys.argv[0])
    script = called.parent.parent / "bin/whatshooked"
    if called.name != "__main__.py" or not script.exists():
        return "whatshooked"
    return min(str(script), os.path.relpath(script), key=len)


def fitting(text: str) -> str:
    """Return a text that names our commands as `whatshooked ...`, each as it is called here."""
    return _NAMED.sub(lambda _: program(), text)
