"""What a test cannot do without: where that is lacking it is skipped at home, and fails where all has to be there."""

import os
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """End the test, since it lacks something: a failure with WHATSHOOKED_CI=1, as `.ci/run` sets it, else a skip."""
    if os.environ.get("WHATSHOOKED_CI"):
        pytest.fail(f"{reason} (WHATSHOOKED_CI wants it)")
    pytest.skip(reason)
