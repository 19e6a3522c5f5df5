"""The PostgreSQL of a test process; where there is none, its tests are skipped with the reason."""

from collections.abc import Iterator

import pytest

from ops.postgres import ADMIN, NoPostgresError, Postgres, server
from tests.wanted import lacking

__all__ = ["ADMIN", "Postgres", "postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of this test process; a test that stops it starts it again."""
    try:
        with server() as found:
            yield found
    except NoPostgresError as error:
        lacking(f"no PostgreSQL: {error}")
