"""The PostgreSQL of a test process; where there is none, its tests are skipped with the reason."""

import os
from collections.abc import Iterator

import pytest

from ops.postgres import ADMIN, NoPostgresError, Postgres, server

__all__ = ["ADMIN", "Postgres", "postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of this test process; a test that stops it starts it again."""
    try:
        with server() as found:
            yield found
    except NoPostgresError as error:
        (pytest.fail if os.environ.get("WHATSHOOKED_CI") else pytest.skip)(f"no PostgreSQL: {error}")
