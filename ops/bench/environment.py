"""`.venv-bench`: where the baselines live, so that none of their packages is in the product's locks."""

import hashlib
import subprocess
import sys
from pathlib import Path

_REPO = Path(__file__).parents[2]
_LOCK = Path(__file__).with_name("requirements-baseline.txt")
_HOME = _REPO / ".venv-bench"


def python() -> Path:
    """Return the Python of the baselines' environment, made from its hashed lock when absent or outdated."""
    stamp, lock = _HOME / "lock", hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    found = _HOME / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != lock:
        print(f"Setting up {_HOME.name} for the baselines, takes a minute", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_HOME)], check=True)
        install = [str(found), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*install, "-r", str(_LOCK)], check=True)
        stamp.write_text(lock)
    return found
